"""Who may use how much of the room in which decisions wait, and who waits for some.

A caller's share is its own: a sixty-fourth of all room is there for each of the
first sixteen who ask, whatever others do, as a quarter is kept for those who
hold no more. Of the rest a caller may hold seven times what it leaves free, so
that one alone uses most of it, and several come to hold as much as each other.
Whoever is beyond its share waits a little, a few calls of a caller and half of
all threads at most, and is told then to ask more slowly. Nobody else waits.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from policy_service.decision_log.errors import DecisionLogBehind, DecisionLogIsFull
from policy_service.errors import PolicyError

_PART_OF_EACH: Final = 64
_PART_KEPT: Final = 4
_TIMES_FREE: Final = 7
_LONGEST_WAIT: Final = 0.5
_PART_OF_WAITERS: Final = 4
"""One caller has a quarter of the calls that may wait."""


class NoRoom(Exception):
    """There is no room for a caller's decisions now; nothing was recorded."""

    def __init__(self, caller: str, size: int, *, is_full: bool) -> None:
        """``size`` is in bytes; ``is_full`` where no room is being made for anybody."""
        super().__init__(caller)
        self.caller = caller
        self.size = size
        self.is_full = is_full
        self.until = time.monotonic() + _LONGEST_WAIT
        """When whoever waits is told no."""

    @property
    def refusal(self) -> PolicyError:
        """What the caller is told."""
        if self.is_full:
            return DecisionLogIsFull()
        return DecisionLogBehind(limit="seconds of waiting for room to record decisions", most=_LONGEST_WAIT)


class Shares:
    """What each caller's lines take, in bytes. All but ``wait`` is called with the lock held."""

    def __init__(self, lock: threading.Lock, *, most_waiting: int) -> None:
        """At most ``most_waiting`` calls wait at once."""
        self._freed = threading.Condition(lock)
        self._held: dict[str, int] = {}
        self._waiting: Counter[str] = Counter()
        self._most_waiting = most_waiting
        self._most_of_one = max(1, most_waiting // _PART_OF_WAITERS)

    @property
    def is_wanted(self) -> bool:
        """Does anybody wait for room?"""
        return bool(self._waiting)

    def may_take(self, caller: str, size: int, *, free: int, room: int) -> bool:
        """Is this within the caller's share, where so much is free of all the room?"""
        held = self._held.get(caller, 0) + size
        if held <= room // _PART_OF_EACH:
            return size <= free
        return held <= _TIMES_FREE * (free - size - room // _PART_KEPT)

    def take(self, caller: str, size: int) -> None:
        """A caller's lines were written."""
        self._held[caller] = self._held.get(caller, 0) + size

    def give_back(self, held: Mapping[str, int]) -> None:
        """Lines are in the database."""
        for caller, size in held.items():
            left = self._held[caller] - size
            if left:
                self._held[caller] = left
            else:
                # Else a name would stay for everybody who ever asked.
                del self._held[caller]
        self._freed.notify_all()

    def wait(self, room: NoRoom, has_room: Callable[[], bool]) -> bool:
        """Wait until there is room; False where it is time to say no, or no room will be."""
        with self._freed:
            caller = room.caller
            if (
                room.is_full
                or self._waiting.total() >= self._most_waiting
                or self._waiting[caller] >= self._most_of_one
            ):
                return False
            self._waiting[caller] += 1
            try:
                return self._freed.wait_for(has_room, max(0.0, room.until - time.monotonic()))
            finally:
                self._waiting[caller] -= 1
                if not self._waiting[caller]:
                    del self._waiting[caller]
