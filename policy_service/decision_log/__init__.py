"""Records every answer, off the answering path, and knows what it lost.

In come decisions; out come rows in the store, in each process a gap-free
sequence. Each caller has its share of the room; what could not be recorded is
refused or counted, never dropped in silence. Read ``recorder`` first, then
``shipping``.
"""

from policy_service.decision_log.recorder import DecisionLog
from policy_service.decision_log.room import NoRoom
from policy_service.decision_log.shipping import recording
from policy_service.decision_log.spool import SEGMENT_BYTES

__all__ = [
    "SEGMENT_BYTES",
    "DecisionLog",
    "NoRoom",
    "recording",
]
