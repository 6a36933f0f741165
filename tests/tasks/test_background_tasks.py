"""A task that fails is begun again and health says so; nothing else stops, and it comes back."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from policy_service.app import open_app
from policy_service.app.running import _WATCH_FAILURES
from policy_service.members import Sender
from policy_service.replicate import Follower
from policy_service.rpc import Planes
from tests.support.people import Page
from tests.support.rpc import Wire

pytestmark = pytest.mark.over_tls

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
DECISIONS, USERS, AUDIT = "policy.v1.DecisionService", "policy.v1.ManageUsersService", "policy.v1.AuditService"


class Health:
    """What one plane says of itself."""

    def __init__(self, wire: Wire) -> None:
        self._stub = health_pb2_grpc.HealthStub(wire.channel)

    async def says(self, service: str) -> int:
        return (await self._stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)).status

    async def until(self, service: str, status: int) -> None:
        """Wait until it says so of a service."""
        async with asyncio.timeout(30):
            async for answer in self._stub.Watch(health_pb2.HealthCheckRequest(service=service)):
                if answer.status == status:
                    return


class Poison:
    """Makes a method of a class raise until it is taken out."""

    def __init__(self, monkeypatch, owner, name: str) -> None:
        self._real, self._is_in = getattr(owner, name), True

        async def poisoned(it, *rest):
            if self._is_in:
                raise KeyError("poison")
            return await self._real(it, *rest)

        monkeypatch.setattr(owner, name, poisoned)

    def take_out(self) -> None:
        self._is_in = False


async def test_a_sender_that_fails_takes_manage_users_out_of_use_and_nothing_else(app, wire, management, monkeypatch):
    decisions, managing = Health(wire), Health(management)
    await managing.until(USERS, SERVING)
    poison = Poison(monkeypatch, Sender, "send_due")
    page = Page(management, "olive", "dr-a")
    await page.register()  # wakes the sender
    await managing.until(USERS, NOT_SERVING)
    assert app.tasks.down == {"sender"}
    assert [await managing.says(service) for service in ("", AUDIT)] == [SERVING, SERVING]
    assert [await decisions.says(service) for service in ("", DECISIONS)] == [SERVING, SERVING]
    # It is asked for all the same, and answers.
    await page.invite("nina", "data_entry")
    assert (await wire.check("olive", "dr-a", "claim:view")).allowed
    poison.take_out()
    await managing.until(USERS, SERVING)
    assert app.tasks.down == frozenset()


async def test_a_follower_that_fails_takes_both_planes_out_of_use_until_it_follows_again(
    app, wire, management, monkeypatch
):
    decisions, managing = Health(wire), Health(management)
    poison = Poison(monkeypatch, Follower, "_catch_up")
    revision = (await Page(management, "olive", "dr-a").register()).revision
    for plane, services in ((decisions, ("", DECISIONS)), (managing, ("", USERS, AUDIT))):
        for service in services:
            await plane.until(service, NOT_SERVING)
    # Checks go on from memory, as without the database.
    assert not (await wire.check("olive", "dr-a", "claim:view")).allowed
    poison.take_out()
    await decisions.until(DECISIONS, SERVING)
    await managing.until("", SERVING)
    assert (await wire.check("olive", "dr-a", "claim:view", min_revision=revision)).allowed


async def test_without_the_watch_nobody_knows_how_the_replica_stands_so_the_service_ends(
    store, settings, seed, monkeypatch
):
    from policy_service.seed import install
    from policy_service.tasks import supervising
    from tests.conftest import SHIPPED_MODEL

    await install.install_first(store, seed, SHIPPED_MODEL)
    monkeypatch.setattr(supervising, "_LONGEST_PAUSE", 0.001)
    said = 0
    real = Planes.__init__

    def deaf(it, **fields):
        async def say_serving(*_):
            nonlocal said
            said += 1
            raise KeyError("poison")

        real(it, **(fields | {"say_serving": say_serving}))

    monkeypatch.setattr(Planes, "__init__", deaf)
    with pytest.raises(ExceptionGroup) as ended:
        async with open_app(settings), asyncio.timeout(30):
            await asyncio.Event().wait()
    assert isinstance(ended.value.exceptions[0], KeyError)
    assert said == _WATCH_FAILURES
