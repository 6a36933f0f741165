"""Stands before every method: who calls, may they, how fast; and what may leave as an error."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

import grpc
import structlog
from google.protobuf.message import Message

from policy_service import metrics
from policy_service.errors import AnswerNotTaken, CallerNotAllowed, InvalidRequest, PolicyError, RateLimited
from policy_service.replica import Replica
from policy_service.rpc.share import CHECKS, Share
from policy_service.rpc.status import DETAILS_KEY, Refusal, internal, refusal

LOCAL_CALLER: Final = "local"
_TAKEN_SECONDS: Final = 60.0
"""For how long a part of an answer waits to be read."""

log = structlog.get_logger(__name__)


class Guard:
    """What the handlers of both planes share. Rights and limits hold for each caller."""

    def __init__(self, replica: Replica, *, tls: bool, questions_per_second: float, lists: int) -> None:
        """Without ``tls`` the listeners are on loopback, and everyone there is the caller ``local``.

        ``lists`` is how many explanations and lists may be in hand on the decision plane.
        """
        self._share = Share(lists)
        self._replica = replica
        self._tls = tls
        self._bucket = _Buckets(questions_per_second) if questions_per_second else None

    def admit(self, context: Any, method: str, request: Any) -> str:
        """The caller, if it may call the method now. Raises CallerNotAllowed, RateLimited and InvalidRequest."""
        caller = _identity(context, method) if self._tls else LOCAL_CALLER
        # A stale replica refuses here already: rights that were taken may not live on in it.
        if not self._replica.at().basis.caller_may(caller, method):
            raise CallerNotAllowed(caller=caller, method=method)
        if self._bucket is not None and not self._bucket.take(caller, _questions(request)):
            raise RateLimited
        if isinstance(request, InvalidRequest):
            raise request  # What came could not be read: see bounds.py.
        return caller

    def wrap(self, service: str, name: str, decide: Callable[[Any, str], Message]) -> Callable[[Any, Any], Message]:
        """A handler for the thread-pool server."""
        method = f"{service}/{name}"
        if name not in CHECKS:
            decide = self._share.within(decide)

        def handle(request: Any, context: grpc.ServicerContext) -> Message:
            try:
                return decide(request, self.admit(context, method, request))
            except PolicyError as error:
                refused = refusal(error)
            except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
                refused = _incident(method, fault)
            metrics.refusals.labels(method, refused[0].name).inc()
            context.set_trailing_metadata(((DETAILS_KEY, refused[2]),))
            context.abort(refused[0], refused[1])
            raise AssertionError("abort raises")

        return handle

    def wrap_async(self, service: str, name: str, decide: Callable[[Any, str], Any]) -> Callable[[Any, Any], Any]:
        """A handler for the asyncio server."""
        method = f"{service}/{name}"

        async def handle(request: Any, context: Any) -> Message:
            try:
                return await decide(request, self.admit(context, method, request))  # type: ignore[no-any-return]
            except PolicyError as error:
                refused = refusal(error)
                if error.__cause__ is not None:
                    log.warning("refused", method=method, reason=error.reason, cause=repr(error.__cause__))
            except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
                refused = _incident(method, fault)
            metrics.refusals.labels(method, refused[0].name).inc()
            context.set_trailing_metadata(((DETAILS_KEY, refused[2]),))
            await context.abort(refused[0], refused[1])
            raise AssertionError("abort raises")

        return handle

    def wrap_stream(self, service: str, name: str, decide: Callable[[Any, str], Any]) -> Callable[[Any, Any], Any]:
        """A handler of the asyncio server whose answer comes in parts."""
        method = f"{service}/{name}"

        async def handle(request: Any, context: Any) -> None:
            try:
                async with aclosing(decide(request, self.admit(context, method, request))) as parts:
                    async for part in parts:
                        await _give(context, part)
            except PolicyError as error:
                refused = refusal(error)
            except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
                refused = _incident(method, fault)
            else:
                return
            metrics.refusals.labels(method, refused[0].name).inc()
            context.set_trailing_metadata(((DETAILS_KEY, refused[2]),))
            await context.abort(refused[0], refused[1])

        return handle


async def _give(context: Any, part: Message) -> None:
    """Whoever asks for much and reads nothing keeps others from asking."""
    try:
        async with asyncio.timeout(_TAKEN_SECONDS):
            await context.write(part)
    except TimeoutError as fault:
        raise AnswerNotTaken from fault


def _questions(request: Any) -> int:
    checks = getattr(request, "checks", None)
    return 1 if checks is None else len(checks)


def _incident(method: str, fault: Exception) -> Refusal:
    incident = secrets.token_hex(6)
    log.error("internal error", method=method, incident=incident, exc_info=fault)
    return internal(incident)


def _identity(context: Any, method: str) -> str:
    """The one name in the caller's verified certificate; two names are nobody, nor is the name of loopback."""
    peer = context.auth_context()
    names = set(peer.get("x509_subject_alternative_name", ())) or set(peer.get("x509_common_name", ()))
    name = names.pop().decode("utf-8", "replace") if len(names) == 1 else LOCAL_CALLER
    if name == LOCAL_CALLER:
        raise CallerNotAllowed(caller="", method=method)
    return str(name)


class _Buckets:
    """A token bucket for each caller, filled at a rate, holding one second's worth (at least one batch)."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = max(rate, 1_000.0)
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, caller: str, weight: int) -> bool:
        with self._lock:
            now = self._clock()
            level, then = self._levels.get(caller, (self._most, now))
            level = min(self._most, level + (now - then) * self._rate)
            enough = level >= weight
            self._levels[caller] = (level - weight if enough else level, now)
        return enough
