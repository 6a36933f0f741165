"""What is known of a call afterwards: it is counted and timed, and told in the log where it failed or was slow.

A call has an id: the caller's ``x-request-id`` if that is one, else made when it
is first needed. An error carries it back (ErrorInfo and trailing metadata), so
that the line of a failed call is found. Of what was asked nothing is told but
the correlation id; of many lines of a caller the first, and how many more.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Literal, TypeVar

import structlog

from policy_service import metrics, tracing
from policy_service.errors import Kind, PolicyError
from policy_service.rpc.bounds import TEXTS
from policy_service.rpc.fields import is_text
from policy_service.rpc.status import DETAILS_KEY, INTERNAL, Refusal, internal, refusal
from policy_service.store import Spent, counting
from policy_service.vocabulary import Row, name_in

REQUEST_ID: Final = "x-request-id"
LogCalls = Literal["all", "failed", "none"]

_AN_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}")
_FAULTS: Final = (Kind.UNAVAILABLE, Kind.UNKNOWN)
_LINES_TOGETHER: Final = 20.0
_LINES_A_SECOND: Final = 5.0
"""Of refusals of one caller, and of its slow calls; a flood of them is told by its number."""
_MOST_CALLERS: Final = 1_024
_MOST_CAUSE: Final = 300

now: Final = time.perf_counter
log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class Observing:
    """What both planes tell of their calls."""

    def __init__(
        self, *, log_calls: LogCalls = "failed", slow: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``log_calls`` says of which calls there is a line; one that takes longer than ``slow`` seconds has one too.

        With 0 none is slow.
        """
        self.logs_all, self.logs_failed = log_calls == "all", log_calls != "none"
        self.tells_after = -1.0 if self.logs_all else slow or float("inf")
        self.slow = slow or float("inf")
        self.lines = Lines(clock)

    def method(self, service: str, name: str) -> "Method":
        """What is told of the calls of one method."""
        return Method(self, f"{service}/{name}")


class Method:
    """Begins calls."""

    def __init__(self, observing: Observing, name: str) -> None:
        """Use ``Observing.method``."""
        self.observing, self.name = observing, name
        self.note = metrics.calls.answered(name)
        self.tells_after = observing.tells_after
        self.begin: Callable[[Any], Call] = partial(_Traced if tracing.is_on() else Call, self)
        """A call, of which its context is given."""


class Call:
    """One call, from when its handler has it."""

    # Of the class until it is known of the call: what a Check pays for this is counted in nanoseconds.
    caller = ""
    id = ""
    request: Any = None
    heard_at: float | None = None
    """When its message had come."""
    spent: Spent | None = None

    def __init__(self, method: Method, context: Any) -> None:
        """Use ``Method.begin``."""
        self.method, self.context, self.began = method, context, now()

    def spending(self) -> None:
        """From now on it is counted what the task spends in the database."""
        self.spent = counting()

    def answered(self, answer: Answer) -> Answer:
        """This is its answer, or the end of it."""
        seconds = now() - self.began
        (method := self.method).note(seconds)
        if seconds > method.tells_after:
            self._tell_answered(seconds)
        return answer

    def refused(self, error: PolicyError) -> Refusal:
        """It is answered with this error."""
        refused = refusal(error, self.request_id)
        self._count(refused, error.reason)
        if error.kind is Kind.EXHAUSTED:
            limit = getattr(error, "limit", None)
            limit = limit if isinstance(limit, str) else error.reason.lower()
            metrics.limits_hit.labels(metrics.caller_label(self.caller), limit).inc()
        observing = self.method.observing
        if not observing.logs_failed:
            return refused
        is_fault, cause = error.kind in _FAULTS, error.__cause__
        untold = observing.lines.take(self.caller)
        if untold is None:
            return refused
        facts: dict[str, Any] = {} if cause is None else {"cause": repr(cause)[:_MOST_CAUSE]}
        if untold:
            facts["untold"] = untold
        facts |= self._facts(refused, error.reason)
        if is_fault or cause is not None:
            log.warning("call refused", **facts)
        else:
            log.info("call refused", **facts)
        return refused

    def failed(self, fault: Exception) -> Refusal:
        """It met a fault of ours: logged whole, told by name only."""
        number = secrets.token_hex(6)
        refused = internal(number, self.request_id)
        self._count(refused, INTERNAL)
        log.error("internal error", incident=number, **self._facts(refused, INTERNAL), exc_info=fault)
        return refused

    def trailing(self, refused: Refusal) -> tuple[tuple[str, str | bytes], ...]:
        """What goes back beside the status."""
        return (DETAILS_KEY, refused[2]), (REQUEST_ID, self.request_id)

    @property
    def request_id(self) -> str:
        """The caller's, or one of ours."""
        if not self.id:
            brought = next((at for key, at in self.context.invocation_metadata() or () if key == REQUEST_ID), "")
            is_one = isinstance(brought, str) and _AN_ID.fullmatch(brought)
            self.id = brought if is_one else secrets.token_hex(8)
        return self.id

    def _count(self, refused: Refusal, reason: str) -> None:
        code = refused[0].name
        metrics.refusals.labels(self.method.name, code).inc()
        metrics.calls.refused(self.method.name, code, reason)

    def _facts(self, refused: Refusal | None, reason: str = "") -> dict[str, Any]:
        """What every line of a call says."""
        seconds = now() - self.began
        told = {
            "method": self.method.name,
            "code": "OK" if refused is None else refused[0].name,
            **({"reason": reason} if reason else {}),
            "caller": self.caller,
            "request_id": self.request_id,
            "seconds": round(seconds, 4),
        }
        correlation = getattr(self.request, "correlation_id", "") or getattr(
            getattr(self.request, "check", None), "correlation_id", ""
        )
        # What is refused may not have been read yet.
        if correlation and is_text(correlation, TEXTS["correlation_id"]):
            told["correlation_id"] = correlation
        return told

    def _tell_answered(self, seconds: float) -> None:
        is_slow = seconds > self.method.observing.slow
        where = {"until_heard": round((self.heard_at or self.began) - self.began, 4)}
        if self.spent is not None and self.spent.statements:
            where |= {"in_database": round(self.spent.seconds, 4), "statements": self.spent.statements}
        if not is_slow:
            log.info("call answered", **self._facts(None), **where)
            return
        metrics.slow_calls.labels(self.method.name).inc()
        self.context.set_trailing_metadata(((REQUEST_ID, self.request_id),))
        # With a database that is slow every call is. No caller is called so.
        if (untold := self.method.observing.lines.take(f"slow {self.caller}")) is not None:
            log.warning("slow call", **self._facts(None), **where, **({"untold": untold} if untold else {}))


class _Traced(Call):
    """A call with a span, which is told how it ended."""

    def answered(self, answer: Answer) -> Answer:
        tracing.ended(code=0, reason="", fault=False, caller=self.caller, request_id=self.request_id)
        return super().answered(answer)

    def refused(self, error: PolicyError) -> Refusal:
        refused = super().refused(error)
        self._end(refused, error.reason, fault=error.kind in _FAULTS)
        return refused

    def failed(self, fault: Exception) -> Refusal:
        refused = super().failed(fault)
        self._end(refused, INTERNAL, fault=True)
        return refused

    def _end(self, refused: Refusal, reason: str, *, fault: bool) -> None:
        code = int(refused[0].value[0])
        tracing.ended(code=code, reason=reason, fault=fault, caller=self.caller, request_id=self.request_id)


class Lines:
    """How many lines there are of each caller's refusals. Can be used by several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float, int]] = {}

    def take(self, caller: str) -> int | None:
        """How many were not told since the last line; None where this one is not either."""
        with self._lock:
            now = self._clock()
            left, then, untold = self._left.get(caller, (_LINES_TOGETHER, now, 0))
            left = min(_LINES_TOGETHER, left + (now - then) * _LINES_A_SECOND)
            if left < 1:
                self._left[caller] = left, now, untold + 1
                return None
            if len(self._left) >= _MOST_CALLERS and caller not in self._left:
                self._left.clear()
            self._left[caller] = left - 1, now, 0
            return untold


def incident(method: str, fault: Exception) -> Refusal:
    """What somebody is told of a fault of ours who is no caller of the contract."""
    number = secrets.token_hex(6)
    log.error("internal error", method=method, incident=number, exc_info=fault)
    return internal(number)


def callers_named(rows: Iterable[Row]) -> frozenset[str]:
    """Who may call, by the policy's own rows."""
    return frozenset(name_in(row.values[0]) for row in rows if row.values[0].startswith("service:"))
