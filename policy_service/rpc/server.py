"""The two listeners: decision plane on threads, management plane on asyncio."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from policy_service.errors import StartError
from policy_service.pb import audit_pb2, decision_pb2, manage_users_pb2, seeds_pb2
from policy_service.replica import Replica
from policy_service.rpc.decision import DecisionService
from policy_service.rpc.guard import Guard
from policy_service.settings import Settings

DECISION: Final = decision_pb2.DESCRIPTOR.services_by_name["DecisionService"]
MANAGE_USERS: Final = manage_users_pb2.DESCRIPTOR.services_by_name["ManageUsersService"]
SEEDS: Final = seeds_pb2.DESCRIPTOR.services_by_name["SeedService"]
AUDIT: Final = audit_pb2.DESCRIPTOR.services_by_name["AuditService"]

_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
_RECORDING: Final = "policy.v1.DecisionLog"
"""Name under which health says whether decisions can be recorded; no service of the contract."""
_GRACE_SECONDS: Final = 5.0

_OPTIONS: Final = (
    # A batch of 1,000 questions with every field full is about 600 KB.
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    # Of one connection. A lower bound is no defence worth having: gRPC resets streams that a busy caller opens over it.
    ("grpc.max_concurrent_streams", 100),
    ("grpc.so_reuseport", 0),
    # A connection that went silent, or holds a call open for ever, does not stay.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 600_000),
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
    say_serving: Callable[[bool], Any]
    say_recording: Callable[[bool], Any]


@asynccontextmanager
async def serving(
    settings: Settings, replica: Replica, decisions: DecisionService, managing: Mapping[ServiceDescriptor, object]
) -> AsyncIterator[Planes]:
    """Listen on both planes until the block ends, then let the calls in hand finish.

    ``managing`` are the services of the management plane.

    Raises StartError if an address cannot be had or a certificate not be read.
    """
    guard = Guard(replica, tls=settings.has_tls, questions_per_second=settings.max_questions_per_second)
    credentials = await asyncio.to_thread(_credentials, settings)

    threads = ThreadPoolExecutor(settings.decision_threads, thread_name_prefix="decision")
    decision = grpc.server(threads, options=_OPTIONS, maximum_concurrent_rpcs=settings.max_concurrent_calls)
    decision.add_generic_rpc_handlers((_handlers(DECISION, decisions, guard.wrap),))
    decision_health = health.HealthServicer(experimental_non_blocking=True)
    health_pb2_grpc.add_HealthServicer_to_server(decision_health, decision)

    management = grpc.aio.server(options=_MANAGEMENT_OPTIONS, maximum_concurrent_rpcs=settings.max_concurrent_calls)
    management.add_generic_rpc_handlers(
        tuple(
            _handlers(descriptor, service, guard.wrap_async, guard.wrap_stream)
            for descriptor, service in managing.items()
        )
    )
    management_health = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(management_health, management)

    if settings.reflection:
        common = (health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection((DECISION.full_name, *common), decision)
        names = (descriptor.full_name for descriptor in managing)
        reflection.enable_server_reflection((*names, *common), management)

    async def say(state: int) -> None:
        for name in ("", DECISION.full_name):
            decision_health.set(name, state)
        for name in ("", *(descriptor.full_name for descriptor in managing)):
            await management_health.set(name, state)

    async def say_recording(state: int) -> None:
        decision_health.set(_RECORDING, state)
        await management_health.set(_RECORDING, state)

    decision_port = _listen(decision, settings.decision_address, credentials)
    management_port = _listen(management, settings.management_address, credentials)
    await say(_SERVING)
    await say_recording(_SERVING)
    decision.start()
    await management.start()
    try:
        yield Planes(
            decision_port=decision_port,
            management_port=management_port,
            say_serving=lambda yes: say(_SERVING if yes else _NOT_SERVING),
            say_recording=lambda yes: say_recording(_SERVING if yes else _NOT_SERVING),
        )
    finally:
        await say(_NOT_SERVING)
        stopped = decision.stop(_GRACE_SECONDS)
        await management.stop(_GRACE_SECONDS)
        await asyncio.to_thread(stopped.wait)
        threads.shutdown(wait=False)


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
        handler: Any = grpc.unary_unary_rpc_method_handler
        if method.server_streaming:
            assert wrap_stream is not None  # noqa: S101 - only the management plane has streams.
            handler, wrap_method = grpc.unary_stream_rpc_method_handler, wrap_stream
        else:
            wrap_method = wrap
        handlers[method.name] = handler(
            wrap_method(descriptor.name, method.name, decide),
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    files = (settings.tls_key_file, settings.tls_cert_file, settings.tls_client_ca_file)
    if settings.tls_key_file is None:
        return None
    contents = []
    for file in files:
        assert file is not None  # noqa: S101 - Settings takes all three or none.
        try:
            contents.append(file.read_bytes())
        except OSError as fault:
            raise StartError(f"{file} cannot be read: {fault.strerror}") from fault
    key, certificate, authority = contents
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=authority, require_client_auth=True)


def _listen(server: Any, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as fault:
        raise StartError(f"Cannot listen on {address}: is another service there?") from fault
