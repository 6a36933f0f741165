"""The fake for other teams' tests follows the same rules as the service: the same stories, told of both."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from policy_client import (
    AsyncManageUsersClient,
    AsyncPolicyClient,
    Channel,
    ManageUsersClient,
    PolicyClient,
    Reason,
    RoleDefinition,
    ServiceUnavailable,
    UserExists,
)
from policy_client.testing import FakePolicyService, Refusal

from policy_service.app import App, open_app
from policy_service.members import read_key
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.store import connect_store
from tests.conftest import SHIPPED_MODEL, TEMPLATE, in_database, settings_for
from tests.support.accounts import grant
from tests.support.oracle import ACTIONS
from tests.support.patience import PATIENCE
from tests.support.people import Page
from tests.support.rpc import Refused, Wire, question
from tests.support.scenarios import SCENARIOS, WEEK, World

EXAMPLES = int(os.environ.get("FAKE_EXAMPLES", "20"))


class Clock:
    """A time that passes only when it is told to. It begins now, since kept answers age by the database's clock."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def world_of(app: App, database: str, data_dir: Any, wire: Wire, management: Wire, clock: Clock) -> World:
    """The real service as a scenario sees it."""

    async def token(invitation: str) -> str:
        connection = await asyncpg.connect(database)
        generation = await connection.fetchval("SELECT generation FROM invitations WHERE id = $1", invitation)
        await connection.close()
        return read_key(data_dir / "token.key").token(invitation, generation)

    return World(
        decisions=wire,
        users=management,
        token=token,
        pass_time=clock.move,
        grant=lambda user, physician, role: grant(app, physician, user, role, clock()),
    )


@asynccontextmanager
async def fake_world(clock: Clock) -> AsyncIterator[World]:
    """The fake as a scenario sees it."""
    with FakePolicyService(clock=clock) as fake:
        async with world_of_fake(fake, clock) as world:
            yield world


@asynccontextmanager
async def world_of_fake(fake: FakePolicyService, clock: Clock) -> AsyncIterator[World]:
    async def token(invitation: str) -> str:
        return fake.token_for(invitation)

    async def give(user: str, physician: str, role: str) -> int:
        return fake.grant(user, physician, role)

    async with Wire(_port(fake.decision_target)) as decisions, Wire(_port(fake.management_target)) as users:
        yield World(decisions=decisions, users=users, token=token, pass_time=clock.move, grant=give)


def _port(target: str) -> int:
    return int(target.rpartition(":")[2])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The service's own time, too."""
    clock = Clock()
    monkeypatch.setattr("policy_service.app.running._now", clock)
    return clock


@pytest.fixture
async def app(store, database, seed, tmp_path, clock):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings_for(database, data_dir=tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_on_the_service(scenario, app, database, tmp_path, wire, management, clock):
    await scenario(world_of(app, database, tmp_path, wire, management, clock))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_on_the_fake(scenario):
    async with fake_world(Clock()) as world:
        await scenario(world)


USERS = ("ann", "bob", "cy", "olive")
ROLES = ("data_entry", "financial_viewer", "administrator", "owner", "r1", "r2", "r3")
PHYSICIANS = {"dr-a": "olive", "dr-b": "bob"}

_actor = st.sampled_from((*["owner"] * 20, *USERS))
_user, _role = st.sampled_from(USERS), st.sampled_from(ROLES)
_custom = st.sampled_from(ROLES[4:])
_number = st.sampled_from((0, 0, 0, 1, 1, 2, 3))
_given = st.sampled_from((*ROLES[:3] * 2, *ROLES))
_roles = st.lists(_given, min_size=1, max_size=2, unique=True)
_actions = st.lists(st.sampled_from(ACTIONS[:9]), min_size=1, max_size=3, unique=True)
_holding = st.one_of(
    _roles.map(lambda roles: {"roles": roles}),
    _actions.map(lambda actions: {"actions": actions}),
)
_definition = st.fixed_dictionaries(
    {"allow": _actions},
    optional={"deny": st.lists(st.sampled_from(ACTIONS), max_size=2), "includes": st.lists(_given, max_size=2)},
)
_steps = [
    st.tuples(st.just("invite"), _user, st.sampled_from(("", "", "else@clinic.example")), _holding, st.booleans()),
    st.tuples(st.just("accept"), _number),
    st.tuples(st.just("cancel"), _number),
    st.tuples(st.just("resend"), _number, st.sampled_from(("", "else@clinic.example", "ann@clinic.example"))),
    st.tuples(st.just("decline"), _number),
    st.tuples(st.just("complete"), _number),
    st.tuples(st.just("look_up"), _number),
    st.tuples(st.just("leave")),
    st.tuples(st.just("edit"), _user, _holding),
    st.tuples(st.just("revoke"), _user),
    st.tuples(st.just("create_role"), _custom, _definition),
    st.tuples(st.just("update_role"), _custom, _definition),
    st.tuples(st.just("delete_role"), _custom, st.sampled_from(("", *ROLES))),
    st.tuples(st.just("grant"), _user, _role),
    st.tuples(st.just("pass_time"), st.sampled_from((WEEK / 100, WEEK / 2, WEEK))),
]
_step = st.one_of(*_steps[:2] * 4, *_steps[:13] * 2, *_steps)
_sequence = st.lists(
    st.tuples(st.sampled_from(("dr-a", "dr-a", "dr-a", "dr-b")), _actor, _step), min_size=20, max_size=30
)


class Told:
    """One service, told a sequence of calls; its names carry the sequence's number, so that each begins afresh."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.invitations: list[str] = []
        self.revision = 0

    def name(self, plain: str) -> str:
        return f"{plain}-{self.number}"

    async def begin(self) -> None:
        for physician, owner in PHYSICIANS.items():
            opened = await Page(self.world.users, self.name(owner), self.name(physician)).register()
            self.revision = opened.revision
        # So that every kind of call has something to find.
        for step in (
            ("create_role", "r1", {"allow": ["claim:view"], "deny": ["invoice:pay"]}),
            ("create_role", "r2", {"allow": ["report:generate"], "includes": ["r1"]}),
            ("grant", "bob", "r2"),
            ("invite", "ann", "", {"roles": ["r1", "financial_viewer"]}, False),
            ("invite", "cy", "", {"actions": ["claim:view", "claim:save"]}, False),
        ):
            assert (await self.do("dr-a", "owner", step)) == "+1"

    async def do(self, physician: str, actor: str, step: tuple[Any, ...]) -> str:
        """The reason of the refusal, or how far the revision moved."""
        acting = PHYSICIANS[physician] if actor == "owner" else actor
        page = Page(self.world.users, self.name(acting), self.name(physician))
        try:
            revision = await self._call(page, *step)
        except Refused as refused:
            return f"{refused.code.name} {refused.reason} {sorted(refused.fields)}"
        except Refusal as refusal:
            return refusal.reason
        except Exception as error:
            if reason := getattr(error, "reason", ""):  # The service's own, through its back door.
                return str(reason)
            raise
        moved, self.revision = revision - self.revision, revision
        return f"+{moved}"

    async def _call(self, page: Page, kind: str, *given: Any) -> int:
        match kind, given:
            case "invite", (user, email, holding, reuse):
                address = (
                    self.name(email).replace("@", f"{self.number}@", 1)[: -len(f"-{self.number}")] if email else ""
                )
                more = {"actions": tuple(holding.get("actions", ())), "reuse_existing": reuse}
                response = await page.invite(self.name(user), *holding.get("roles", ()), email=address, **more)
                self.invitations.append(response.invitation.id)
            case "accept", (number,):
                response = await page.accept(await self._token(number))
            case ("decline" | "complete") as method, (number,):
                response = await getattr(page, method)(await self._token(number))
            case "look_up", (number,):
                looked = await page.look_up(await self._token(number))
                self.looked = (list(looked.allowed), looked.state, looked.must_set_up_credentials)
                return self.revision
            case "leave", ():
                response = await page.leave()
            case "cancel", (number,):
                response = await page.cancel(self._invitation(number))
            case "resend", (number, email):
                user, _, domain = email.partition("@")
                address = {"": "", "ann": f"{self.name(user)}@{domain}"}.get(user, f"{user}{self.number}@{domain}")
                response = await page.resend(self._invitation(number), address)
            case "edit", (user, holding):
                actions = tuple(holding.get("actions", ()))
                response = await page.edit(self.name(user), *holding.get("roles", ()), actions=actions)
            case "revoke", (user,):
                response = await page.revoke(self.name(user))
            case ("create_role" | "update_role") as method, (role, definition):
                more = {name: tuple(definition.get(name, ())) for name in ("deny", "includes")}
                response = await getattr(page, method)(role, *definition["allow"], **more)
            case "delete_role", (role, replacement):
                response = await page.delete_role(role, replacement)
            case "grant", (user, role):
                return max(await self.world.grant(self.name(user), page.physician, role), self.revision)
            case _:
                self.world.pass_time(given[0])
                return self.revision
        return int(response.revision)

    def _invitation(self, number: int) -> str:
        """The newest of this sequence's invitations is 0."""
        return self.invitations[-1 - number] if number < len(self.invitations) else "none"

    async def _token(self, number: int) -> str:
        return await self.world.token(self._invitation(number)) if number < len(self.invitations) else "none"

    async def seen(self) -> list[Any]:
        """All that can be asked, with what differs between any two services taken out."""
        found: list[Any] = []
        for physician, owner in PHYSICIANS.items():
            for user in (*USERS, "stranger"):
                for channel in (pb.CHANNEL_WEB, pb.CHANNEL_MOBILE):
                    asked = [
                        question(self.name(user), self.name(physician), action, channel, min_revision=self.revision)
                        for action in (*ACTIONS, "claim:frame")
                    ]
                    answers = await self.world.decisions("BatchCheck", pb.BatchCheckRequest(checks=asked))
                    found += [(user, a.allowed, a.reason, a.role) for a in answers.answers]
                check = question(self.name(user), self.name(physician), ACTIONS[len(found) % 13], channel)
                explained = await self.world.decisions("Explain", pb.ExplainRequest(check=check))
                explained.ClearField("decision")
                found.append(explained)
            by = Page(self.world.users, self.name(owner), self.name(physician))
            for read in (by.members, by.roles, lambda by=by: self._invited(by)):
                try:
                    found.append(await read())
                except Refused as refused:
                    found.append(refused.reason)
        for user in USERS:
            places = await self.world.decisions("ListPhysicians", pb.ListPhysiciansRequest(user=self.name(user)))
            found.append(list(places.physicians))
        return found

    async def _invited(self, by: Page) -> list[Any]:
        members = (await by._call("ListMembers")).members
        states = ("PENDING", "ACCEPTED", "CANCELLED", "EXPIRED", "WITHDRAWN")
        invited = await by.pending(*states)
        return [
            list(members),
            [(self.invitations.index(i.id), i.state, i.email, i.permissions, i.expires_at) for i in invited],
        ]


def test_random_calls_end_alike_on_both(postgres, seed, tmp_path, clock):
    """The same calls to both: refused for the same reasons, moving the revision alike, with equal answers after each."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        real, fake = runner.run(_open_both(postgres, seed, tmp_path, clock, stack))
        count = iter(range(1_000_000))

        @given(_sequence)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        def agrees(sequence):
            number = next(count)
            runner.run(_agree(Told(real, number), Told(fake, number), sequence))

        try:
            agrees()
        finally:
            runner.run(stack.aclose())


async def _open_both(postgres, seed, data_dir, clock, stack) -> tuple[World, World]:
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE fake_differential TEMPLATE {TEMPLATE}")
    await connection.close()
    database = in_database(postgres, "fake_differential")
    async with connect_store(database) as store:
        await install.install_first(store, seed, SHIPPED_MODEL)
    app = await stack.enter_async_context(open_app(settings_for(database, data_dir=data_dir)))
    wire = await stack.enter_async_context(Wire(app.planes.decision_port))
    management = await stack.enter_async_context(Wire(app.planes.management_port))
    faked = Clock()
    faked.now = clock.now
    fake = await stack.enter_async_context(fake_world(faked))
    return world_of(app, database, data_dir, wire, management, clock), fake


async def _agree(real: Told, fake: Told, sequence: list[Any]) -> None:
    await real.begin()
    await fake.begin()
    for done, (physician, actor, step) in enumerate(sequence):
        outcomes = [await told.do(physician, actor, step) for told in (real, fake)]
        assert outcomes[0].endswith(outcomes[1]), (sequence[: done + 1], outcomes)
    ours, theirs = await real.seen(), await fake.seen()
    for one, other in zip(ours, theirs, strict=True):
        assert one == other, sequence


@pytest.fixture
def fake():
    with FakePolicyService() as opened:
        opened.add_physician("dr-osei", owner="ama")
        opened.grant("mia", "dr-osei", "data_entry")
        yield opened


def test_blocking_clients_are_used_unchanged(fake):
    with (
        PolicyClient(fake.decision_target, timeout=PATIENCE) as policy,
        ManageUsersClient(fake.management_target, timeout=PATIENCE) as manage,
    ):
        assert policy.check("mia", "dr-osei", "claim:submit", resource="claim 7")
        denied = policy.check("mia", "dr-osei", "claim:submit", channel=Channel.MOBILE)
        assert (denied.allowed, denied.reason) == (False, Reason.CHANNEL_NOT_ALLOWED)
        asked = [(q.user, q.action, q.channel, q.resource) for q in fake.decisions]
        assert asked == [("mia", "claim:submit", Channel.WEB, "claim 7"), ("mia", "claim:submit", Channel.MOBILE, "")]
        manage.create_role("ama", "dr-osei", "desk", RoleDefinition(allow=("report:generate",)))
        fake.add_physician("dr-b", owner="bea")
        with pytest.raises(UserExists):
            manage.invite_user("bea", "dr-b", "mia@clinic.example", "mia", roles=["data_entry"])
        invited = manage.invite_user("ama", "dr-osei", "nina@clinic.example", "nina", roles=["desk"])
        accepted = manage.accept_invitation(fake.token_for(invited.invitation.id))
        assert accepted.must_set_up_credentials
        assert accepted.revision == fake.revision
        assert policy.what_can("nina", "dr-osei", min_revision=accepted.revision).shown == ("report:generate",)
        assert [one.user for one in policy.who_can("claim:save", "dr-osei").users] == ["ama", "mia"]


async def test_asyncio_clients_are_used_unchanged(fake):
    async with (
        AsyncPolicyClient(fake.decision_target, timeout=PATIENCE) as policy,
        AsyncManageUsersClient(fake.management_target, timeout=PATIENCE) as manage,
    ):
        assert await policy.check("mia", "dr-osei", "claim:submit")
        await manage.update_permissions("ama", "dr-osei", "mia", actions=["claim:view"])
        assert (await policy.where_can("mia")).physicians[0].roles == ("custom.mia",)
        members = await manage.list_members("ama", "dr-osei")
        assert [(one.username, one.is_owner) for one in members.members] == [("ama", True), ("mia", False)]
        assert members.revision == await manage.revoke_access("ama", "dr-osei", "mia") - 1
        assert not await policy.check("mia", "dr-osei", "claim:view")


def test_it_goes_away_and_comes_back_as_it_was(fake):
    with (
        PolicyClient(fake.decision_target, timeout=PATIENCE) as policy,
        ManageUsersClient(fake.management_target, timeout=PATIENCE) as manage,
    ):
        fake.go_away()
        for call in (
            lambda: policy.check("mia", "dr-osei", "claim:submit"),
            lambda: manage.list_members("ama", "dr-osei"),
        ):
            with pytest.raises(ServiceUnavailable):
                call()
        assert fake.decisions == []
        fake.come_back()
        assert policy.check("mia", "dr-osei", "claim:submit")


def test_what_a_test_sets_up_wrongly_is_refused(fake):
    fake.define_role("desk", "dr-osei", allow=["claim:view"], deny=["claim:save"])
    for wrong, reason in (
        (lambda: fake.add_physician("dr-osei", owner="ama"), "PHYSICIAN_EXISTS"),
        (lambda: fake.grant("mia", "dr-none", "data_entry"), "UNKNOWN_PHYSICIAN"),
        (lambda: fake.grant("mia", "dr-osei", "no-such-role"), "UNKNOWN_ROLE"),
        (lambda: fake.define_role("boss", "dr-osei", allow=["user:invite"]), "OWNER_ONLY"),
    ):
        with pytest.raises(Refusal) as refused:
            wrong()
        assert refused.value.reason == reason
    assert fake.grant("mia", "dr-osei", "desk") == fake.revision == 5
