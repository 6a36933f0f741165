"""In what order addresses are asked, and when again: in turn, those that failed lately last.

gRPC spreads calls over the servers behind one name, and tries again there, by itself. Over several addresses, each with
a name of its own to be known by, it does not: this does, by the same rules (gRFC A6): only what was not answered is
tried again, after a while, within the call's time, and less and less while most calls fail.
"""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import grpc

RETRIED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""What a server says, or gRPC for it, that did not act. One that stops or has too much to do cancels calls: no caller
of ours wanted that."""
PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.5
MOST_TOKENS: Final = 1_000
"""While the half of them is left, calls are tried again: each attempt that fails takes one."""
TOKENS_BACK: Final = 0.2
"""What each answer gives back: in a long outage attempts grow by so much and no more."""
_MORE_ATTEMPTS: Final = 4
"""After each address was asked once."""
_LAST_SECONDS: Final = 1.0
"""For so long an address that failed is asked after all others; then one call finds out."""


class Stay:
    """Keeps calls that belong together, as pages of a list, at the address that answered first, while it answers."""

    def __init__(self) -> None:
        """Nobody has answered yet."""
        self.at: int | None = None


class Turns:
    """What one client knows of its addresses. Threads share it; what they may lose to each other does not matter."""

    def __init__(self, addresses: int, clock: Callable[[], float] = time.monotonic) -> None:
        """All are well until they fail."""
        self.clock = clock
        self._next = count()
        self._failed_until = [0.0] * addresses
        self._tokens = float(MOST_TOKENS)

    def begin(self, seconds: float | None, *, shared: bool = False, stay: Stay | None = None) -> "Asking":
        """A call's own; its time is ``shared`` among addresses where a lost attempt does no harm."""
        now, total = self.clock(), len(self._failed_until)
        first = next(self._next) if stay is None or stay.at is None else stay.at
        turn = [(first + more) % total for more in range(total)]
        order = sorted(turn, key=lambda at: self._failed_until[at] > now)
        if self._failed_until[order[0]]:
            # Nobody else finds out meanwhile.
            self._failed_until[order[0]] = now + _LAST_SECONDS
        return Asking(self, order, None if seconds is None else now + seconds, shared=shared, stay=stay)

    def answered(self, at: int) -> None:
        """The address is well."""
        self._failed_until[at] = 0.0
        self._tokens = min(self._tokens + TOKENS_BACK, MOST_TOKENS)

    def late(self, at: int) -> None:
        """Another was sooner by far: it is asked after all others for a while."""
        self._failed_until[at] = self.clock() + _LAST_SECONDS

    def failed(self, at: int) -> bool:
        """It is not; may a call be tried again?"""
        self.late(at)
        self._tokens = max(self._tokens - 1, 0)
        return self._tokens > MOST_TOKENS / 2


class Asking:
    """One call: whom to ask now, and for how long."""

    def __init__(self, turns: Turns, order: list[int], until: float | None, *, shared: bool, stay: Stay | None) -> None:
        """Use ``Turns.begin``."""
        self._turns, self._order, self._until, self._shared, self._stay = turns, order, until, shared, stay
        self._attempt = 0

    @property
    def at(self) -> int:
        """The address to ask."""
        return self._order[self._attempt % len(self._order)]

    @property
    def other(self) -> int:
        """The address to ask beside it; the same where there is one only."""
        return self._order[(self._attempt + 1) % len(self._order)]

    @property
    def left(self) -> float | None:
        """Seconds for this attempt; what is shared leaves half to the next."""
        if self._until is None:
            return None
        left = max(self._until - self._turns.clock(), 0.0)
        return left / 2 if self._may_end_early else left

    @property
    def _may_end_early(self) -> bool:
        return self._shared and self._attempt < len(self._order) - 1

    def answered(self, at: int | None = None) -> None:
        """An answer came, whatever it says; from another address, if it was sooner."""
        at = self.at if at is None else at
        if at != self.at:
            self._turns.late(self.at)
        self._turns.answered(at)
        if self._stay is not None:
            self._stay.at = at

    def again(self, failed: Any) -> float | None:
        """How long to wait before the next attempt; None: there is none, and what failed is the answer."""
        code = failed.code()
        if code not in RETRIED and code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            self.answered()
            return None
        early = code is grpc.StatusCode.DEADLINE_EXCEEDED
        allowed = self._turns.failed(self.at) and (self._may_end_early or not early)
        total = len(self._order)
        if total == 1 or not allowed or self._attempt + 1 >= total + _MORE_ATTEMPTS:
            # Of one address gRPC has tried again already.
            return None
        self._attempt += 1
        more = self._attempt - total
        pause = 0.0 if more < 0 else min(PAUSE * 2**more, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311
        if self._until is not None and self._turns.clock() + pause >= self._until:
            return None
        return pause
