"""What both planes answer beside the contract: health, reflection, and methods that are not there.

These need no right, so each has a room and threads of its own: nobody who uses
them up takes anything from a check, and no number of checks keeps a load
balancer from learning how the replica stands.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from policy_service.errors import PolicyError
from policy_service.rpc import reflecting
from policy_service.rpc.bounds import Takes, plain_reader
from policy_service.rpc.errors import TooManyWatches, UnknownMethod
from policy_service.rpc.guard import give, incident, silence_ends
from policy_service.rpc.health import HEALTH, Health
from policy_service.rpc.room import Place, Room
from policy_service.rpc.status import DETAILS_KEY, Refusal, refusal

_PATIENCE_SECONDS: Final = 5.0
_SPARE_THREADS: Final = 8
"""Those that refuse what a room has no place for."""

_CHECKED: Final = plain_reader(health_pb2.HealthCheckRequest)
_LISTED: Final = plain_reader(health_pb2.HealthListRequest)


class Beside:
    """The rooms of one plane, and its handlers."""

    def __init__(self, services: list[ServiceDescriptor], *also: str, has_reflection: bool) -> None:
        """``services`` are the plane's own; ``also`` are names of which health has something to say."""
        self.health = Health(*(service.full_name for service in services), *also)
        # Each connection has a share, as nobody is asked for a name here.
        self._checks = Room("health checks", most=64, most_of_one=16, patience=_PATIENCE_SECONDS)
        self._watches = Room("health watches", most=64, most_of_one=8, patience=_PATIENCE_SECONDS, full=TooManyWatches)
        self._reflections = Room("reflection streams", most=16, most_of_one=4, patience=2 * _PATIENCE_SECONDS)
        self._services = services
        self._has_reflection = has_reflection
        self._pools = list[ThreadPoolExecutor]()

    @property
    def rooms(self) -> tuple[Room, ...]:
        """All of them, whose silent calls somebody must end."""
        return self._checks, self._watches, self._reflections

    def close(self) -> None:
        """Let go of whoever watches, looks or says nothing; what was asked is answered."""
        self.health.close()
        for room in self.rooms:
            room.close()

    def end_threads(self) -> None:
        """To be called when the server has stopped: one that still takes calls needs them."""
        for pool in self._pools:
            pool.shutdown(wait=False)

    def add_to(self, server: grpc.Server) -> None:
        """Answer on a thread-pool server."""
        checks, watches, streams = self._pool("health", 64), self._pool("watch", 64), self._pool("reflection", 16)

        def once(takes: Takes, answer: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
            def answers(requests: Iterator[Any], _context: Any, place: Place) -> Iterator[Any]:
                request = next(requests)
                place.heard()
                yield answer(request)

            return _threaded(self._checks, takes, answers, checks)

        def watched(requests: Iterator[Any], context: Any, place: Place) -> Iterator[Any]:
            request = next(requests)
            place.spoke(lasting=True)
            yield from self.health.watch(request, context)

        methods = {
            "Check": once(_CHECKED, self.health.check),
            "List": once(_LISTED, lambda _: self.health.list()),
            "Watch": _threaded(self._watches, _CHECKED, watched, watches),
        }
        server.add_generic_rpc_handlers((_serving(HEALTH.full_name, methods),))
        if self._has_reflection:
            servicer = reflecting.answering((*self._services, HEALTH))

            def reflected(requests: Iterator[Any], context: Any, place: Place) -> Iterator[Any]:
                yield from servicer.ServerReflectionInfo(_spoken(requests, place), context)

            handler = _threaded(self._reflections, plain_reader(reflecting.REQUEST), reflected, streams)
            for name in reflecting.NAMES:
                server.add_generic_rpc_handlers((_serving(name, {reflecting.METHOD: handler}),))
        server.add_generic_rpc_handlers((_Absent(self._refuse_absent()),))

    def add_to_async(self, server: grpc.aio.Server) -> None:
        """Answer on an asyncio server."""

        def once(takes: Takes, answer: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
            async def answers(requests: AsyncIterator[Any], place: Place) -> AsyncIterator[Any]:
                request = await anext(requests)
                place.heard()
                yield answer(request)

            return _looped(self._checks, takes, answers)

        async def watched(requests: AsyncIterator[Any], place: Place) -> AsyncIterator[Any]:
            request = await anext(requests)
            place.spoke(lasting=True)
            async with aclosing(self.health.watch_async(request)) as states:  # type: ignore[type-var]
                async for state in states:
                    yield state

        methods = {
            "Check": once(_CHECKED, self.health.check),
            "List": once(_LISTED, lambda _: self.health.list()),
            "Watch": _looped(self._watches, _CHECKED, watched),
        }
        server.add_generic_rpc_handlers((_serving(HEALTH.full_name, methods),))
        if self._has_reflection:
            servicer = reflecting.answering_async((*self._services, HEALTH))

            async def reflected(requests: AsyncIterator[Any], place: Place) -> AsyncIterator[Any]:
                async with aclosing(servicer.ServerReflectionInfo(_spoken_async(requests, place), None)) as answers:
                    async for answer in answers:
                        yield answer

            handler = _looped(self._reflections, plain_reader(reflecting.REQUEST), reflected)
            for name in reflecting.NAMES:
                server.add_generic_rpc_handlers((_serving(name, {reflecting.METHOD: handler}),))

        async def absent(_: object, context: Any) -> None:
            await _abort_async(context, refusal(self._absent()))

        server.add_generic_rpc_handlers((_Absent(absent),))

    def _pool(self, name: str, threads: int) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(threads + _SPARE_THREADS, thread_name_prefix=name)
        self._pools.append(pool)
        return pool

    def _absent(self) -> UnknownMethod:
        return UnknownMethod(services=tuple(service.full_name for service in self._services))

    def _refuse_absent(self) -> Callable[[Any, Any], Any]:
        def absent(_: object, context: grpc.ServicerContext) -> Iterator[Any]:
            _abort(context, refusal(self._absent()))
            yield

        absent.experimental_thread_pool = self._pool("absent", 0)  # type: ignore[attr-defined]
        return absent


class _Absent(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Asked last: whatever no other handler knows."""

    def __init__(self, refuse: Callable[[Any, Any], Any]) -> None:
        self._handler = grpc.stream_stream_rpc_method_handler(refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ARG002
        return self._handler


def _serving(service: str, methods: dict[str, Callable[[Any, Any], Any]]) -> "grpc.GenericRpcHandler[Any, Any]":
    handlers: dict[str, Any] = {
        name: grpc.stream_stream_rpc_method_handler(
            handle, response_serializer=lambda response: response.SerializeToString()
        )
        for name, handle in methods.items()
    }
    return grpc.method_handlers_generic_handler(service, handlers)


def _threaded(
    room: Room,
    takes: Takes,
    answers: Callable[[Iterator[Any], Any, Place], Iterator[Any]],
    pool: ThreadPoolExecutor,
) -> Callable[[Any, Any], Any]:
    def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            connection = context.peer()
            with room.enter(connection, connection, context.cancel) as place:
                yield from answers(_parsed(takes, messages), context, place)
                return
        except PolicyError as error:
            refused = refusal(error)
        except grpc.RpcError:
            raise
        except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
            refused = incident(room.name, fault)
        _abort(context, refused)

    # The library's way of saying which threads a method has.
    handle.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return handle


def _looped(
    room: Room, takes: Takes, answers: Callable[[AsyncIterator[Any], Place], AsyncIterator[Any]]
) -> Callable[[Any, Any], Any]:
    async def handle(_: object, context: Any) -> None:
        try:
            connection = context.peer()
            async with (
                silence_ends(room, connection, connection) as place,
                aclosing(answers(_parsed_async(takes, context), place)) as parts,  # type: ignore[type-var]
            ):
                async for part in parts:
                    await give(context, part)
                return
        except PolicyError as error:
            refused = refusal(error)
        except Exception as fault:  # noqa: BLE001 - the last border: logged whole, told by name only.
            refused = incident(room.name, fault)
        await _abort_async(context, refused)

    return handle


def _parsed(takes: Takes, messages: Iterator[bytes]) -> Iterator[Any]:
    """At least one; a stream without any is refused."""
    yield takes(next(messages, None))
    for message in messages:
        yield takes(message)


async def _parsed_async(takes: Takes, context: Any) -> AsyncIterator[Any]:
    yield takes(await context.read())
    while isinstance(message := await context.read(), bytes):
        yield takes(message)


def _spoken(requests: Iterator[Any], place: Place) -> Iterator[Any]:
    for request in requests:
        place.spoke()
        yield request


async def _spoken_async(requests: AsyncIterator[Any], place: Place) -> AsyncIterator[Any]:
    async for request in requests:
        place.spoke()
        yield request


def _abort(context: grpc.ServicerContext, refused: Refusal) -> None:
    context.set_trailing_metadata(((DETAILS_KEY, refused[2]),))
    context.abort(refused[0], refused[1])


async def _abort_async(context: Any, refused: Refusal) -> None:
    context.set_trailing_metadata(((DETAILS_KEY, refused[2]),))
    await context.abort(refused[0], refused[1])


async def ending_silence(rooms: tuple[Room, ...], seconds: float = 0.5) -> None:
    """End what has been silent for too long, for ever."""
    while True:
        for room in rooms:
            room.end_overdue()
        await asyncio.sleep(seconds)
