"""Calling services beside the seed: rights of their own, and the tokens by which they are known.

In comes an administrator's wish; out comes one change with its entry, or a
refusal. A token's text leaves once, in the answer that made it. Read
``changing`` first.
"""

from policy_service.callers.changing import (
    LONGEST,
    Rotated,
    add,
    change,
    remove,
    remove_token,
    rotate,
)
from policy_service.callers.known import Known, known_callers, one_caller
from policy_service.callers.seen import Seen

__all__ = [
    "LONGEST",
    "Known",
    "Rotated",
    "Seen",
    "add",
    "change",
    "known_callers",
    "one_caller",
    "remove",
    "remove_token",
    "rotate",
]
