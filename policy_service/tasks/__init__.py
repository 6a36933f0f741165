"""Background tasks: one that fails is begun again and known to be down; one that is told to end ends.

Read ``supervising`` first.
"""

from policy_service.tasks.endings import end_all, end_if_cancelled
from policy_service.tasks.supervising import Sound, Supervisor, Work

__all__ = [
    "Sound",
    "Supervisor",
    "Work",
    "end_all",
    "end_if_cancelled",
]
