"""A stop is said before it is done (ATTACKS 30)."""

import asyncio
import contextlib

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from policy_service.app import open_app
from policy_service.members import manage_users
from policy_service.rpc import server
from policy_service.seed import install
from policy_service.vocabulary import Physician, User
from tests.conftest import SHIPPED_MODEL
from tests.support.patience import patiently
from tests.support.rpc import Wire


async def test_30_health_is_first_and_what_comes_until_it_is_heard_is_answered(store, settings, seed, monkeypatch):
    """Also what was written meanwhile, by another replica: this one follows until its last answer."""
    stops, go_on = asyncio.Event(), asyncio.Event()

    async def draining(_: float) -> None:
        stops.set()
        await go_on.wait()

    monkeypatch.setattr(server, "draining", draining)
    await install.install_first(store, seed, SHIPPED_MODEL)
    opened = contextlib.AsyncExitStack()
    app = await opened.enter_async_context(open_app(settings))
    ports = app.planes.decision_port, app.planes.management_port
    async with contextlib.AsyncExitStack() as clients, patiently():
        watches = []
        for port in ports:
            channel = await clients.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watches.append(watch)
        wire = await clients.enter_async_context(Wire(ports[0]))
        ending = asyncio.create_task(opened.aclose())
        await stops.wait()
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        written = await manage_users.register_physician(
            store, Physician("dr-a"), User("olive"), "", caller="test", actor=User("olive")
        )
        assert (await wire.check("olive", "dr-a", "user:invite", min_revision=written.revision)).allowed
        assert not ending.done()
        go_on.set()
        await ending
