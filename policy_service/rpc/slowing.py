"""Refusals have a pace: a caller's first come at once, and what a flood of them would take, its own calls wait for.

A refusal costs little, but a caller that comes again as soon as it is refused
costs a core, and everybody's checks stand in its queue. So each caller has a
budget of refusals. Within it they come at once; beyond it a refusal is held
until its turn, for ``LONGEST_SECONDS`` at most. What is held takes no time, has
a place in the room that anybody's call may have instead, and is let go at once
when the place is wanted or the service stops: no good call waits for it.

Only what is refused before anything is looked up is held: by a limit, for want
of a right, for a field that is wrong. What is refused because the world is not
as the caller thought is an answer, and a replica that cannot answer now says so
at once, that another one may be asked.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

from policy_service import metrics
from policy_service.errors import InvalidRequest, PolicyError
from policy_service.rpc.errors import (
    CallerNotAllowed,
    CallerNotAllowedThere,
    CallerNotIdentified,
    CallerNotLocal,
    RateLimited,
    TooManyCalls,
    TooManyQuestions,
    UnreadableRequest,
)
from policy_service.rpc.room import Room

LONGEST_SECONDS: Final = 1.0
"""For how long a refusal is held at most."""
_TOGETHER_SECONDS: Final = 0.25
_HELD: Final = (
    CallerNotAllowed,
    CallerNotAllowedThere,
    CallerNotIdentified,
    CallerNotLocal,
    InvalidRequest,
    RateLimited,
    TooManyCalls,
    TooManyQuestions,
    UnreadableRequest,
)
_MANY: Final = 1_024
"""Callers that are remembered before those that owe nothing are forgotten."""


class Slowing:
    """Can be used by several threads."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``rate`` refusals a second come at once; a quarter of them may come together, at least one."""
        self._gap = 1.0 / rate
        self._together = max(_TOGETHER_SECONDS, self._gap)
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until: dict[str, float] = {}
        """By caller: when all its refusals so far will have been paid for."""

    def wait(self, caller: str) -> float:
        """How many seconds this refusal of the caller waits; 0 within its budget."""
        with self._lock:
            now = self._clock()
            paid_until = max(now, self._paid_until.get(caller, 0.0)) + self._gap
            wait = paid_until - now - self._together
            # What waits the longest time owes no more than that: a flood that ended is soon forgotten.
            self._paid_until[caller] = min(paid_until, now + self._together + LONGEST_SECONDS)
            if len(self._paid_until) > _MANY:
                self._paid_until = {name: until for name, until in self._paid_until.items() if until > now}
        return min(max(0.0, wait), LONGEST_SECONDS)

    def hold(self, error: PolicyError, caller: str, connection: str, room: Room) -> None:
        """Return when a call may be refused, from a thread."""
        if (wait := self._wait(error, caller)) == 0.0:
            return
        go = threading.Event()
        try:
            with room.enter(caller, connection, go.set):
                go.wait(wait)
        except TooManyCalls:
            # No place to wait in.
            return

    async def hold_async(self, error: PolicyError, caller: str, connection: str, room: Room) -> None:
        """The same on the event loop."""
        if (wait := self._wait(error, caller)) == 0.0:
            return
        go, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            with room.enter(caller, connection, lambda: loop.call_soon_threadsafe(go.set)):
                async with asyncio.timeout(wait):
                    await go.wait()
        except (TooManyCalls, TimeoutError):
            return

    def _wait(self, error: PolicyError, caller: str) -> float:
        if not isinstance(error, _HELD):
            return 0.0
        wait = self.wait(caller)
        if wait:
            metrics.refusals_held.inc()
        return wait
