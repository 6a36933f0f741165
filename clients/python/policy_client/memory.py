"""Answers of checks that a client remembers where it was asked to, and for how long.

A remembered answer may be wrong by then: whoever lost a right is allowed for as long as ``Remember.seconds`` after.
It is given never later than that, nor after any answer of the service was of a newer revision, nor to a question that
asks for a revision beyond it. Denials for names that nobody knows are not remembered: there are too many of them.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final

from policy_client.answers import Channel, Decision, Question, Reason
from policy_client.channel import read_timeout
from policy_client.revisions import Revision, history_of

MOST_SECONDS: Final = 10.0
"""More would be a right that lives on after it was taken away."""
MOST_ANSWERS: Final = 1_000_000

_REMEMBERED: Final = frozenset({Reason.GRANTED, Reason.NOT_GRANTED, Reason.DENIED_BY_RULE, Reason.CHANNEL_NOT_ALLOWED})
"""Answers about members of an account and actions that there are."""

_Key = tuple[str, str, str, Channel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """For how long, and how many. **A right that was taken away is still answered for so many seconds.**

    A remembered answer is in no decision log a second time. A question with ``resource`` or ``correlation_id``, which
    are for the log, is always asked. Raises ValueError for more than 10 seconds, or for none.
    """

    seconds: float
    most: int = 10_000

    def __post_init__(self) -> None:
        if read_timeout(self.seconds, "seconds") > MOST_SECONDS:
            raise ValueError(f"seconds is {self.seconds}; no answer is remembered for longer than {MOST_SECONDS:g}")
        if isinstance(self.most, bool) or not isinstance(self.most, int) or not 1 <= self.most <= MOST_ANSWERS:
            raise ValueError(f"most is {self.most!r}; give a number of answers from 1 to {MOST_ANSWERS:,}")


class Memory:
    """Answers by question, all of the newest revision that was seen. Threads share it."""

    def __init__(self, remember: Remember) -> None:
        """Nothing yet."""
        self._remember = remember
        self._lock = threading.Lock()
        self._answers: OrderedDict[_Key, tuple[Decision, float]] = OrderedDict()
        self._newest: Revision | None = None

    def find(self, question: Question) -> Decision | None:
        """The answer of before, if it may be given."""
        key = _key(question)
        with self._lock:
            decision, asked = self._answers.get(key, (None, 0.0))
            if decision is None:
                return None
            if now() - asked >= self._remember.seconds:
                del self._answers[key]
                return None
            history = history_of(question.min_revision)
            if question.min_revision > decision.revision or history not in ("", decision.revision.history):
                return None
            self._answers.move_to_end(key)
            return decision

    def keep(self, question: Question, decision: Decision, asked: float) -> None:
        """Remember an answer from the moment at which it was ``asked`` for: it was true at some time since."""
        if decision.reason not in _REMEMBERED:
            return
        with self._lock:
            # An answer of a replica that is behind, or of before a restore, would bring back what was dropped.
            if self._newest is None or not _same(decision.revision, self._newest):
                return
            key = _key(question)
            self._answers[key] = replace(decision, cached=True), asked
            self._answers.move_to_end(key)
            if len(self._answers) > self._remember.most:
                self._answers.popitem(last=False)

    def saw(self, revision: Revision) -> None:
        """Some answer was of this revision: what is older is dropped, and what is of another history."""
        with self._lock:
            newest = self._newest
            if newest is None or revision > newest or revision.history != newest.history:
                self._newest = revision
                self._answers.clear()

    def __len__(self) -> int:
        return len(self._answers)


def now() -> float:
    """Seconds that also pass while the machine is suspended, where the system counts those."""
    clock: Any = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def is_for_the_log(question: Question) -> bool:
    """Does it say something that is to be recorded with it?"""
    return bool(question.resource or question.correlation_id)


def _same(one: Revision, other: Revision) -> bool:
    return one == other and one.history == other.history


def _key(question: Question) -> _Key:
    return question.user, question.physician, question.action, Channel(question.channel)
