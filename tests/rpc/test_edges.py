"""ATTACKS 40 and 48: what stands beside the contract on both planes, and how a refusal there is told."""

import asyncio
import contextlib
import socket
import time

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.rpc import METHODS, Refused, Wire, refused

pytestmark = pytest.mark.over_tls

HEALTH = "/grpc.health.v1.Health"
PLANES = ("decision_port", "management_port")


@pytest.fixture
def both(app):
    """A way to call either plane with bytes, closed at the end."""
    return [getattr(app.planes, plane) for plane in PLANES]


async def ended(call) -> Refused:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return refused(error.value)


async def test_what_is_no_message_is_refused_with_a_reason_by_every_method(app):
    for method, (service, _) in METHODS.items():
        port = app.planes.decision_port if service.name == "DecisionService" else app.planes.management_port
        async with Wire(port) as wire:
            # No tag; cut off; and where there is text, none that is UTF-8.
            not_text = [b"\x0a\x02\xff\xfe"] if method == "Check" else []
            for sent in (b"\xff\xff\xff\xff", b"\x0a\x05ab", *not_text):
                path = f"/{service.full_name}/{method}"
                call = wire.channel.unary_stream(path)(sent, timeout=10)
                found = await ended(call.read())
                assert (found.code, found.reason) == (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "UNREADABLE_REQUEST",
                ), (method, sent)


async def test_nor_does_health_or_reflection_take_it(both):
    for port in both:
        async with Wire(port) as wire:
            for path in (
                f"{HEALTH}/Check",
                f"{HEALTH}/Watch",
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            ):
                found = await ended(wire.channel.unary_stream(path)(b"\xff\xff\xff\xff", timeout=10).read())
                assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNREADABLE_REQUEST"), path


async def test_a_method_that_is_not_here_says_what_is(app, both):
    for port, here in zip(both, ("DecisionService", "ManageUsersService"), strict=True):
        async with Wire(port) as wire:
            for path in ("/policy.v1.DecisionService/Frobnicate", "/no.Such/Method", "/", "/policy.v1.Nobody/Check"):
                found = await ended(wire.channel.unary_unary(path)(b"", timeout=10))
                assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD"), path
                assert f"policy.v1.{here}" in found.details
    async with Wire(app.planes.management_port) as wrong_door:
        with pytest.raises(Refused) as told:
            await wrong_door.check("olive", "dr-a", "claim:view")
    assert told.value.reason == "UNKNOWN_METHOD"


async def test_health_is_checked_listed_and_watched_without_a_word_too_many(both, capfd):
    serving = health_pb2.HealthCheckResponse.SERVING
    for port in both:
        async with Wire(port) as wire:
            listed = await wire.channel.unary_unary(
                f"{HEALTH}/List", response_deserializer=health_pb2.HealthListResponse.FromString
            )(b"", timeout=10)
            assert {state.status for state in listed.statuses.values()} == {serving}
            assert all(not name or name.startswith("policy.v1.") for name in listed.statuses)
            for name in listed.statuses:
                ask = health_pb2.HealthCheckRequest(service=name).SerializeToString()
                answer = await wire.channel.unary_unary(f"{HEALTH}/Check")(ask, timeout=10)
                assert health_pb2.HealthCheckResponse.FromString(answer).status == serving
            unknown = health_pb2.HealthCheckRequest(service="x" * 10_000).SerializeToString()
            found = await ended(wire.channel.unary_unary(f"{HEALTH}/Check")(unknown, timeout=10))
            assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE")
            watch = wire.channel.unary_stream(f"{HEALTH}/Watch")(unknown)
            state = health_pb2.HealthCheckResponse.FromString(await watch.read())
            assert state.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_watch_follows_the_state(app, both):
    for port in both:
        async with Wire(port) as wire:
            watch = wire.channel.unary_stream(
                f"{HEALTH}/Watch", response_deserializer=health_pb2.HealthCheckResponse.FromString
            )(b"")
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            await app.planes.say_serving(False)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await app.planes.say_serving(True)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING


async def test_what_only_listens_does_not_hold_the_stop(store, settings, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with contextlib.AsyncExitStack() as kept:
        async with open_app(settings) as app:
            watches, silent = [], []
            for port in (app.planes.decision_port, app.planes.management_port):
                wire = await kept.enter_async_context(Wire(port))
                watch = wire.channel.unary_stream(
                    f"{HEALTH}/Watch", response_deserializer=health_pb2.HealthCheckResponse.FromString
                )(b"")
                assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
                watches.append(watch)
                stream = reflecting(wire, "v1")
                await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
                await stream.read()
                service = (
                    "DecisionService/Check" if port == app.planes.decision_port else "ManageUsersService/ListMembers"
                )
                opened = wire.channel.stream_stream(f"/policy.v1.{service}")()
                await asyncio.sleep(0)
                silent += [stream, opened]
            began = time.monotonic()
        # Well under the grace of five seconds that calls in hand are given.
        assert time.monotonic() - began < 4
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
            assert await watch.code() is grpc.StatusCode.OK


def reflecting(wire: Wire, version: str):
    return wire.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_tells_the_contract_by_either_name(both, version):
    for port in both:
        async with Wire(port) as wire:
            stream = reflecting(wire, version)

            async def ask(stream=stream, **what: str):
                await stream.write(reflection_pb2.ServerReflectionRequest(**what))
                return await stream.read()

            names = {found.name for found in (await ask(list_services="")).list_services_response.service}
            assert {"grpc.reflection.v1.ServerReflection", "grpc.health.v1.Health"} < names
            for name in names:
                described = (await ask(file_containing_symbol=name)).file_descriptor_response
                files = [FileDescriptorProto.FromString(file) for file in described.file_descriptor_proto]
                assert any(f"{file.package}.{service.name}" == name for file in files for service in file.service)
            # Nothing that the process has loaded besides.
            elsewhere = await ask(file_containing_symbol="google.rpc.ErrorInfo")
            assert elsewhere.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
            stream.cancel()


async def test_without_reflection_there_is_none(store, settings, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings.model_copy(update={"reflection": False})) as app:
        for plane in PLANES:
            async with Wire(getattr(app.planes, plane)) as wire:
                found = await ended(reflecting(wire, "v1").read())
                assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


async def test_a_garbage_page_token_names_its_field_in_every_list(app, both):
    await reached(app, await register(app, "dr-a", "olive"))
    asked = {
        "ListUsers": pb.ListUsersRequest(physician="dr-a", action="claim:view"),
        "ListPhysicians": pb.ListPhysiciansRequest(user="olive"),
        "ListInvitations": mu.ListInvitationsRequest(actor="olive", physician="dr-a"),
    }
    for method, request in asked.items():
        async with Wire(both[method == "ListInvitations"]) as wire:
            for garbage in ("x", "?", "é", "AAAA", "A" * 10_000):
                request.page_token = garbage
                with pytest.raises(Refused) as found:
                    await wire(method, request)
                assert (found.value.code, set(found.value.fields)) == (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    {"page_token"},
                ), (method, garbage)


async def test_a_message_that_inflates_beyond_the_most_is_refused(app):
    await reached(app, await register(app, "dr-a", "olive"))
    bomb = b"\0" * (64 << 20)
    for port, path in (
        (app.planes.decision_port, "/policy.v1.DecisionService/BatchCheck"),
        (app.planes.management_port, "/policy.v1.ManageUsersService/ListMembers"),
    ):
        async with Wire(port) as wire:
            call = wire.channel.unary_unary(path)(bomb, timeout=30, compression=grpc.Compression.Gzip)
            assert (await ended(call)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with Wire(app.planes.decision_port) as wire:
        assert (await wire.check("olive", "dr-a", "claim:view")).allowed


async def test_http_1_and_heads_too_large_are_turned_away(app, both):
    await reached(app, await register(app, "dr-a", "olive"))
    for port in both:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            said = b""
            while more := await asyncio.to_thread(plain.recv, 4_096):
                said += more
        assert b"policy_" not in said
        async with Wire(port) as wire:
            large = (("x-large", "y" * 60_000),)
            call = wire.channel.unary_unary(f"{HEALTH}/Check")(b"", metadata=large, timeout=10)
            assert (await ended(call)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await wire.channel.unary_unary(f"{HEALTH}/Check")(b"", timeout=10)
