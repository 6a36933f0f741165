"""Explanations and lists have a share of the decision plane; checks have the rest, whatever is asked beside them."""

import threading
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from policy_service.rpc.errors import TooManyQuestions

CHECKS: Final = frozenset({"Check", "BatchCheck"})
"""The methods that nothing else may keep waiting."""
_AT_ONCE: Final = 2
"""Of those in hand the ones that are worked on: in Python more take no less time, and checks wait for each."""

Decide = Callable[[Any, str], Message]


class Share:
    """So many calls in hand, and no more: the next one is refused at once, not queued."""

    def __init__(self, most: int) -> None:
        """``most`` should be well below the threads that there are."""
        self._most = most
        self._in_hand = threading.BoundedSemaphore(most)
        self._worked_on = threading.BoundedSemaphore(_AT_ONCE)

    def within(self, decide: Decide) -> Decide:
        """A method that is answered within the share; raises TooManyQuestions where that is full."""

        def answer(request: Any, caller: str) -> Message:
            if not self._in_hand.acquire(blocking=False):
                raise TooManyQuestions(most=self._most)
            try:
                with self._worked_on:
                    return decide(request, caller)
            finally:
                self._in_hand.release()

        return answer
