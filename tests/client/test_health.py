"""A client of several addresses watches their health, however many such clients there are, and hears of a stop."""

import asyncio
import contextlib

import grpc
import pytest
from grpc_health.v1 import health_pb2
from policy_client import AsyncPolicyClient, Decision, PolicyClient, ServiceUnavailable
from policy_client.channel import channel_options

from policy_service.app import open_app
from policy_service.rpc import server
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.patience import PATIENCE, patiently, until
from tests.support.rpc import Wire

LOCAL = (("grpc.use_local_subchannel_pool", 1),)
QUESTION = ("olive", "dr-a", "claim:view")


def twice(app):
    """The one service under two addresses."""
    port = app.planes.decision_port
    return [f"127.0.0.1:{port}", f"localhost:{port}"]


@pytest.mark.parametrize("kind", [PolicyClient, AsyncPolicyClient])
async def test_who_says_of_itself_that_it_is_not_serving_is_not_asked(app, kind):
    await reached(app, await register(app, "dr-a", "olive"))
    async with contextlib.AsyncExitStack() as opened:
        client = kind(twice(app), timeout=PATIENCE, options=LOCAL)

        async def asked() -> Decision | ServiceUnavailable:
            try:
                if kind is PolicyClient:
                    return await asyncio.to_thread(client.check, *QUESTION)
                return await client.check(*QUESTION)
            except ServiceUnavailable as unavailable:
                return unavailable

        if kind is PolicyClient:
            opened.callback(client.close)
        else:
            opened.push_async_callback(client.close)
        assert isinstance(await asked(), Decision)
        await app.planes.say_serving(False)

        async def is_left() -> bool:
            found = await asked()
            return isinstance(found, ServiceUnavailable) and "says that it is not serving now" in str(found)

        async def is_used() -> bool:
            return isinstance(await asked(), Decision)

        await until(is_left)
        await app.planes.say_serving(True)
        await until(is_used)


async def test_more_clients_than_may_watch_are_answered_all_the_same(app):
    """Told RESOURCE_EXHAUSTED, gRPC takes a server for dead: who holds all watches would keep everybody else away."""
    await reached(app, await register(app, "dr-a", "olive"))
    async with contextlib.AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(AsyncPolicyClient(twice(app), timeout=PATIENCE, options=LOCAL))
            for _ in range(40)
        ]
        for client in clients:
            for _ in range(2):
                assert await client.check(*QUESTION)


def test_the_client_asks_whether_the_service_is_there_no_more_often_than_it_allows():
    """GRPC's own bound is five minutes, and a connection with more of it is ended with all its calls."""
    asked, allowed = dict(channel_options(())), dict(server._OPTIONS)
    assert asked["grpc.keepalive_time_ms"] > allowed["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert dict(server._MANAGEMENT_OPTIONS).items() >= {
        (name, value) for name, value in server._OPTIONS if "keepalive" in name or "ping" in name
    }


@pytest.mark.parametrize("watched", [True, False])
async def test_who_watches_hears_of_a_stop_while_calls_are_still_taken(store, settings, seed, monkeypatch, watched):
    leaving, left, sleep = asyncio.Event(), asyncio.Event(), asyncio.sleep

    async def sleep_or_leave(seconds: float) -> None:
        if seconds is server._LEAVING_SECONDS:
            leaving.set()
            async with patiently():
                await left.wait()
        else:
            await sleep(seconds)

    await install.install_first(store, seed, SHIPPED_MODEL)
    monkeypatch.setattr(server.asyncio, "sleep", sleep_or_leave)
    async with contextlib.AsyncExitStack() as kept, patiently():
        opened = contextlib.AsyncExitStack()
        app = await opened.enter_async_context(open_app(settings))
        await reached(app, await register(app, "dr-a", "olive"))
        wire = await kept.enter_async_context(Wire(app.planes.decision_port))
        if not watched:
            await opened.aclose()
            assert not leaving.is_set(), "nobody is there to leave"
            return
        watch = wire.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", response_deserializer=health_pb2.HealthCheckResponse.FromString
        )(b"")
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(opened.aclose())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await leaving.wait()
        assert (await wire.check(*QUESTION)).allowed
        left.set()
        await stopping
        assert await watch.read() is grpc.aio.EOF
