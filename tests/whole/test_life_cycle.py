"""The whole life cycle as a rule machine against a small model: thousands of steps, checked after each.

Invariants: an open invitation grants nothing; each token wins at most once;
every grant has a living reason; the owner stays; Check equals the model.
"""

import asyncio
import itertools
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from policy_service.app import open_app
from policy_service.members import read_key
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.store import connect_store
from tests.conftest import SHIPPED_MODEL, TEMPLATE, in_database, settings_for
from tests.support.accounts import register
from tests.support.oracle import TABLE
from tests.support.people import Page
from tests.support.rpc import Refused, Wire

pytestmark = pytest.mark.over_tls

EXAMPLES = int(os.environ.get("LIFE_CYCLES", "30"))
STEPS = 50

_world = itertools.count()
_roles = st.sampled_from(["financial_viewer", "data_entry", "administrator"])
_actions = st.sets(st.sampled_from(sorted(TABLE["administrator"])), min_size=1, max_size=4)
_holdings = st.one_of(_roles.map(lambda r: ((r,), ())), _actions.map(lambda a: ((), tuple(sorted(a)))))
_people = st.integers(0, 3)
_accounts = st.integers(0, 1)


def _gives(holding: tuple) -> set[str]:
    roles, actions = holding
    return set(actions).union(*(TABLE[role] for role in roles))


@dataclass
class Invited:
    """An invitation as the model knows it."""

    id: str
    account: int
    person: int
    holding: tuple
    open: bool = True
    tokens: list[str] = field(default_factory=list)


class Rig:
    """One service for all examples; each example has accounts and people of its own."""

    def __init__(self, postgres: str, seed, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.steps = 0
        self.run = self.runner.run
        self.run(self._open(postgres, seed, folder))

    async def _open(self, postgres: str, seed, folder: Path) -> None:
        connection = await asyncpg.connect(postgres)
        await connection.execute(f"CREATE DATABASE life_cycle TEMPLATE {TEMPLATE}")
        await connection.close()
        dsn = in_database(postgres, "life_cycle")
        async with connect_store(dsn) as store:
            await install.install_first(store, seed, SHIPPED_MODEL)
        # Its steps resend as often as they like; what limits that is tested by itself.
        free = {"letters_per_invitation": 0, "letters_per_address": 0, "letters_per_account": 0}
        self.app = await self.stack.enter_async_context(open_app(settings_for(dsn, data_dir=folder, **free)))
        self.key = read_key(folder / "token.key")
        self.decision = await self.stack.enter_async_context(Wire(self.app.planes.decision_port))
        self.management = await self.stack.enter_async_context(Wire(self.app.planes.management_port))

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


RIG: list[Rig] = []


class LifeCycle(RuleBasedStateMachine):
    """What the page can do, in any order."""

    @initialize()
    def begin(self) -> None:
        self.rig, self.number = RIG[0], next(_world)
        self.members: dict[tuple[int, int], tuple] = {}
        self.invited: list[Invited] = []
        self.known: set[int] = set()
        self.revision = 0
        for account in (0, 1):
            self.revision = self.rig.run(register(self.rig.app, self.physician(account), self.owner(account)))

    def physician(self, account: int) -> str:
        return f"dr-{self.number}-{account}"

    def owner(self, account: int) -> str:
        return f"own-{self.number}-{account}"

    def person(self, person: int) -> str:
        return f"n{self.number}-{person}"

    def page(self, account: int) -> Page:
        return Page(self.rig.management, self.owner(account), self.physician(account))

    def attempt(self, call) -> tuple[str, object]:
        self.rig.steps += 1
        try:
            response = self.rig.run(call)
        except Refused as refused:
            return refused.reason, None
        self.revision = response.revision
        return "done", response

    def open_for(self, account: int, person: int) -> Invited | None:
        return next((i for i in self.invited if i.open and (i.account, i.person) == (account, person)), None)

    def forget(self, person: int) -> None:
        """A name that was never used and has nothing open is free again."""
        if not any(i.open and i.person == person for i in self.invited) and person not in self.active():
            self.known.discard(person)

    def active(self) -> set[int]:
        return {i.person for i in self.invited if i.tokens and i.tokens[-1] == "used"}

    @rule(account=_accounts, person=_people, holding=_holdings, reuse=st.booleans())
    def invite(self, account, person, holding, reuse) -> None:
        roles, actions = holding
        said, response = self.attempt(
            self.page(account).invite(self.person(person), *roles, actions=actions, reuse_existing=reuse)
        )
        if (account, person) in self.members:
            assert said == "ALREADY_A_MEMBER"
        elif self.open_for(account, person):
            assert said == "ALREADY_INVITED"
        elif person in self.known and not reuse:
            assert said == "USER_EXISTS"
        else:
            assert said == "done"
            self.known.add(person)
            made = Invited(response.invitation.id, account, person, holding)
            made.tokens.append(self.rig.key.token(made.id, 1))
            self.invited.append(made)

    @precondition(lambda self: self.invited)
    @rule(data=st.data())
    def resend(self, data) -> None:
        wanted = data.draw(st.sampled_from(self.invited), label="invitation")
        said, _ = self.attempt(self.page(wanted.account).resend(wanted.id))
        assert said == ("done" if wanted.open else "INVITATION_CLOSED")
        if wanted.open:
            wanted.tokens.append(self.rig.key.token(wanted.id, len(wanted.tokens) + 1))

    @precondition(lambda self: self.invited)
    @rule(data=st.data())
    def cancel(self, data) -> None:
        wanted = data.draw(st.sampled_from(self.invited), label="invitation")
        said, _ = self.attempt(self.page(wanted.account).cancel(wanted.id))
        assert said == ("done" if wanted.open else "INVITATION_CLOSED")
        wanted.open = False
        self.forget(wanted.person)

    @precondition(lambda self: self.invited)
    @rule(data=st.data())
    def cancel_from_the_other_account(self, data) -> None:
        wanted = data.draw(st.sampled_from(self.invited), label="invitation")
        assert self.attempt(self.page(1 - wanted.account).cancel(wanted.id))[0] == "UNKNOWN_INVITATION"

    @precondition(lambda self: self.invited)
    @rule(data=st.data())
    def accept(self, data) -> None:
        wanted = data.draw(st.sampled_from(self.invited), label="invitation")
        count = len([token for token in wanted.tokens if token != "used"])
        which = data.draw(st.integers(0, count - 1), label="link")
        token = self.rig.key.token(wanted.id, which + 1)
        was_active = wanted.person in self.active()
        said, response = self.attempt(self.page(wanted.account).accept(token))
        if wanted.open and which == count - 1:
            assert said == "done"
            assert response.must_set_up_credentials == (not was_active)
            if not was_active:
                assert self.attempt(self.page(wanted.account).complete(token))[0] == "done"
            wanted.open = False
            wanted.tokens.append("used")
            self.members[wanted.account, wanted.person] = wanted.holding
        else:
            assert said == "INVALID_TOKEN"

    @rule(account=_accounts, person=_people, holding=_holdings)
    def edit(self, account, person, holding) -> None:
        roles, actions = holding
        said, _ = self.attempt(self.page(account).edit(self.person(person), *roles, actions=actions))
        assert said == ("done" if (account, person) in self.members else "NOT_A_MEMBER")
        if said == "done":
            self.members[account, person] = holding

    @rule(account=_accounts, person=_people)
    def revoke(self, account, person) -> None:
        waiting = self.open_for(account, person)
        said, _ = self.attempt(self.page(account).revoke(self.person(person)))
        assert said == ("done" if waiting or (account, person) in self.members else "NOT_A_MEMBER")
        self.members.pop((account, person), None)
        if waiting:
            waiting.open = False
        self.forget(person)

    @rule(account=_accounts, person=_people, other=_people)
    def a_member_tries_to_edit_another(self, account, person, other) -> None:
        by = self.page(account).by(self.person(person))
        said, _ = self.attempt(by.edit(self.person(other), "administrator"))
        assert said in {"ACTOR_NOT_ALLOWED", "UNKNOWN_PHYSICIAN"}

    @invariant()
    def check_equals_the_model(self) -> None:
        if not hasattr(self, "rig"):
            return
        checks, wanted = [], []
        for account, person in itertools.product((0, 1), range(4)):
            gives = _gives(self.members.get((account, person), ((), ())))
            for action in TABLE["owner"]:
                checks.append(
                    pb.CheckRequest(
                        user=self.person(person),
                        physician=self.physician(account),
                        action=action,
                        min_revision=self.revision,
                    )
                )
                wanted.append(action in gives)
        for account in (0, 1):
            checks.append(
                pb.CheckRequest(user=self.owner(account), physician=self.physician(account), action="user:invite")
            )
            wanted.append(True)
        answers = self.rig.run(self.rig.decision("BatchCheck", pb.BatchCheckRequest(checks=checks))).answers
        assert [answer.allowed for answer in answers] == wanted

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        for account in (0, 1):
            page = self.page(account)
            members = self.rig.run(page.members())
            expected = {self.person(p) for a, p in self.members if a == account} | {self.owner(account)}
            assert members.keys() == expected
            pending = {invitation.id for invitation in self.rig.run(page.pending())}
            assert pending == {i.id for i in self.invited if i.open and i.account == account}


def test_the_whole_life_cycle_in_any_order(postgres, seed, tmp_path_factory, capsys):
    rig = Rig(postgres, seed, tmp_path_factory.mktemp("life"))
    RIG[:] = [rig]
    try:
        run_state_machine_as_test(
            LifeCycle,
            settings=settings(
                max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        rig.close()
    with capsys.disabled():
        print(f"\n  life cycle: {rig.steps} steps, each as the model says")
    assert rig.steps >= EXAMPLES * 20
