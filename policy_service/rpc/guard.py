"""Stands before every method: who calls, may they, is there room, how fast; and what may leave as an error.

Handlers take their request as it was sent, as a stream of one message. So the
caller is known, and refused, before its message came; a call that says nothing
holds no more than a place that others can have; and what cannot be read is
answered like any other bad request.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from queue import SimpleQueue
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from policy_service import tracing
from policy_service.decide import Reach
from policy_service.errors import PolicyError
from policy_service.replicate import Replica
from policy_service.rpc import deadlines
from policy_service.rpc.bounds import Takes
from policy_service.rpc.errors import AnswerNotTaken, CallerNotAllowed, RateLimited
from policy_service.rpc.identity import Identities
from policy_service.rpc.observing import Observing, now
from policy_service.rpc.reach import Beyond, refuse_beyond
from policy_service.rpc.room import Place, Room
from policy_service.rpc.share import CHECKS, Share
from policy_service.rpc.slowing import Slowing
from policy_service.rpc.spending import READS, Spending, Turns

_TAKEN_SECONDS: Final = 60.0
"""For how long a part of an answer waits to be read."""


class Guard:
    """What the handlers of both planes share. Rights and limits hold for each caller."""

    def __init__(
        self,
        replica: Replica,
        identities: Identities,
        *,
        limits: Mapping[str, Beyond],
        threads: int,
        rooms: tuple[Room, Room],
        lists: int,
        pace: float,
        refusals: float,
        part: float,
        observing: Observing,
    ) -> None:
        """``limits`` tell of each method that can be limited to named accounts what is beyond them.

        ``threads`` answer at once, ``rooms`` hold the calls of the two planes, ``pace`` is questions a second.

        ``lists`` is how many explanations and lists may be in hand on the decision plane, ``part`` of a core is what
        those of one caller may take, ``refusals`` how many a second of one caller come at once; ``observing`` hears of
        each call.
        """
        self._share = Share(lists, Spending(part), tells_callers_apart=identities.tells_apart)
        # Beside its steps on the loop a call there has threads and a database, which are not counted.
        self._turns = Turns(Spending(part / 2))
        self._replica = replica
        self._limits = limits
        self._identities = identities
        self._room, self._room_async = rooms
        # As many as work at once; a call whose message has not come holds a thread, and none of these.
        self._working = SimpleQueue[None]()
        for _ in range(threads):
            self._working.put(None)
        self._bucket = _Buckets(pace) if pace else None
        self._slowing = Slowing(refusals)
        self._observing = observing

    def admit(self, context: Any, method: str) -> tuple[str, Reach]:
        """The caller, and where it may call the method. Raises CallerNotAllowed, and what ``Identities.of`` does."""
        # A stale replica refuses here already: tokens and rights that were taken may not live on in it.
        callers = self._replica.at().callers
        caller = self._identities.of(context, callers.credentials)
        reach = callers.reach(caller, method)
        if reach is None or (reach.is_limited and method not in self._limits):
            raise CallerNotAllowed(caller=caller, method=method)
        return caller, reach

    def refuse_stranger(self, context: Any) -> None:
        """For what needs no right: raise CallerNotIdentified where nobody but a token would tell who connects."""
        self._identities.refuse_stranger(context, self._replica.snapshot.callers.credentials)

    def pace(self, caller: str, request: Any) -> None:
        """Raises RateLimited for who asks too fast."""
        if self._bucket is not None and not self._bucket.take(caller, _questions(request)):
            raise RateLimited(limit="questions a second of one caller", most=self._bucket.rate)

    def wrap(
        self, service: str, name: str, takes: Takes, decide: Callable[[Any, str], Message]
    ) -> Callable[[Any, Any], Message]:
        """A handler for the thread-pool server."""
        method = f"{service}/{name}"
        answer = self._working_on(decide)
        if name not in CHECKS:
            answer = self._share.within(answer)
        begin = self._observing.method(service, name).begin

        def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> Message:
            caller, call = "", begin(context)
            try:
                caller, reach = self.admit(context, method)
                call.caller = caller
                with self._room.enter(caller, context.peer(), context.cancel) as place:
                    request = takes(next(messages, None))
                    place.heard()
                    call.request, call.heard_at = request, now()
                    self.pace(caller, request)
                    if reach.is_limited:
                        refuse_beyond(self._limits, caller, method, request, reach)
                    deadlines.begin(context)
                    return call.answered(answer(request, caller))
            except PolicyError as error:
                self._slowing.hold(error, caller, context.peer(), self._room)
                refused = call.refused(error)
            except grpc.RpcError:
                # It was ended while it was silent, by its caller or by us, and nobody is there to be told.
                raise
            except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
                refused = call.failed(fault)
            context.set_trailing_metadata(call.trailing(refused))
            context.abort(refused[0], refused[1])
            raise AssertionError("abort raises")

        return tracing.over(service, name, handle)

    def _working_on(self, decide: Callable[[Any, str], Message]) -> Callable[[Any, str], Message]:
        """A method of which so many are worked on at once."""

        def answer(request: Any, caller: str) -> Message:
            self._working.get()
            try:
                return decide(request, caller)
            finally:
                self._working.put(None)

        return answer

    def wrap_async(
        self, service: str, name: str, takes: Takes, decide: Callable[[Any, str], Any]
    ) -> Callable[[Any, Any], Any]:
        """A handler for the asyncio server."""
        if name in READS:
            decide = self._turns.within(name, decide)

        async def answer(request: Any, caller: str) -> AsyncIterator[Message]:
            yield await decide(request, caller)

        return self.wrap_stream(service, name, takes, answer)

    def wrap_stream(
        self, service: str, name: str, takes: Takes, decide: Callable[[Any, str], Any]
    ) -> Callable[[Any, Any], Any]:
        """A handler of the asyncio server whose answer comes in parts."""
        method = f"{service}/{name}"
        begin = self._observing.method(service, name).begin

        async def handle(_: object, context: Any) -> None:
            caller, call = "", begin(context)
            call.spending()
            try:
                caller, reach = self.admit(context, method)
                call.caller = caller
                async with silence_ends(self._room_async, caller, context.peer()) as place:
                    request = takes(await context.read())
                    place.heard()
                    call.request, call.heard_at = request, now()
                    self.pace(caller, request)
                    if reach.is_limited:
                        refuse_beyond(self._limits, caller, method, request, reach)
                    async with aclosing(decide(request, caller)) as parts:
                        async for part in parts:
                            await give(context, part)
            except PolicyError as error:
                await self._slowing.hold_async(error, caller, context.peer(), self._room_async)
                refused = call.refused(error)
            except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
                refused = call.failed(fault)
            else:
                call.answered(None)
                return
            context.set_trailing_metadata(call.trailing(refused))
            await context.abort(refused[0], refused[1])

        return tracing.over_async(service, name, handle)


@asynccontextmanager
async def silence_ends(room: Room, caller: str, connection: str) -> AsyncIterator[Place]:
    """A place for a call of the asyncio server. Raises TooManyCalls, and CallNotSent when the call is ended."""
    limit = asyncio.timeout(None)
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        limit.reschedule(asyncio.get_running_loop().time())

    with room.enter(caller, connection, end) as place:
        try:
            async with limit:
                yield place
        except TimeoutError:
            if ended:
                raise room.not_sent() from None
            raise


async def give(context: Any, part: Message) -> None:
    """Whoever asks for much and reads nothing keeps others from asking. Raises AnswerNotTaken."""
    try:
        async with asyncio.timeout(_TAKEN_SECONDS):
            await context.write(part)
    except TimeoutError as fault:
        raise AnswerNotTaken(limit="seconds for a part of an answer to be read", most=_TAKEN_SECONDS) from fault


def _questions(request: Any) -> int:
    checks = getattr(request, "checks", None)
    return 1 if checks is None else len(checks)


class _Buckets:
    """A token bucket for each caller, filled at a rate, holding one second's worth (at least one batch)."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._most = max(rate, 1_000.0)
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, caller: str, weight: int) -> bool:
        with self._lock:
            now = self._clock()
            level, then = self._levels.get(caller, (self._most, now))
            level = min(self._most, level + (now - then) * self.rate)
            enough = level >= weight
            self._levels[caller] = (level - weight if enough else level, now)
        return enough
