"""As-of answers equal the answers of the time, over a random history of changes.

AUDIT_CHANGES=N for more, as in ``make fuzz``.
While the history is made, the service's own answers are written down at random
revisions. Afterwards it is asked who could do what then.
"""

import itertools
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import pytest

from policy_service.app import App
from policy_service.errors import PolicyError
from policy_service.members import RoleDefinition, custom_roles, manage_users, read_key
from policy_service.pb import audit_pb2 as pb
from policy_service.pb import decision_pb2
from policy_service.seed import install
from policy_service.vocabulary import Channel, Effect, Outcome, Physician, Reason, Role, Row, User, rule_row
from tests.conftest import DATA_DIR
from tests.support.accounts import reached, register
from tests.support.actions import OWNER_ONLY, Action
from tests.support.auditing import every
from tests.support.people import Page
from tests.support.rpc import Refused

CHANGES = int(os.environ.get("AUDIT_CHANGES", "700"))
SAMPLES = max(20, CHANGES // 35)
PAIRS = max(20, CHANGES // 50)
PHYSICIANS = [f"dr-{letter}" for letter in "abcd"]
USERS = ["mia", "Mia", "noah", "priya", "custom.x", "role-owner", "z"]
BUILT_IN = ["data_entry", "financial_viewer", "administrator", "clerk"]
CUSTOM = ["desk", "lead", "audit", "custom-desk"]
GRANTABLE = [action for action in Action if action not in OWNER_ONLY]

Answers = dict[tuple[str, str], dict[tuple[Action, Channel], Outcome]]


@dataclass
class Sample:
    """What the service answered at a revision, for every account, user, action and channel."""

    answers: Answers
    roles: dict[tuple[str, str], tuple[str, ...]]

    def allowed(self, who: tuple[str, str]) -> set[str]:
        """What somebody might do on the web."""
        found = self.answers[who]
        return {action for (action, channel), outcome in found.items() if channel is Channel.WEB and outcome.allowed}


@dataclass
class History:
    """Makes random changes by the service's own use cases; what is refused changes nothing."""

    app: App
    page: Page
    seed: tuple[Row, ...]
    chance: random.Random
    open: list[tuple[str, str]] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)

    @property
    def by(self) -> dict[str, str]:
        return {"caller": "test", "actor": self.chance.choice(USERS)}

    def on_page(self) -> Page:
        physician = self.chance.choice(PHYSICIANS)
        page = self.page.by(owner_of(physician))
        page.physician = physician
        return page

    def some(self, things: list) -> list:
        return self.chance.sample(things, self.chance.randint(1, min(3, len(things))))

    async def register(self) -> None:
        physician = self.chance.choice(PHYSICIANS)
        await register(self.app, physician, owner_of(physician))

    async def grant(self) -> None:
        role = Role(self.chance.choice([*BUILT_IN, *CUSTOM]))
        user = User(self.chance.choice(USERS))
        await manage_users.grant(self.app.store, self.physician(), user, role, **self.by)

    async def revoke(self) -> None:
        role = Role(self.chance.choice([*BUILT_IN, *CUSTOM]))
        user = User(self.chance.choice(USERS))
        await manage_users.revoke(self.app.store, self.physician(), user, role, **self.by)

    def physician(self) -> Physician:
        return Physician(self.chance.choice(PHYSICIANS))

    async def define(self) -> None:
        definition = RoleDefinition(
            allow=frozenset(self.some(GRANTABLE) if self.chance.random() < 0.8 else ()),
            deny=frozenset(self.some(list(Action)) if self.chance.random() < 0.4 else ()),
            includes=frozenset(Role(r) for r in self.some([*BUILT_IN, *CUSTOM])) if self.chance.random() < 0.5 else frozenset(),
        )  # fmt: skip
        role = Role(self.chance.choice(CUSTOM))
        await custom_roles.define(self.app.store, self.physician(), role, definition, **self.by)

    async def delete(self) -> None:
        role = Role(self.chance.choice(CUSTOM))
        await custom_roles.delete(self.app.store, self.physician(), role, **self.by)

    async def invite(self) -> None:
        page, user = self.on_page(), self.chance.choice(USERS)
        if self.chance.random() < 0.5:
            invited = await page.invite(user, self.chance.choice([*BUILT_IN, *CUSTOM]), reuse_existing=True)
        else:
            invited = await page.invite(user, actions=tuple(self.some(GRANTABLE)), reuse_existing=True)
        self.open.append((page.physician, invited.invitation.id))

    async def accept(self) -> None:
        if self.open:
            _, invitation = self.open.pop(self.chance.randrange(len(self.open)))
            await self.page.accept(read_key(DATA_DIR / "token.key").token(invitation, 1))

    async def edit(self) -> None:
        page, user = self.on_page(), self.chance.choice(USERS)
        if self.chance.random() < 0.5:
            await page.edit(user, *self.some([*BUILT_IN, *CUSTOM]))
        else:
            await page.edit(user, actions=tuple(self.some(GRANTABLE)))

    async def revoke_access(self) -> None:
        await self.on_page().revoke(self.chance.choice(USERS))

    async def change_built_in(self) -> None:
        """Other built-in rules; those of the owner and of the callers stay."""
        rules = [row for row in self.seed if row.ptype == "p" and row.domain == "*" and row.values[0] != "role:owner"]
        kept = [row for row in self.seed if row not in rules]
        new = [row for row in rules if self.chance.random() < 0.85]
        if self.chance.random() < 0.5:
            effect = self.chance.choice(list(Effect))
            new += [
                rule_row(Role(self.chance.choice(BUILT_IN)), "*", action, effect) for action in self.some(GRANTABLE)
            ]
        await install.install(self.app.store, {*kept, *new}, **self.by)

    async def one_change(self) -> None:
        steps: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.grant, 30), (self.revoke, 25), (self.define, 20), (self.delete, 5), (self.invite, 6), (self.accept, 6),
            (self.edit, 10), (self.revoke_access, 6), (self.change_built_in, 2), (self.register, 1),
        ]  # fmt: skip
        (step,) = self.chance.choices([step for step, _ in steps], [weight for _, weight in steps])
        try:
            await step()
        except PolicyError:
            return
        except Refused as refused:
            assert refused.code is not grpc.StatusCode.INTERNAL

    async def sample(self, revision: int) -> None:
        """Write down every answer of the service as it stands."""
        await reached(self.app, revision)
        snapshot = self.app.replica.snapshot
        assert snapshot.revision == revision
        people = list(itertools.product(PHYSICIANS, everybody()))
        self.samples[revision] = Sample(
            answers={
                (physician, user): {
                    (action, channel): snapshot.check(User(user), Physician(physician), action, channel)
                    for action in Action
                    for channel in Channel
                }
                for physician, user in people
            },
            roles={
                (physician, user): tuple(snapshot.roles(User(user), Physician(physician))) for physician, user in people
            },
        )


def owner_of(physician: str) -> str:
    return f"owner-{physician}"


def everybody() -> list[str]:
    return sorted([*USERS, *map(owner_of, PHYSICIANS), "stranger"])


@pytest.fixture
async def history(app, management, seed):
    """A history of so many changes, with the answers of the time at some of its revisions."""
    made = History(app=app, page=Page(management, "", ""), seed=seed, chance=random.Random(2026))
    for physician in PHYSICIANS[:2]:
        await register(app, physician, owner_of(physician))
    wanted = set(made.chance.sample(range(3, CHANGES), SAMPLES - 1)) | {CHANGES}
    revision = await app.store.revision()
    while revision < CHANGES:
        await made.one_change()
        now = await app.store.revision()
        if now != revision and now in wanted:
            await made.sample(now)
        revision = now
    return made


async def test_as_of_answers_equal_the_answers_of_the_time(management, history):
    log = {change.revision: change for change in await every(management, "ListChanges", 1_000)}
    assert len(log) >= CHANGES - 100
    assert {change.kind for change in log.values()} >= {
        "grant", "revoke", "role.define", "role.delete", "invite", "invitation.accept", "permissions.update",
        "access.revoke", "seed.install", "physician.register",
    }  # fmt: skip
    assert len(history.samples) == SAMPLES
    compared = 0
    for revision, sample in history.samples.items():
        # By its number, and by its time.
        points = (pb.Point(revision=revision), pb.Point(at=log[revision].at))
        for physician, point in zip(PHYSICIANS, itertools.cycle(points), strict=False):
            compared += await compare_account(management, sample, physician, point)
        for user in history.chance.sample(everybody(), 2):
            await compare_user(management, sample, user, points[0])
    assert compared > SAMPLES * 3 * 6 * len(Action)
    await compare_diffs(management, history)


async def compare_account(management, sample: Sample, physician: str, point: pb.Point) -> int:
    """The review of an account says of everybody what the service answered; the number of answers compared."""
    unknown = sample.answers[physician, "stranger"][Action.CLAIM_VIEW, Channel.WEB].reason is Reason.UNKNOWN_PHYSICIAN
    if unknown:
        with pytest.raises(Refused, match="UNKNOWN_PHYSICIAN"):
            await every(management, "ReviewAccess", physician=physician, as_of=point)
        return 0
    review = {
        access.user: access for access in await every(management, "ReviewAccess", physician=physician, as_of=point)
    }
    assert list(review) == sorted(review)
    assert review.keys() <= set(everybody())
    for user in everybody():
        expected = sample.answers[physician, user]
        if user not in review:
            assert {outcome.reason for outcome in expected.values()} == {Reason.NOT_A_MEMBER}
            assert sample.roles[physician, user] == ()
            continue
        assert said(review[user]) == expected_of(expected), (physician, user, point)
        assert tuple(role.role for role in review[user].roles) == tuple(sorted(sample.roles[physician, user]))
    return len(review) * len(Action)


async def compare_user(management, sample: Sample, user: str, point: pb.Point) -> None:
    """The review of a person says the same, account by account."""
    review = {}
    if user == "stranger":
        with pytest.raises(Refused, match="UNKNOWN_USER"):
            await every(management, "ReviewAccess", user=user, as_of=point)
    else:
        found = await every(management, "ReviewAccess", user=user, as_of=point)
        review = {access.physician: access for access in found}
    for physician in PHYSICIANS:
        if physician in review:
            assert said(review[physician]) == expected_of(sample.answers[physician, user])
        else:
            assert sample.roles[physician, user] == ()
            assert sample.allowed((physician, user)) == set()


def said(access: pb.ReviewedAccess) -> list[tuple[str, bool, str, str, bool]]:
    return [(a.action, a.shown, decision_pb2.Reason.Name(a.reason)[7:], a.role, a.mobile) for a in access.actions]


def expected_of(answers: dict[tuple[Action, Channel], Outcome]) -> list[tuple[str, bool, str, str, bool]]:
    found = []
    for action in Action:
        web = answers[action, Channel.WEB]
        mobile = answers[action, Channel.MOBILE].allowed
        found.append((str(action), web.allowed, web.reason.name, web.role or "", mobile))
    return found


async def compare_diffs(management, history: History) -> None:
    """The difference of two revisions is the difference of what was answered at them."""
    pairs = [sorted(history.chance.sample(sorted(history.samples), 2)) for _ in range(PAIRS)]
    total = 0
    for earlier, later in pairs:
        found = {
            (d.physician, d.user): (set(d.gained), set(d.lost))
            for d in await every(
                management, "DiffAccess", 7, earlier=pb.Point(revision=earlier), later=pb.Point(revision=later)
            )
        }
        before, after = history.samples[earlier], history.samples[later]
        expected = {
            who: (after.allowed(who) - before.allowed(who), before.allowed(who) - after.allowed(who))
            for who in before.answers
            if before.allowed(who) != after.allowed(who)
        }
        assert found == expected, (earlier, later)
        assert list(found) == sorted(found)
        total += len(found)
    assert total > PAIRS * 2
