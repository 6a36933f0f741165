"""ATTACKS 39: what is opened and then says nothing. Beside each, a good caller is answered."""

import asyncio
import contextlib

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from policy_service.app import open_app
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc import server
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, Wire, refused
from tests.support.silence import GREETING, connections, silent_calls

CHECK = "/policy.v1.DecisionService/Check"
MEMBERS = "/policy.v1.ManageUsersService/ListMembers"
HEALTH = "/grpc.health.v1.Health"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.fixture
async def account(app):
    await reached(app, await register(app, "dr-a", "olive"))


async def served(ask):
    """An answer, if need be on another try: on a starved machine a call whose message is late is ended as a silent one."""
    for _ in range(4):
        try:
            return await ask()
        except Refused as fault:
            if fault.code is not grpc.StatusCode.CANCELLED:
                raise
    return await ask()


async def answered(app) -> None:
    """A good caller on new connections: checks, a list of members, and the health of both planes."""
    async with Wire(app.planes.decision_port) as wire, Wire(app.planes.management_port) as management:
        for _ in range(5):
            assert (await served(lambda: wire.check("olive", "dr-a", "claim:view"))).allowed
        request = mu.ListMembersRequest(actor="olive", physician="dr-a")
        assert (await served(lambda: management("ListMembers", request))).members
        for one in (wire, management):
            assert (await health(one)).status == health_pb2.HealthCheckResponse.SERVING


async def health(wire: Wire, service: str = "") -> health_pb2.HealthCheckResponse:
    ask = wire.channel.unary_unary(
        f"{HEALTH}/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return await ask(health_pb2.HealthCheckRequest(service=service), timeout=10)


@pytest.mark.parametrize("path", [CHECK, f"{HEALTH}/Check", f"{HEALTH}/Watch", REFLECTION, "/no.Such/Method"])
async def test_a_thousand_silent_calls_of_the_decision_plane_stop_nobody(app, account, path):
    with silent_calls(app.planes.decision_port, path, 1_200):
        await answered(app)


@pytest.mark.parametrize("path", [MEMBERS, f"{HEALTH}/Watch", REFLECTION])
async def test_a_thousand_silent_calls_of_the_management_plane_stop_nobody(app, account, path):
    with silent_calls(app.planes.management_port, path, 1_200):
        await answered(app)


@pytest.mark.parametrize("plane", ["decision_port", "management_port"])
async def test_streams_of_reflection_that_were_asked_once_and_stay_open_stop_nobody(app, account, plane):
    async with Wire(getattr(app.planes, plane)) as wire:
        streams = [reflecting(wire) for _ in range(80)]
        await asyncio.gather(*(stream.write(listing()) for stream in streams), return_exceptions=True)
        await answered(app)
        # Nor is reflection itself used up.
        async with Wire(getattr(app.planes, plane)) as another:
            asked = reflecting(another)
            await asked.write(listing())
            assert (await asked.read()).list_services_response.service


async def test_the_health_of_a_replica_is_told_while_others_watch_it(app, account):
    async with Wire(app.planes.decision_port) as wire:
        watches = [
            wire.channel.unary_stream(f"{HEALTH}/Watch", request_serializer=lambda _: b"")(None) for _ in range(90)
        ]
        refusals = 0
        for watch in watches:
            try:
                await asyncio.wait_for(watch.read(), 10)
            except grpc.aio.AioRpcError as error:
                # Who balances by health goes on without it, and takes nobody for dead.
                assert (error.code(), refused(error).reason) == (grpc.StatusCode.UNIMPLEMENTED, "TOO_MANY_CALLS")
                refusals += 1
        assert 0 < refusals < 90
        await answered(app)


async def test_a_silent_call_is_ended(store, seed, settings, monkeypatch):
    """On both planes, in the time that is set; the management plane can tell it why."""
    monkeypatch.setattr(server, "_PATIENCE_SECONDS", 0.3)
    async with serving(store, seed, settings) as app:
        async with Wire(app.planes.decision_port) as wire:
            with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
                await wire.channel.stream_stream(CHECK)().read()
        async with Wire(app.planes.management_port) as wire:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await wire.channel.stream_stream(MEMBERS)().read()
            found = refused(ended.value)
            assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_NOT_SENT")


async def test_a_call_that_ends_without_its_message_is_refused_in_words(app):
    for port, path in ((app.planes.decision_port, CHECK), (app.planes.management_port, MEMBERS)):
        async with Wire(port) as wire:
            call = wire.channel.stream_stream(path)()
            await call.done_writing()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call.read()
            found = refused(ended.value)
            assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNREADABLE_REQUEST")


async def test_who_takes_no_byte_of_its_answers_holds_up_nobody(app, account):
    """Their window is closed, so that no answer can leave."""
    for path in (f"{HEALTH}/Watch", REFLECTION):
        with silent_calls(app.planes.decision_port, path, 300, window=0):
            await answered(app)
            await app.planes.say_serving(False)
            await app.planes.say_serving(True)


async def test_connections_that_say_nothing_are_closed(store, seed, settings, monkeypatch):
    hasty = {"grpc.server_handshake_timeout_ms": 300, "grpc.max_connection_idle_ms": 300}
    for name in ("_OPTIONS", "_MANAGEMENT_OPTIONS"):
        monkeypatch.setattr(server, name, tuple({**dict(getattr(server, name)), **hasty}.items()))
    async with serving(store, seed, settings) as app:
        for port in (app.planes.decision_port, app.planes.management_port):
            with connections(port, 10) as bare, connections(port, 10, first=GREETING) as idle:
                for one in (*bare, *idle):
                    assert await asyncio.to_thread(closes, one)


@contextlib.asynccontextmanager
async def serving(store, seed, settings):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings) as app:
        yield app


def closes(connection) -> bool:
    while connection.recv(4_096):
        pass
    return True


def reflecting(wire: Wire):
    return wire.channel.stream_stream(
        REFLECTION,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )()


def listing() -> reflection_pb2.ServerReflectionRequest:
    return reflection_pb2.ServerReflectionRequest(list_services="")
