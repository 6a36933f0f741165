"""Explanations and lists have a share of the decision plane; checks have the rest, whatever is asked beside them.

The share is one of places and one of time. So many may be in hand, and of one
caller three quarters of them; the next one is refused, not queued. One is worked
on at a time, and a caller that has spent its time waits with the next until that
has been made up for: a flood of them, however cheap each is, leaves the core to
the checks.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from policy_service.rpc.errors import TooManyQuestions
from policy_service.rpc.spending import Spending

CHECKS: Final = frozenset({"Check", "BatchCheck"})
"""The methods that nothing else may keep waiting."""

_LIMIT: Final = "explanations and lists"

Decide = Callable[[Any, str], Message]


class Share:
    """Can be used by several threads."""

    def __init__(self, most: int, spending: Spending, *, tells_callers_apart: bool) -> None:
        """``most`` should be well below the threads that there are."""
        self._most = most
        self._most_of_one = max(1, most * 3 // 4) if tells_callers_apart else most
        self._spending = spending
        self._lock = threading.Lock()
        self._in_hand = Counter[str]()
        self._turns: dict[str, threading.Lock] = {}
        # In Python more at once take no less time, and checks wait for each.
        self._working = threading.Lock()

    def within(self, decide: Decide) -> Decide:
        """A method that is answered within the share; raises TooManyQuestions where that is full."""

        def answer(request: Any, caller: str) -> Message:
            turn = self._enter(caller)
            try:
                with turn:
                    time.sleep(self._spending.wait(caller))
                    with self._working:
                        began = time.thread_time()
                        try:
                            return decide(request, caller)
                        finally:
                            self._spending.charge(caller, time.thread_time() - began)
            finally:
                self._leave(caller)

        return answer

    def _enter(self, caller: str) -> threading.Lock:
        with self._lock:
            if self._in_hand.total() >= self._most:
                raise TooManyQuestions(limit=_LIMIT, most=self._most)
            if self._in_hand[caller] >= self._most_of_one:
                raise TooManyQuestions(limit=f"{_LIMIT} of one caller", most=self._most_of_one)
            self._in_hand[caller] += 1
            return self._turns.setdefault(caller, threading.Lock())

    def _leave(self, caller: str) -> None:
        with self._lock:
            self._in_hand[caller] -= 1
            if not self._in_hand[caller]:
                del self._in_hand[caller], self._turns[caller]
