"""The service against two oracles, on random worlds that change, and random actions that there are in them.

The oracles are a stock pycasbin enforcer loaded with every row, and a model of
plain sets. Every way of asking must agree with both, and with each other.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable
from functools import cache, partial

import asyncpg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policy_service.app import App, open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.store import Store, Written
from policy_service.vocabulary import Held, Origin, Row
from tests.conftest import SHIPPED_MODEL, TEMPLATE, in_database, settings_for
from tests.support.actions import ACTION_ROWS
from tests.support.oracle import ACTIONS, TABLE, Oracle, lines_of
from tests.support.plain_casbin import plain_allows, plain_enforcer
from tests.support.rpc import Wire, question

DECISIONS = int(os.environ.get("FUZZ_DECISIONS", "100000"))

USERS = ("ann", "bob", "cy")
PHYSICIANS = ("dr-x", "dr-y", "dr-z")
CUSTOM = ("c1", "c2", "c3")
ROLES = ("owner", "financial_viewer", "data_entry", "administrator", *CUSTOM)

# Actions that ops add, each in a place among the shipped ones, with one mark or another.
MORE = {"claim:resubmit": 135, "app:field": 505, "zone:count": 900}
MARKS = ("", "owner-only", "not-mobile", "opens=mobile")
EVERY = (*ACTIONS, *MORE)

ASKED = list(itertools.product((*USERS, "stranger"), (*PHYSICIANS, "dr-nobody"), (*EVERY, "claim:frame"), (0, 1, 2)))

_physician = st.sampled_from(PHYSICIANS).map("physician:{}".format)
_grants = st.builds(
    lambda user, role, domain: Row(ptype="g", values=(f"user:{user}", f"role:{role}", domain)),
    st.sampled_from(USERS),
    st.sampled_from(ROLES),
    _physician,
)
# A custom role includes a later one or a built-in one, so that there is no circle.
_inclusions = st.builds(
    lambda pair, domain: Row(ptype="g", values=(f"role:{pair[0]}", f"role:{pair[1]}", domain)),
    st.sampled_from([(c, r) for i, c in enumerate(CUSTOM) for r in (*CUSTOM[i + 1 :], *ROLES[1:4])]),
    _physician,
)
_rules = st.builds(
    lambda subject, domain, action, effect: Row(ptype="p", values=(subject, domain, action, effect)),
    st.sampled_from([f"role:{role}" for role in ROLES[1:]] + [f"user:{user}" for user in USERS]),
    _physician,
    st.sampled_from(EVERY),
    st.sampled_from(["allow", "allow", "deny"]),
)
_built_in = st.builds(
    lambda role, action, effect: Row(ptype="p", values=(f"role:{role}", "*", action, effect)),
    st.sampled_from(ROLES[1:4]),
    st.sampled_from(EVERY),
    st.sampled_from(["allow", "deny"]),
)
_catalogues = st.builds(
    lambda gone, marks: (
        gone | {added(action, mark) for action, mark in zip(MORE, marks, strict=True) if mark is not None}
    ),
    st.frozensets(st.sampled_from(ACTION_ROWS), max_size=2),
    st.tuples(*[st.sampled_from((None, *MARKS))] * len(MORE)),
)
_changes = st.tuples(
    st.frozensets(st.one_of(_grants, _grants, _inclusions, _rules), min_size=1, max_size=14),
    st.builds(frozenset.union, st.frozensets(_built_in, max_size=2), _catalogues),
)


def added(action: str, mark: str) -> Row:
    """An action that the shipped seed does not tell of."""
    return Row(ptype="a", values=(action, f"{MORE[action]} more", "*", f"More | And more. | {mark}"))


async def write(store: Store, held: set[Row], wanted: set[Row], origin: Origin) -> Written:
    """Make the rows of one origin these, in one change."""
    async with store.transaction(caller="test", actor="test") as transaction:
        await transaction.change("test", None, ended=held - wanted, begun=wanted - held, origin=origin)
    return transaction.written


class World:
    """A running service and what its policy should be."""

    def __init__(self, app: App, wire: Wire, seed: Iterable[Row]) -> None:
        self.app, self.wire = app, wire
        self.seed = frozenset(seed)
        self.built_in, self.rows = set(self.seed), set[Row]()
        self.decisions = 0

    async def become(self, rows: set[Row], built_in: set[Row]) -> None:
        first = await write(self.app.store, self.built_in, built_in, Origin.SEED)
        second = await write(self.app.store, self.rows, rows, Origin.API)
        self.built_in, self.rows = built_in, rows
        await self.agree(max(first.revision, second.revision))

    async def agree(self, revision: int) -> None:
        """Ask everything in every way."""
        lines = lines_of(self.rows | self.built_in)
        oracle, plain = Oracle(lines), plain_enforcer(lines)
        plainly = cache(partial(plain_allows, plain))
        answers: dict[tuple[str, str, str, int], pb.CheckResponse] = {}
        for some in itertools.batched(ASKED, 1000) if hasattr(itertools, "batched") else _batches(ASKED, 1000):
            request = pb.BatchCheckRequest(checks=[question(*asked, min_revision=revision) for asked in some])
            response = await self.wire("BatchCheck", request)
            assert response.revision == revision
            answers.update(zip(some, response.answers, strict=True))
        for (user, physician, action, channel), answer in answers.items():
            reason = oracle.reason(user, physician, action, channel == 2)
            asked = (user, physician, action, channel, sorted(lines))
            assert pb.Reason.Name(answer.reason) == f"REASON_{reason}", asked
            assert answer.allowed == (reason == "GRANTED"), asked
        for user, physician, action in itertools.product((*USERS, "stranger"), PHYSICIANS, oracle.actions()):
            # An account without rows is unknown to the service; to the plain enforcer it is one like any other.
            if physician in oracle.physicians():
                for channel in (1, 2):
                    allowed = answers[user, physician, action, channel].allowed
                    beside = oracle.in_the_app(action) if channel == 2 else set()
                    through = beside is not None and all(plainly(user, physician, gate) for gate in beside)
                    assert allowed == (plainly(user, physician, action) and through), (user, physician)
        self.decisions += len(answers)
        await self._lists_agree(answers, oracle)
        await self._singles_agree(answers, revision)

    async def _lists_agree(self, answers: dict, oracle: Oracle) -> None:
        for channel in (1, 2):
            for user, physician in itertools.product((*USERS, "stranger"), (*PHYSICIANS, "dr-nobody")):
                listed = await self.wire(
                    "ListActions", pb.ListActionsRequest(user=user, physician=physician, channel=channel)
                )
                assert [access.action for access in listed.actions] == oracle.actions()
                for access in listed.actions:
                    answer = answers[user, physician, access.action, channel]
                    assert (access.shown, access.reason, access.role) == (answer.allowed, answer.reason, answer.role)
            for physician, action in itertools.product(sorted(oracle.physicians()), oracle.actions()):
                listed = await self.wire(
                    "ListUsers", pb.ListUsersRequest(physician=physician, action=action, channel=channel)
                )
                allowed = [user for user in USERS if answers[user, physician, action, channel].allowed]
                assert [access.user for access in listed.users] == sorted(allowed)
            for user in (*USERS, "stranger"):
                listed = await self.wire("ListPhysicians", pb.ListPhysiciansRequest(user=user, channel=channel))
                found = {access.physician: list(access.actions) for access in listed.physicians}
                wanted = {
                    physician: [
                        action for action in oracle.actions() if answers[user, physician, action, channel].allowed
                    ]
                    for physician in PHYSICIANS
                }
                assert found == {physician: actions for physician, actions in wanted.items() if actions}

    async def _singles_agree(self, answers: dict, revision: int) -> None:
        """Explain and Check, on a part that moves through all questions from state to state."""
        start = self.decisions % 31
        for asked in ASKED[start::31]:
            answer = answers[asked]
            single = await self.wire.check(*asked)
            explained = await self.wire("Explain", pb.ExplainRequest(check=question(*asked)))
            for other in (single, explained.decision):
                assert (other.allowed, other.reason, other.role, other.revision) == (
                    answer.allowed,
                    answer.reason,
                    answer.role,
                    revision,
                )
            if answer.allowed:
                assert explained.rule.effect == "allow"
                # The path is really there, from the user to the rule.
                steps = [(f"user:{asked[0]}", "")] + [(f"role:{grant.role}", grant.subject) for grant in explained.path]
                assert [step[1] for step in steps[1:]] == [step[0] for step in steps[:-1]]
                assert steps[-1][0] == explained.rule.subject


def _batches(items: list, size: int) -> list[list]:
    return [items[start : start + size] for start in range(0, len(items), size)]


async def _open(postgres: str, name: str, seed: tuple[Row, ...], stack) -> World:
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    await connection.close()
    configured = settings_for(in_database(postgres, name))
    from policy_service.store import connect_store

    async with connect_store(in_database(postgres, name)) as store:
        await install.install_first(store, seed, SHIPPED_MODEL)
    app = await stack.enter_async_context(open_app(configured))
    return World(app, await stack.enter_async_context(Wire(app.planes.decision_port)), seed)


def test_the_service_agrees_with_two_oracles_on_random_changing_worlds(postgres, seed, capsys):
    from contextlib import AsyncExitStack

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(_open(postgres, "differential", seed, stack))
        states = DECISIONS // len(ASKED) + 1

        @given(st.lists(_changes, min_size=4, max_size=4))
        @settings(
            max_examples=-(-states // 4) + 1,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if DECISIONS <= 100_000 else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def agrees(changes):
            for rows, built_in in changes:
                # Each state keeps part of the one before: rows in both are taken out, others come in.
                toggled = world.rows ^ rows if len(world.rows) < 30 else set(rows)
                runner.run(world.become(set(toggled), set(world.seed) ^ built_in))

        try:
            while world.decisions < DECISIONS:
                agrees()
        finally:
            runner.run(stack.aclose())
    with capsys.disabled():
        print(f"\n  differential: {world.decisions} decisions, no two disagreed")
    assert world.decisions >= DECISIONS


def test_every_tiny_world_is_as_the_table_says(model, seed):
    """Two users, two physicians, every choice of built-in roles, every action and channel: all enumerated."""
    from policy_service.decide import Account, Basis, Snapshot
    from policy_service.vocabulary import Channel, Physician, User
    from tests.support.actions import Action

    basis = Basis(model, seed)
    users, physicians = ("u1", "u2"), ("d1", "d2")
    choices = (None, *TABLE)
    worlds = 0

    @cache
    def account(physician: str, *held: str | None) -> Account:
        """As in the service, worlds share the accounts that are the same in both."""
        rows = [
            Row(ptype="g", values=(f"user:{user}", f"role:{role}", f"physician:{physician}"))
            for user, role in zip(users, held, strict=True)
            if role
        ]
        return Account.of_rows(basis, Physician(physician), rows)

    for held in itertools.product(choices, repeat=4):
        worlds += 1
        roles = dict(zip(itertools.product(users, physicians), held, strict=True))
        accounts = [account(physician, *(roles[user, physician] for user in users)) for physician in physicians]
        snapshot = Snapshot.of(Held(revision=1), basis, accounts)
        for (user, physician), role in roles.items():
            allowed = TABLE[role] if role else set()
            for action in Action:
                web = snapshot.check(User(user), Physician(physician), action, Channel.WEB)
                mobile = snapshot.check(User(user), Physician(physician), action, Channel.MOBILE)
                assert web.allowed == (action in allowed)
                assert mobile.allowed == (action in allowed and "app:mobile" in allowed)
    assert worlds == 5**4
