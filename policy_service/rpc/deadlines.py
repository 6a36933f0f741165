"""Until when the caller of the call in hand waits for an answer, for whoever in here could wait as long."""

import time
from contextvars import ContextVar
from typing import Any, Final

_KEPT: Final = 0.1
"""Part of the time that is kept for the answer's way."""
_until: ContextVar[float | None] = ContextVar("until", default=None)


def begin(context: Any) -> None:
    """Called with each call's context, in the thread that answers it."""
    seconds = context.time_remaining()
    _until.set(None if seconds is None else time.monotonic() + seconds * (1 - _KEPT))


def seconds_left() -> float | None:
    """Within which an answer still arrives; None where the caller set no deadline."""
    until = _until.get()
    return None if until is None else max(0.0, until - time.monotonic())
