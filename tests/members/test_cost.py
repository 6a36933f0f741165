"""What one account asks costs the others nothing: work grows with what is shown, none is done under the lock."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from policy_service.decide import Snapshot, engine, model
from policy_service.members import RoleDefinition, authority, custom_roles
from policy_service.rpc import stories
from policy_service.store import Store
from policy_service.vocabulary import Channel, Physician, Role, User, grant_row
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import grant, reached, register
from tests.support.actions import OWNER_ONLY, Action
from tests.support.people import Page
from tests.support.rpc import Refused, Wire

CHOICE = [action for action in Action if action not in OWNER_ONLY]


@dataclass
class Casbin:
    """What Casbin was asked about people and roles: questions, and rows that it looked at."""

    questions: int = 0
    rows: int = 0
    before: Callable[[], None] = field(default=lambda: None)


@pytest.fixture
def casbin(monkeypatch) -> Casbin:
    """Counts, from nothing remembered on."""
    authority._court.cache_clear()
    counted, ask = Casbin(), model._Enforcer.enforce_ex

    def counting(self, *question):
        if question[0].startswith("service:"):
            return ask(self, *question)
        counted.before()
        counted.questions += 1
        counted.rows += len(self.model["p"]["p"].policy)
        return ask(self, *question)

    monkeypatch.setattr(model._Enforcer, "enforce_ex", counting)
    return counted


async def roles(app, physician: str, count: int) -> None:
    """So many roles, each of another set of actions."""
    for number in range(count):
        allow = frozenset(action for place, action in enumerate(CHOICE) if (number + 1) >> place & 1)
        await custom_roles.define(
            app.store, Physician(physician), Role(f"r{number}"), RoleDefinition(allow=allow), caller="t", actor="t"
        )


@contextmanager
def counted(casbin: Casbin) -> Iterator[Casbin]:
    """What is asked in the block."""
    found = Casbin()
    questions, rows = casbin.questions, casbin.rows
    yield found
    found.questions, found.rows = casbin.questions - questions, casbin.rows - rows


async def asked(casbin: Casbin, app, wire: Wire, physician: str, count: int) -> dict[str, int]:
    """Rows that Casbin looks at for each method, in an account of so many roles."""
    await register(app, physician, "olive")
    await roles(app, physician, count)
    page, found = Page(wire, "olive", physician), {}
    for name, call in (
        ("ListRoles", page.roles),
        ("CreateRole", lambda: page.create_role("desk", *CHOICE[:7], deny=CHOICE[7:8])),
        ("UpdateRole", lambda: page.update_role("desk", *CHOICE[:6], deny=CHOICE[7:8])),
        ("GetPermissions", lambda: page.permissions("olive")),
    ):
        authority._court.cache_clear()
        with counted(casbin) as now:
            await call()
        found[name] = now.rows
    return found


async def test_work_grows_with_what_is_shown_and_not_with_its_square(app, management, casbin):
    few, many = [await asked(casbin, app, management, f"dr-{count}", count) for count in (5, 25)]
    assert many["ListRoles"] / (25 + 4) < 1.3 * few["ListRoles"] / (5 + 4)
    # One role is changed, one person looked at, however many others there are.
    for method in ("CreateRole", "UpdateRole", "GetPermissions"):
        assert many[method] < 1.3 * few[method], method


async def test_what_was_asked_once_is_not_asked_again(app, management, casbin):
    await register(app, "dr-a", "olive")
    await roles(app, "dr-a", 5)
    page = Page(management, "olive", "dr-a")
    await page.roles()
    with counted(casbin) as again:
        await page.roles()
    assert again.questions == 0


async def test_a_check_costs_the_same_whatever_else_the_account_holds(app, wire, casbin):
    found = []
    for physician, count in (("dr-few", 1), ("dr-many", 40)):
        await register(app, physician, "olive")
        await roles(app, physician, count)
        await reached(app, await grant(app, physician, "ben", "r0"))
        with counted(casbin) as now:
            assert (await wire.check("ben", physician, CHOICE[0])).allowed
            assert not (await wire.check("ben", physician, CHOICE[1])).allowed
        found.append(now.rows)
    assert found[0] == found[1]


@pytest.mark.parametrize("method", ["create", "update", "delete", "invite", "edit"])
async def test_casbin_is_not_asked_while_the_lock_is_held(app, management, casbin, monkeypatch, method):
    await register(app, "dr-a", "olive")
    await roles(app, "dr-a", 6)
    await grant(app, "dr-a", "ben", "r5")
    page, transaction, locked, held = Page(management, "olive", "dr-a"), Store.transaction, False, []

    @asynccontextmanager
    async def watched(self, **fields):
        nonlocal locked
        async with transaction(self, **fields) as tx:
            locked = True
            try:
                yield tx
            finally:
                locked = False

    monkeypatch.setattr(Store, "transaction", watched)
    casbin.before = lambda: held.append(locked)
    if method == "create":
        await page.create_role("desk", CHOICE[0], deny=[CHOICE[1]], includes=["r2"])
    elif method == "update":
        await page.update_role("r2", CHOICE[0], deny=[CHOICE[1]])
    elif method == "delete":
        await page.delete_role("r5", "data_entry")
    elif method == "invite":
        await page.invite("mia", "r1", "r3")
    else:
        await page.edit("ben", "r1", "r3")
    assert held
    assert not any(held)


@pytest.mark.parametrize("method", ["list", "create"])
async def test_another_accounts_write_goes_on_while_one_is_asked_about(app, management, casbin, method):
    for physician, owner in (("dr-a", "olive"), ("dr-b", "rosa")):
        await register(app, physician, owner)
        await roles(app, physician, 4)
        await grant(app, physician, "ben", "r0")
    long, other = Page(management, "olive", "dr-a"), Page(management, "rosa", "dr-b")
    await other.permissions("rosa")  # What is asked about the owner is known.
    asking, go_on, waited_out = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def hold() -> None:
        loop.call_soon_threadsafe(asking.set)
        if not go_on.wait(20):
            waited_out.append(True)

    casbin.before = hold
    slow = asyncio.create_task(long.roles() if method == "list" else long.create_role("desk", CHOICE[0]))
    try:
        await asyncio.wait_for(asking.wait(), 60)
        revoked = await other.revoke("ben")
    finally:
        go_on.set()
    await slow
    assert not waited_out, "the write waited for what was asked about another account"
    assert revoked.revision


async def test_what_changed_after_the_look_is_what_counts(app, management, monkeypatch):
    await register(app, "dr-a", "olive")
    await roles(app, "dr-a", 2)
    page, foresee = Page(management, "olive", "dr-a"), stories.foresee

    async def overtaken(*fields):
        found = await foresee(*fields)
        await custom_roles.delete(app.store, Physician("dr-a"), Role("r1"), caller="t", actor="t")
        return found

    monkeypatch.setattr(stories, "foresee", overtaken)
    with pytest.raises(Refused) as refused:
        await page.create_role("desk", CHOICE[0], includes=["r1"])
    assert refused.value.reason == "UNKNOWN_ROLE"


def test_whoever_asks_much_lets_others_come_between(casbin, monkeypatch, seed):
    """After each question Python's lock is given up: a Check beside a list does not wait for the list."""
    breaths, questions = [], []
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=breaths.append))
    snapshot = Snapshot.of_rows(engine.Basis(SHIPPED_MODEL, seed), [grant_row("user:ben", Role("r"), "physician:dr-a")])
    casbin.before = lambda: questions.append(len(breaths))
    snapshot.actions(User("nobody"), Physician("dr-a"), Channel.MOBILE)
    assert len(questions) >= len(Action)
    assert questions == list(range(len(questions)))
    assert set(breaths) == {0}
