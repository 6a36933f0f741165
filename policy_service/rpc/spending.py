"""What calls take of a core is counted, and who has spent more than a part of it waits with the next call.

Within its part nobody waits. Time that was not used is kept, a little of it, so
that a page that asks ten things at once is answered at once. Beyond it a call
waits, for ``LONGEST_SECONDS`` at most, and its callers' own backpressure does
the rest: whoever asks again as soon as it is answered asks as often as it may.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Hashable
from typing import Any, Final, cast
from weakref import WeakValueDictionary

from google.protobuf.message import Message

Decide = Callable[[Any, str], Coroutine[Any, Any, Message]]

READS: Final = frozenset({
    "DiffAccess",
    "GetCaller",
    "GetPermissions",
    "ListCallers",
    "ListChanges",
    "ListDecisions",
    "ListInvitations",
    "ListMembers",
    "ListRoles",
    "ReviewAccess",
    "ReviewPeriod",
})  # fmt: skip
"""Methods of the management plane that can be asked again and again, as nothing changes by them."""
LONGEST_SECONDS: Final = 1.0
_SAVED_SECONDS: Final = 0.015
"""So much of a core's time may be spent together after a pause."""
_CALL_SECONDS: Final = 0.0004
"""What a call takes beside its answer: to be received, read, written and sent."""
_MANY: Final = 4_096
"""Spenders that are remembered before those that owe nothing are forgotten."""


class Spending:
    """Can be used by several threads."""

    def __init__(self, part: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``part`` is what each may have of a core, between 0 and 1."""
        self._part = part
        self._saved = _SAVED_SECONDS / part
        self._clock = clock
        self._lock = threading.Lock()
        self._made_up_at: dict[Hashable, float] = {}

    def wait(self, who: Hashable) -> float:
        """How many seconds the next call waits."""
        return max(0.0, self._made_up_at.get(who, 0.0) - self._clock() - self._saved)

    def charge(self, who: Hashable, seconds: float) -> None:
        """A call took so much of a core."""
        with self._lock:
            now = self._clock()
            made_up_at = max(now, self._made_up_at.get(who, 0.0)) + (seconds + _CALL_SECONDS) / self._part
            # Whatever one call took, nobody waits longer for it.
            self._made_up_at[who] = min(made_up_at, now + self._saved + LONGEST_SECONDS)
            if len(self._made_up_at) > _MANY:
                self._made_up_at = {name: at for name, at in self._made_up_at.items() if at > now}


class Turns:
    """The same on the event loop: who has spent its time is served one call after the other, with pauses between.

    Of a call its steps on the loop count, for which everybody waits; not what it waits for itself, nor its threads.
    """

    def __init__(self, spending: Spending) -> None:
        """For one event loop."""
        self._spending = spending
        # Each is kept by the calls that wait for it.
        self._turns = WeakValueDictionary[Hashable, asyncio.Lock]()

    def within(self, method: str, decide: Decide) -> Decide:
        """A method with which no caller uses up the loop."""

        async def answer(request: Any, caller: str) -> Message:
            who = (caller, method)
            if not self._spending.wait(who):
                return await self._counted(who, decide(request, caller))
            turn = self._turns.setdefault(who, asyncio.Lock())
            async with turn:
                await asyncio.sleep(self._spending.wait(who))
                return await self._counted(who, decide(request, caller))

        return answer

    async def _counted(self, who: Hashable, answering: Coroutine[Any, Any, Message]) -> Message:
        steps = _Steps(answering)
        try:
            return await steps
        finally:
            self._spending.charge(who, steps.seconds)


class _Steps:
    """A coroutine, and how long its steps took."""

    def __init__(self, coroutine: Coroutine[Any, Any, Message]) -> None:
        self.seconds = 0.0
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Message]:
        step: Callable[[Any], Any] = self._coroutine.send
        sent: Any = None
        while True:
            began = time.thread_time()
            try:
                waited_for = step(sent)
            except StopIteration as end:
                return cast(Message, end.value)
            finally:
                self.seconds += time.thread_time() - began
            try:
                step, sent = self._coroutine.send, (yield waited_for)
            except BaseException as fault:  # noqa: BLE001 - the coroutine's own, as a cancellation is.
                step, sent = self._coroutine.throw, fault
