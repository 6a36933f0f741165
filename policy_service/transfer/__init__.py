"""Takes everything of one installation out, and into another that is empty.

In comes a file of lines; out comes an installation in which every row passed
the checks of its own door, or nothing. Read ``moving`` first.
"""

from policy_service.transfer import moving, moving_check

__all__ = [
    "moving",
    "moving_check",
]
