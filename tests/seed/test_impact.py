"""Whom a change of the built-in rows touches: the same as asking about everybody, one by one, before and after.

IMPACT_WORLDS=N for more, as in ``make fuzz``.
"""

import asyncio
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from policy_service.decide import Account, Basis, Snapshot
from policy_service.seed.impact import Comparison, Impact
from policy_service.vocabulary import Channel, Held, Physician, Progress, Row, User
from tests.conftest import SHIPPED_MODEL
from tests.support.actions import ACTION_ROWS, Action

WORLDS = int(os.environ.get("IMPACT_WORLDS", "120"))

# Some are named like roles, like actions' parts, like each other.
USERS = ("ann", "bob", "Ann", "owner", "data_entry", "custom.ann", "front-desk", "7")
PHYSICIANS = ("dr-x", "dr-y", "dr-Y", "ann")
BUILT_IN = ("owner", "financial_viewer", "data_entry", "administrator")
CUSTOM = ("front-desk", "bookkeeper", "ann", "night")
SYSTEM = [
    Row(ptype="p", values=("role:ops_caller", "system", "SeedService/ApplySeed", "allow")),
    Row(ptype="g", values=("service:ops", "role:ops_caller", "system")),
]

Touched = dict[tuple[str, str], tuple[tuple[Action, ...], tuple[Action, ...]]]


@dataclass
class World:
    """Accounts, and the built-in rows before and after."""

    accounts: set[Row]
    before: set[Row]
    after: set[Row]

    def snapshot(self) -> Snapshot:
        return Snapshot.of_rows(Basis(SHIPPED_MODEL, self.before), self.accounts)

    def comparison(self) -> Comparison:
        return Comparison(SHIPPED_MODEL, self.before, self.after)

    def impact(self, most: int | None = None) -> Impact:
        return found_by(self.comparison(), self.snapshot(), most)

    def one_by_one(self) -> Touched:
        """Everyone in every account, asked about every action under the rows before and the rows after."""
        old = self.snapshot()
        new = Snapshot.of_rows(Basis(SHIPPED_MODEL, self.after), self.accounts)
        touched = {}
        for physician in old.physicians():
            for user in (*USERS, "stranger"):
                had, has = (
                    [
                        action
                        for action in Action
                        if at.check(User(user), Physician(physician), action, Channel.WEB).allowed
                    ]
                    for at in (old, new)
                )
                if had != has:
                    gained = tuple(action for action in has if action not in had)
                    touched[user, str(physician)] = gained, tuple(action for action in had if action not in has)
        return touched


def found_by(comparison: Comparison, snapshot: Snapshot, most: int | None = None) -> Impact:
    *watched, last = asyncio.run(parts(comparison, snapshot, most))
    assert all(isinstance(part, Progress) for part in watched)
    assert isinstance(last, Impact)
    return last


async def parts(comparison: Comparison, snapshot: Snapshot, most: int | None) -> list[Progress | Impact]:
    return [part async for part in comparison.impact(snapshot, most=most)]


def world(number: int) -> World:
    chance = random.Random(number)
    accounts: set[Row] = set()
    for physician in PHYSICIANS[: chance.randint(1, len(PHYSICIANS))]:
        accounts |= account(chance, f"physician:{physician}")
    before = built_in(chance) | set(chance.sample(SYSTEM, chance.randint(0, 2)))
    return World(accounts, before, changed(chance, before))


def account(chance: random.Random, domain: str) -> set[Row]:
    rows = {grant("user:owner", "owner", domain)}
    for user in chance.sample(USERS, chance.randint(1, 5)):
        for role in chance.sample((*BUILT_IN, *CUSTOM), chance.randint(0, 2)):
            rows.add(grant(f"user:{user}", role, domain))
        if chance.random() < 0.3:
            rows.add(grant(f"user:{user}", f"custom.{user}", domain))
            rows |= {rule(chance, f"role:custom.{user}", domain) for _ in range(chance.randint(0, 3))}
        if chance.random() < 0.1:
            # Somebody else's own role.
            rows.add(grant(f"user:{user}", f"custom.{chance.choice(USERS)}", domain))
        if chance.random() < 0.2:
            rows.add(rule(chance, f"user:{user}", domain))
    for place, role in enumerate(CUSTOM):
        rows |= {rule(chance, f"role:{role}", domain) for _ in range(chance.randint(0, 2))}
        if chance.random() < 0.5:
            rows.add(grant(f"role:{role}", chance.choice((*CUSTOM[place + 1 :], *BUILT_IN)), domain))
    if chance.random() < 0.2:
        rows.add(grant("role:data_entry", "financial_viewer", domain))
    if chance.random() < 0.2:
        rows.add(rule(chance, "role:administrator", domain))
    return rows


def grant(subject: str, role: str, domain: str) -> Row:
    return Row(ptype="g", values=(subject, f"role:{role}", domain))


def rule(chance: random.Random, subject: str, domain: str, *more: str) -> Row:
    effect = chance.choice(("allow", "allow", "deny"))
    return Row(ptype="p", values=(subject, domain, chance.choice([*map(str, Action), *more]), effect))


def built_in(chance: random.Random) -> set[Row]:
    return {
        Row(ptype="p", values=("role:owner", "*", "*", "allow")),
        *ACTION_ROWS,
        *(rule(chance, f"role:{chance.choice(BUILT_IN)}", "*", "*") for _ in range(chance.randint(4, 16))),
    }


def changed(chance: random.Random, before: set[Row]) -> set[Row]:
    """A few rows less, a few more, now and then none or all others, and a right of a caller's."""
    kind = chance.random()
    if kind < 0.05:
        return set(before)
    if kind < 0.1:
        return built_in(chance)
    gone = set(chance.sample(sorted(before, key=lambda row: row.values), chance.randint(0, min(3, len(before)))))
    new = {rule(chance, f"role:{chance.choice((*BUILT_IN, 'newcomer'))}", "*") for _ in range(chance.randint(0, 3))}
    return (before - gone) | new | set(chance.sample(SYSTEM, chance.randint(0, 1)))


def listed(found: Impact) -> Touched:
    touched = {
        (str(user), str(physician)): (group.gained, group.lost)
        for group in found.groups
        for user, physician in group.members
    }
    assert len(touched) == sum(len(group.members) for group in found.groups), "somebody is listed twice"
    return touched


def test_the_impact_is_what_asking_about_everybody_finds():
    stands_for: dict[str, Touched] = {}
    touching = 0
    for number in range(WORLDS):
        here = world(number)
        found, wanted = here.impact(), here.one_by_one()
        assert listed(found) == wanted, number
        assert found.users == len({user for user, _ in wanted})
        assert found.physicians == len({physician for _, physician in wanted})
        snapshot = here.snapshot()
        for group in found.groups:
            assert group.count == len(group.members)
            assert group.gained or group.lost
            for user, physician in group.members:
                held = tuple(str(role) for role in snapshot.roles(user, physician))
                assert own(group.roles, user) == sorted(held), number
        # One digest for each effect, one effect for each digest.
        assert stands_for.setdefault(found.digest, wanted) == wanted, number
        touching += bool(wanted)
    assert len({repr(sorted(touched.items())) for touched in stands_for.values()}) == len(stands_for)
    assert touching > WORLDS / 2


def own(roles: Iterable[str], user: str) -> list[str]:
    """A group's roles in the words of one of its people."""
    return sorted(role.replace("custom.?", f"custom.{user}") for role in roles)


@pytest.mark.parametrize("most", [0, 1, 3, 10])
def test_a_limit_leaves_out_names_and_nothing_else(most):
    for number in range(16):
        here = world(number)
        whole, limited = here.impact(), here.impact(most)
        assert (limited.digest, limited.users, limited.physicians) == (whole.digest, whole.users, whole.physicians)
        for every, some in zip(whole.groups, limited.groups, strict=True):
            assert (some.roles, some.gained, some.lost, some.count) == (
                every.roles,
                every.gained,
                every.lost,
                every.count,
            )
            assert some.members == every.members[:most]


def test_the_order_is_by_group_then_physician_then_user_whatever_order_the_rows_came_in():
    for number in range(16):
        here = world(number)
        found = here.impact()
        keys = [(group.roles, group.gained, group.lost) for group in found.groups]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys)
        for group in found.groups:
            assert group.members == sorted(group.members, key=lambda member: (member[1], member[0]))
        chance = random.Random(number)
        shuffled = World(*(set(chance.sample(sorted(rows, key=repr), len(rows))) for rows in vars(here).values()))
        assert shuffled.impact() == found


def test_the_digest_notices_one_person_more_less_or_differently_affected():
    for number in range(16):
        here = world(number)
        found = here.impact()
        for user, physician in list(listed(found))[:3]:
            without = {row for row in here.accounts if not (row.values[0] == f"user:{user}" and row.domain.endswith(f":{physician}"))}  # fmt: skip
            assert World(without, here.before, here.after).impact().digest != found.digest
        elsewhere = {
            Row(
                ptype=row.ptype, values=tuple(value.replace("physician:dr-x", "physician:dr-z") for value in row.values)
            )
            for row in here.accounts
        }
        if any(physician == "dr-x" for _, physician in listed(found)):
            assert World(elsewhere, here.before, here.after).impact().digest != found.digest


def test_progress_reaches_the_number_of_accounts():
    accounts = {grant("user:owner", "owner", f"physician:dr-{number}") for number in range(2_450)}
    before = {Row(ptype="p", values=("role:owner", "*", "*", "allow")), *ACTION_ROWS}
    after = {Row(ptype="p", values=("role:owner", "*", "claim:view", "allow")), *ACTION_ROWS}
    snapshot = Snapshot.of_rows(Basis(SHIPPED_MODEL, before), accounts)

    *watched, found = asyncio.run(parts(Comparison(SHIPPED_MODEL, before, after), snapshot, 2))
    assert [(part.done, part.total) for part in watched if isinstance(part, Progress)] == [
        (1_000, 2_450),
        (2_000, 2_450),
        (2_450, 2_450),
    ]
    assert isinstance(found, Impact)
    assert (found.users, found.physicians, found.groups[0].count) == (1, 2_450, 2_450)


def test_looking_again_after_changes_finds_what_a_first_look_finds():
    asked = agreed = 0
    for number in range(20):
        here, chance = world(number), random.Random(number)
        kept, snapshot = here.comparison(), here.snapshot()
        for revision in range(1, 8):
            assert found_by(kept, snapshot) == found_by(here.comparison(), snapshot), (number, revision)
            # One account is made, changed, or gone; the others are the very same objects.
            physician = Physician(chance.choice(PHYSICIANS))
            rows = account(chance, f"physician:{physician}")
            changed_account = Account.of_rows(snapshot.basis, physician, rows) if chance.random() < 0.9 else None
            before = snapshot
            snapshot = snapshot.after(Held(revision=revision), {physician: changed_account})
            # What changed is all that needs another look.
            assert set(snapshot.changed_since(before)) == {physician} - (
                {physician} if changed_account is before.account(physician) else set()
            )
            same = asyncio.run(here.comparison().is_same(before, snapshot))
            assert same == (found_by(kept, before).digest == found_by(kept, snapshot).digest), (number, revision)
            agreed += same
            asked += 1
    assert asked > 100
    assert 10 < agreed < asked - 10


def test_looking_again_asks_about_changed_accounts_only(monkeypatch):
    here = world(3)
    kept, snapshot = here.comparison(), here.snapshot()
    first = found_by(kept, snapshot)
    looked_at = []
    look_at = Comparison._look_at
    monkeypatch.setattr(
        Comparison, "_look_at", lambda self, found: looked_at.append(found.physician) or look_at(self, found)
    )
    assert found_by(kept, snapshot) == first
    assert looked_at == []
    physician = next(snapshot.physicians())
    rows = account(random.Random(1), f"physician:{physician}")
    after = snapshot.after(Held(revision=1), {physician: Account.of_rows(snapshot.basis, physician, rows)})
    found_by(kept, after)
    assert looked_at == [physician]


def test_two_looks_at_once_do_not_mix():
    here = world(5)
    kept, snapshot = here.comparison(), here.snapshot()
    physician = next(snapshot.physicians())
    later = snapshot.after(Held(revision=1), {physician: None})

    async def both() -> list[list[Progress | Impact]]:
        return await asyncio.gather(*(parts(kept, at, None) for at in (snapshot, later) * 3))

    wanted = [found_by(here.comparison(), at) for at in (snapshot, later)] * 3
    assert [found[-1] for found in asyncio.run(both())] == wanted
