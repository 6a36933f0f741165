"""The two listeners: decision plane on threads, management plane on asyncio."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor

from policy_service import metrics
from policy_service.decision_log import SEGMENT_BYTES
from policy_service.errors import StartError
from policy_service.pb import audit_pb2, callers_pb2, decision_pb2, manage_users_pb2, seeds_pb2
from policy_service.replicate import Replica
from policy_service.rpc.beside import Beside, ending_silence
from policy_service.rpc.bounds import MOST_MESSAGE, reader
from policy_service.rpc.certificates import Certificates
from policy_service.rpc.decision import DecisionService
from policy_service.rpc.guard import Guard
from policy_service.rpc.identity import Identities
from policy_service.rpc.observing import Observing
from policy_service.rpc.open_files import connections_within
from policy_service.rpc.reach import limits_of
from policy_service.rpc.room import Room
from policy_service.rpc.tls_files import TlsFiles
from policy_service.rpc.turned_away import Threads
from policy_service.settings import Settings

DECISION: Final = decision_pb2.DESCRIPTOR.services_by_name["DecisionService"]
MANAGE_USERS: Final = manage_users_pb2.DESCRIPTOR.services_by_name["ManageUsersService"]
SEEDS: Final = seeds_pb2.DESCRIPTOR.services_by_name["SeedService"]
AUDIT: Final = audit_pb2.DESCRIPTOR.services_by_name["AuditService"]
CALLERS: Final = callers_pb2.DESCRIPTOR.services_by_name["CallersService"]

RECORDING: Final = "policy.v1.DecisionLog"
"""Name under which health says whether decisions can be recorded; no service of the contract."""
_GRACE_SECONDS: Final = 5.0
_LEAVING_SECONDS: Final = 0.25
"""For those who watch health to hear that this replica stops."""
_SEGMENT_MB: Final = SEGMENT_BYTES >> 20
_PATIENCE_SECONDS: Final = 5.0
"""For how long a call that was opened may say nothing."""
_SPARE_CALLS: Final = 4_000
"""Calls of the decision plane that wait to be refused, with the words for it; gRPC turns more away by itself."""
_SPARE_THREADS: Final = 64
"""Those that refuse them."""
_MOST_PENDING: Final = 10_000

_OPTIONS: Final = (
    # A batch of 1,000 questions with every field full is about 600 KB.
    ("grpc.max_receive_message_length", MOST_MESSAGE),
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    # Of one connection. A lower bound is no defence worth having: gRPC resets streams that a busy caller opens over it.
    ("grpc.max_concurrent_streams", 100),
    ("grpc.so_reuseport", 0),
    # Calls that came and wait to be looked at, about 20 KB each. gRPC refuses from 1,000 on unless told otherwise: so
    # cheaply that whoever asks again at once uses up the core, and good calls are refused with the bad. Waiting slows
    # them down.
    ("grpc.server.max_pending_requests", _MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
    # A connection that says nothing, or nothing that is TLS and HTTP/2, does not stay: it holds a file.
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 60_000),
    # Nor does one that went silent, or holds a call open for ever.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Callers ask once a minute whether this side is there; gRPC would end their connection for less than five.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
    ("grpc.max_connection_age_ms", 120_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
)
# Plans, exports and verifications of millions of entries take minutes, and a connection that is renewed meanwhile lets
# them end. Calls here hold no thread, and a stream that is not read ends (see guard.py).
_LONG_CALLS_MS: Final = 3_600_000
_MANAGEMENT_OPTIONS: Final = (*_OPTIONS[:-1], ("grpc.max_connection_age_grace_ms", _LONG_CALLS_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Two listeners that are up: where, and how to say whether they should be used."""

    decision_port: int
    management_port: int
    decision_token_port: int | None
    """Where callers show a token instead of a certificate, if anywhere."""
    management_token_port: int | None
    say_serving: Callable[..., Any]
    """Told whether the planes should be used, and the names of services that should not be even so (``but``)."""
    certificates: Certificates | None
    """With TLS: what is to be watched for new files."""


@asynccontextmanager
async def serving(
    settings: Settings,
    replica: Replica,
    decisions: DecisionService,
    managing: Mapping[ServiceDescriptor, object],
    *,
    clock: Callable[[], datetime],
    seen: Callable[[str, datetime], None],
) -> AsyncIterator[Planes]:
    """Listen on both planes until the block ends; then say so, go on for a while, and let the calls in hand finish.

    ``managing`` are the services of the management plane; ``seen`` is told of each token that identified a caller.

    Raises StartError if an address cannot be had or a certificate not be used.
    """
    files = TlsFiles.of(settings)
    certificates = None if files is None else await asyncio.to_thread(Certificates, files, clock)
    # This process's own part of the decision log, and as much of one that was killed.
    segments = 2 * settings.decision_log_spool_mb // _SEGMENT_MB
    most_connections = connections_within(settings.max_connections, segments=segments)
    bound = ("grpc.max_allowed_incoming_connections", most_connections)
    rooms = _room(settings), _room(settings)
    guard = Guard(
        replica,
        Identities(
            certificates=settings.has_tls,
            tokens=settings.has_token_address,
            uri_prefix=settings.tls_caller_uri,
            seen=seen,
        ),
        limits=limits_of([DECISION, *managing]),
        threads=settings.decision_threads,
        rooms=rooms,
        lists=min(settings.list_threads, max(1, settings.decision_threads // 2)),
        pace=settings.max_questions_per_second,
        refusals=settings.refusals_per_second,
        part=settings.list_part,
        observing=Observing(log_calls=settings.log_calls, slow=settings.slow_call_seconds),
    )

    # A call holds a thread until its message has come, so there are as many as calls. Few of them work at once.
    threads = Threads(settings.max_concurrent_calls + _SPARE_THREADS, thread_name_prefix="decision")
    most = settings.max_concurrent_calls + _SPARE_CALLS
    decision = grpc.server(threads, options=(*_OPTIONS, bound), maximum_concurrent_rpcs=most)
    decision.add_generic_rpc_handlers((threads.given_by(_handlers(DECISION, decisions, guard.wrap)),))
    beside = partial(Beside, has_reflection=settings.reflection, refuse_stranger=guard.refuse_stranger)
    decision_beside = beside([DECISION], RECORDING)
    decision_beside.add_to(decision)

    # Without a bound of gRPC's own: it would refuse health as well, and a refusal here holds nothing.
    management = grpc.aio.server(options=(*_MANAGEMENT_OPTIONS, bound))
    management.add_generic_rpc_handlers(
        tuple(
            _handlers(descriptor, service, guard.wrap_async, guard.wrap_stream)
            for descriptor, service in managing.items()
        )
    )
    management_beside = beside([*managing], RECORDING)
    management_beside.add_to_async(management)

    async def say(serving: bool, but: Collection[str] = ()) -> None:  # noqa: FBT001 - its whole meaning.
        for one in (decision_beside, management_beside):
            one.health.say(serving=serving, but=but)

    for plane, room in zip(("decision", "management"), rooms, strict=True):
        metrics.calls_in_hand.labels(plane).set_function(partial(getattr, room, "taken"))
    for_certificates = certificates if settings.has_tls else None
    decision_port = _listen(decision, settings.decision_address, for_certificates)
    management_port = _listen(management, settings.management_address, for_certificates)
    # grpcio asks every client of an address for a certificate, or none: tokens have addresses of their own.
    decision_token_port = _listen_for_tokens(decision, settings.decision_token_address, certificates)
    management_token_port = _listen_for_tokens(management, settings.management_token_address, certificates)
    await say(True)  # noqa: FBT003
    decision.start()
    await management.start()
    ending = asyncio.create_task(ending_silence((*rooms, *decision_beside.rooms, *management_beside.rooms)))
    try:
        yield Planes(
            decision_port=decision_port,
            management_port=management_port,
            decision_token_port=decision_token_port,
            management_token_port=management_token_port,
            say_serving=say,
            certificates=certificates,
        )
    finally:
        await say(False)  # noqa: FBT003
        # Who watches goes elsewhere now, and what comes before everybody has heard of it is answered as ever. What
        # comes once a server of gRPC's has begun to stop is cancelled.
        is_watched = decision_beside.health.is_watched or management_beside.health.is_watched
        await draining(max(settings.drain_seconds, _LEAVING_SECONDS if is_watched else 0.0))
        stopped = decision.stop(_GRACE_SECONDS)
        stopping = asyncio.create_task(management.stop(_GRACE_SECONDS))
        # Once both have begun to stop, no call is new; what says nothing or only listens does not hold the stop.
        await asyncio.sleep(0)
        for room in rooms:
            room.close()
        decision_beside.close()
        management_beside.close()
        await stopping
        await asyncio.to_thread(stopped.wait)
        ending.cancel()
        threads.shutdown(wait=False)
        decision_beside.end_threads()


async def draining(seconds: float) -> None:
    """Between saying that this replica stops, and stopping."""
    await asyncio.sleep(seconds)


def _room(settings: Settings) -> Room:
    most = settings.max_concurrent_calls
    # Without TLS nearly all callers are one.
    of_one = settings.max_calls_per_caller if settings.has_tls or settings.has_token_address else most
    return Room("calls", most=most, most_of_one=of_one, patience=_PATIENCE_SECONDS)


def _handlers(
    descriptor: ServiceDescriptor,
    service: object,
    wrap: Callable[..., Any],
    wrap_stream: Callable[..., Any] | None = None,
) -> "grpc.GenericRpcHandler[Any, Any]":
    """A handler for every method of the contract; a method without one fails here, at the start."""
    handlers = {}
    for method in descriptor.methods:
        decide = getattr(service, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
        takes = reader(method.input_type)
        # On the wire a stream of one message is that message. The guard reads it, and may answer in parts.
        handler: Any = grpc.stream_unary_rpc_method_handler
        if wrap_stream is not None:
            handler = grpc.stream_stream_rpc_method_handler
        wrap_method = wrap_stream if method.server_streaming and wrap_stream is not None else wrap
        handlers[method.name] = handler(
            wrap_method(descriptor.name, method.name, takes, decide),
            response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)


def _listen_for_tokens(server: Any, address: str, certificates: Certificates | None) -> int | None:
    if not address:
        return None
    if certificates is None:
        raise StartError(f"Tokens are not taken at {address} in plain text.")
    return _listen(server, address, certificates, require_client=False)


def _listen(server: Any, address: str, certificates: Certificates | None, *, require_client: bool = True) -> int:
    try:
        if certificates is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, certificates.credentials(require_client=require_client)))
    except RuntimeError as fault:
        raise StartError(f"Cannot listen on {address}: is another service there?") from fault
