"""The fake's limits are the service's: what an account may hold, how often it is told, how many letters go out."""

from datetime import datetime, timedelta

import asyncpg
import pytest
from policy_client.testing import FakePolicyService, Limits

from policy_service.app import open_app
from policy_service.members import read_key
from policy_service.seed import install
from tests.client.test_fake import Clock, world_of, world_of_fake
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.rpc import Refused, Wire

LIMITS = {"roles_per_account": 2, "rules_per_account": 5, "members_per_account": 3, "prompts_per_hour": 3}


@pytest.fixture
async def service(store, database, seed, tmp_path, monkeypatch):
    """The service with these limits."""
    clock = Clock()
    monkeypatch.setattr("policy_service.app.running._now", clock)
    await install.install_first(store, seed, SHIPPED_MODEL)
    settings = settings_for(database, data_dir=tmp_path, **{f"max_{name}": most for name, most in LIMITS.items()})
    async with (
        open_app(settings) as app,
        Wire(app.planes.decision_port) as decisions,
        Wire(app.planes.management_port) as management,
    ):

        async def address_token(user: str) -> str:
            connection = await asyncpg.connect(database)
            wanted = await connection.fetchval("SELECT id FROM address_changes WHERE username = $1", user)
            await connection.close()
            return read_key(tmp_path / "token.key").token(wanted, 1)

        yield world_of(app, database, tmp_path, decisions, management, clock), address_token


@pytest.fixture
async def fake():
    with FakePolicyService(clock=(clock := Clock()), limits=Limits(**LIMITS)) as fake:

        async def address_token(user: str) -> str:
            return fake.address_token_for(user)

        async with world_of_fake(fake, clock) as world:
            yield world, address_token


@pytest.fixture(params=["service", "fake"])
def both(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def world(both):
    return both[0]


@pytest.fixture
def address_token(both):
    return both[1]


async def refused(call) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as found:
        await call
    assert all(f"{name}: {fact}" in found.value.details for name, fact in found.value.facts.items())
    return f"{found.value.code.name} {found.value.reason}", found.value.facts


async def test_an_account_holds_as_much_as_it_may_and_can_give_up(world):
    page = await world.open()
    await page.create_role("one", "claim:view", "claim:save")
    await page.create_role("two", "claim:view")
    full = ("FAILED_PRECONDITION ACCOUNT_FULL", {"physician": "dr-a", "most": "2", "wanted": "3", "of": "roles"})
    assert await refused(page.create_role("three", "claim:view")) == full
    reason, facts = await refused(page.update_role("two", "claim:view", "claim:save", "claim:submit", "claim:delete"))
    assert (reason, facts["of"], facts["most"], facts["wanted"]) == (full[0], "rules", "5", "6")
    await page.delete_role("one")
    await page.create_role("three", "claim:view")
    await world.join(page, "ben", "data_entry")
    await world.join(page, "mia", actions=("claim:view",))
    invited = await page.invite("leo", "data_entry")
    token = await world.token(invited.invitation.id)
    reason, facts = await refused(page.accept(token))
    assert (reason, facts["of"], facts["most"], facts["wanted"]) == (full[0], "members", "3", "4")
    assert sorted(await page.members()) == ["ben", "mia", "olive"]
    await page.revoke("ben")
    await page.accept(token)


async def test_an_account_is_told_so_often_and_then_nothing_at_all(world):
    page, other = await world.open(), await world.open("dr-b", "oscar")
    await page.invite("nina", "data_entry")
    for _ in range(3):
        assert (await refused(other.invite("x", "data_entry", email="nina@clinic.example")))[0] == (
            "FAILED_PRECONDITION USER_EXISTS"
        )
    for user in ("nina", "nobody"):
        reason, facts = await refused(other.invite(user, "data_entry"))
        assert (reason, facts["physician"]) == ("RESOURCE_EXHAUSTED TOO_MANY_PROMPTS", "dr-b")
        assert datetime.fromisoformat(facts["again_at"])
    await page.invite("nobody", "data_entry")
    world.pass_time(timedelta(hours=1))
    await other.invite("norbert", "data_entry")


async def test_a_link_to_an_address_is_a_letter_to_it(world):
    page, other = await world.open(), await world.open("dr-b", "oscar")
    third = await world.open("dr-c", "una")
    for one in (page, other):
        for _ in range(5):
            await one.change_address("wanted@clinic.example")
    for call in (
        third.change_address("WANTED@clinic.example"),
        third.invite("x", "data_entry", email="wanted@clinic.example"),
    ):
        reason, facts = await refused(call)
        assert (reason, facts["of"], facts["most"]) == ("RESOURCE_EXHAUSTED TOO_MANY_LETTERS", "address", "10")
    world.pass_time(timedelta(hours=25))
    await third.change_address("wanted@clinic.example")


async def test_a_letter_that_follows_from_an_address_is_counted_and_never_refused(world, address_token):
    page, ben = await world.open(), await world.open("dr-b", "ben")
    invitation = (await page.invite("ben", "data_entry", reuse_existing=True)).invitation.id

    async def resend_until_refused() -> int:
        for sent in range(9):
            try:
                await page.resend(invitation)
            except Refused as found:
                assert (found.reason, found.facts["of"]) == ("TOO_MANY_LETTERS", "invitation")
                return sent
        raise AssertionError("there is a limit")

    assert await resend_until_refused() == 4
    world.pass_time(timedelta(hours=12))
    await ben.change_address("other@clinic.example")
    await ben.confirm_address(await address_token("ben"))
    assert [one.email for one in await page.pending()] == ["other@clinic.example"]
    world.pass_time(timedelta(hours=13))
    assert await resend_until_refused() == 4
