"""Actions are rows that ops change like any other: what follows from one, who gains and loses, and what may not go."""

import ast
import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from policy_client import PolicyClient

from policy_service.audit.past import built_in_at
from policy_service.decide import Account, Basis, Shapes
from policy_service.members.authority import Standing
from policy_service.members.errors import ActorNotAllowed
from policy_service.pb import audit_pb2
from policy_service.pb import decision_pb2 as pb
from policy_service.policy_text import seed_rows
from policy_service.seed import install, ordered
from policy_service.store import rules
from policy_service.vocabulary import Channel, Operation, Physician, Reason, Role, Row, User, grant_row
from tests.conftest import SHIPPED_MODEL
from tests.seed.test_seeds import Ops, ops, refused_as  # noqa: F401 - the fixture.
from tests.support.accounts import grant, reached
from tests.support.actions import ACTION_ROWS, Action
from tests.support.people import Page
from tests.support.rpc import Refused
from tests.support.seeds import SEED

ROOT = Path(__file__).parents[2]
NEW = "claim:resubmit"
ROW = f"a, {NEW}, 135 claims, *, Resubmit claims | Send rejected claims again, mended. | needs=claim:submit\n"
GIVEN = f"p, role:data_entry, *, {NEW}, allow\n"


@pytest.fixture
async def clerk(ops, app):  # noqa: F811
    """Somebody who enters data, and an account whose own role allows what the seed may stop telling of."""
    await reached(app, await grant(app, "dr-x", "dan", "data_entry"))
    return ops


def told(row: Row) -> str:
    return ", ".join((row.ptype, *row.values))


async def asked(wire, user: str, action: str, revision: int, channel: int = 0) -> pb.CheckResponse:
    return await wire(
        "Check",
        pb.CheckRequest(user=user, physician="dr-x", action=action, channel=channel, min_revision=revision),
    )


async def test_an_action_is_added_given_seen_by_every_list_and_rolled_back(clerk, app, wire):
    before = await app.store.revision()
    assert (await asked(wire, "dan", NEW, before)).reason == pb.REASON_UNKNOWN_ACTION
    plan = await clerk.plan(SEED + ROW + GIVEN)
    assert list(plan.added) == [ROW.strip(), GIVEN.strip()]
    # In people: who holds the role gains it, and every owner, who may do whatever there is.
    assert {(*group.roles, *group.gained, *group.lost) for group in plan.groups} == {
        ("data_entry", NEW),
        ("owner", NEW),
    }
    applied = await clerk.apply(plan, SEED + ROW + GIVEN)
    assert (await asked(wire, "dan", NEW, applied.revision)).allowed
    assert not (await asked(wire, "vera", NEW, applied.revision)).allowed
    listed = await wire(
        "ListActions", pb.ListActionsRequest(user="dan", physician="dr-x", min_revision=applied.revision)
    )
    assert [info.action for info in listed.catalogue] == [access.action for access in listed.actions]
    # In its own place, not where it was added.
    assert [info.action for info in listed.catalogue][2:5] == ["claim:submit", NEW, "claim:delete"]
    (info,) = (info for info in listed.catalogue if info.action == NEW)
    assert (info.title, info.group, list(info.needs), info.owner_only) == (
        "Resubmit claims",
        "claims",
        ["claim:submit"],
        False,
    )
    back = await clerk.plan(to_revision=before)
    assert list(back.removed) == [ROW.strip(), GIVEN.strip()]
    rolled = await clerk.apply(back, to_revision=before)
    assert (await asked(wire, "dan", NEW, rolled.revision)).reason == pb.REASON_UNKNOWN_ACTION
    assert await clerk.seed() == "".join(f"{told(row)}\n" for row in _as_exported(SEED))


def _as_exported(text: str) -> list[Row]:
    return list(ordered(seed_rows(text, "seed")))


async def test_what_was_an_action_then_is_read_as_of_then(clerk, app, wire, management):
    before = await app.store.revision()
    applied = await clerk.change(SEED + ROW + GIVEN)

    async def review(at: int):
        as_of = audit_pb2.Point(revision=at)
        found = await management("ReviewAccess", audit_pb2.ReviewAccessRequest(physician="dr-x", as_of=as_of))
        dan = next(access for access in found.access if access.user == "dan")
        return [info.action for info in found.catalogue], {act.action for act in dan.actions if act.shown}

    assert NEW not in (await review(before))[0]
    catalogue, may = await review(applied.revision)
    assert NEW in catalogue
    assert NEW in may
    *_, last = await management.parts("VerifyLog", audit_pb2.VerifyLogRequest())
    assert last.verdict.whole


async def test_an_action_that_accounts_use_does_not_go_and_the_plan_names_who(clerk, app, management):
    page = Page(management, "owner-x", "dr-x")
    await page.create_role("payer", "invoice:pay")
    invitation = (await page.invite("pat", actions=("invoice:pay",))).invitation.id
    without = "".join(f"{line}\n" for line in SEED.splitlines() if "invoice:pay" not in line)
    plan = await clerk.plan(without)
    (guard,) = (words for words in plan.guarded if words.startswith("ACTION_IN_USE"))
    # The account of the fixture denies it to a role of its own; an invitation is no row, and looked for under the lock.
    assert "dr-x/role:payer" in guard
    assert "dr-y/role:desk" in guard
    await refused_as("ACTION_IN_USE", clerk.apply(plan, without, allow_mass_removal=True))
    await page.delete_role("payer")
    await Page(management, "owner-y", "dr-y").update_role("desk", "invoice:view")
    again = await clerk.plan(without)
    refused = await refused_as("ACTION_IN_USE", clerk.apply(again, without, allow_mass_removal=True))
    assert f"dr-x/invitation:{invitation}" in str(refused)
    await page.cancel(invitation)
    assert (await clerk.change(without, allow_mass_removal=True)).changed


async def test_nobody_ticks_what_there_is_not_nor_what_is_marked_as_the_owners(clerk, app, management):
    page = Page(management, "owner-x", "dr-x")
    for call in (
        page.create_role("again", NEW),
        page.create_role("again", "claim:view", deny=(NEW,)),
        page.invite("pat", actions=(NEW,)),
    ):
        with pytest.raises(Refused) as found:
            await call
        assert found.value.reason == "INVALID_REQUEST"
        assert NEW in str(found.value)
    await clerk.change(SEED + ROW.replace("needs=claim:submit", "owner-only"))
    await refused_as("OWNER_ONLY", page.create_role("again", NEW))
    # What is no longer marked may be given from then on.
    await clerk.change(SEED + ROW)
    assert (await page.create_role("again", NEW)).revision


def basis(*rows: Row, without: tuple[str, ...] = ()) -> Basis:
    kept = [row for row in ACTION_ROWS if row.values[0] not in without]
    owner = Row(ptype="p", values=("role:owner", "*", "*", "allow"))
    return Basis(SHIPPED_MODEL, [owner, *kept, *rows])


def account(on: Basis) -> Account:
    return Account.of_rows(on, Physician("dr-a"), [grant_row("user:olive", Role("owner"), "physician:dr-a")])


def action_row(action: str, place: int, marks: str) -> Row:
    return Row(ptype="a", values=(action, f"{place} more", "*", f"More | And more. | {marks}"))


def test_what_is_not_done_in_the_app_is_done_there_by_nobody_and_says_so():
    found = account(basis(action_row("desk:count", 900, "not-mobile")))
    assert found.outcome(User("olive"), "desk:count", Channel.WEB).allowed
    mobile = found.explain(User("olive"), "desk:count", Channel.MOBILE)
    assert (mobile.outcome.reason, mobile.missing) == (Reason.CHANNEL_NOT_ALLOWED, None)
    assert found.outcome(User("olive"), Action.CLAIM_VIEW, Channel.MOBILE).allowed


def test_an_app_that_no_action_opens_is_closed_to_everybody():
    found = account(basis(without=("app:mobile",)))
    assert found.outcome(User("olive"), Action.CLAIM_VIEW, Channel.MOBILE).reason is Reason.CHANNEL_NOT_ALLOWED


def test_whatever_opens_the_app_must_be_held():
    second = action_row("app:field", 920, "opens=mobile")
    deny = Row(ptype="p", values=("role:owner", "physician:dr-a", "app:field", "deny"))
    on = basis(second)
    rows = [grant_row("user:olive", Role("owner"), "physician:dr-a"), deny]
    found = Account.of_rows(on, Physician("dr-a"), rows)
    asked = found.explain(User("olive"), Action.CLAIM_VIEW, Channel.MOBILE)
    assert asked.outcome.reason is Reason.CHANNEL_NOT_ALLOWED
    assert account(on).outcome(User("olive"), Action.CLAIM_VIEW, Channel.MOBILE).allowed


def test_limits_are_casbins_word_on_rules():
    """With the deny part out of the effect the same marks decide nothing: no code looks at a mark in its stead."""
    blind = replace(
        SHIPPED_MODEL,
        definitions=tuple(
            (section, key, "some(where (p_eft == allow))" if section == "e" else value)
            for section, key, value in SHIPPED_MODEL.definitions
        ),
    )
    rows = [Row(ptype="p", values=("role:owner", "*", "*", "allow")), *ACTION_ROWS]
    assert Basis(SHIPPED_MODEL, rows).owner_only == {"user:invite", "user:edit", "user:revoke", "app:mobile"}
    assert Basis(blind, rows).owner_only == frozenset()


@pytest.mark.parametrize("operation", Operation)
def test_each_operation_asks_for_what_guards_it_and_without_a_guard_nobody_may(operation):
    (guarding,) = (row for row in ACTION_ROWS if f"guards={operation}" in row.values[3].split())
    for on, may in ((basis(), True), (basis(without=(guarding.values[0],)), False)):
        at = Standing(Shapes(on), account(on), frozenset())
        if may:
            at.require(User("olive"), operation)
            with pytest.raises(ActorNotAllowed) as refused:
                at.require(User("vera"), operation)
            assert refused.value.action == guarding.values[0]
        else:
            with pytest.raises(ActorNotAllowed):
                at.require(User("olive"), operation)


async def test_a_database_of_a_release_whose_own_the_actions_were_is_told_of_them_once(store, seed):
    """In one entry of the change log, after which the past is read as it was and the log is whole."""
    older = [row for row in seed if row.ptype != "a"]
    await install.install_first(store, older, SHIPPED_MODEL)
    assert not [row for row in await store.rows_at(1) if row[0].ptype == "a"]
    written = await install.install_actions(store, seed)
    assert written is not None
    assert written.revision == 2
    assert await install.install_actions(store, seed) is None
    async with store.reading() as look:
        assert (
            set(await built_in_at(look, 1))
            == set(await built_in_at(look, 2))
            == {row for row in seed if row.domain == "*"}
        )
        assert set(await rules.first_actions(look.connection)) == set(ACTION_ROWS)
    async with store.looking_at_log() as look:
        (entry,) = [entry async for entry, _ in look.entries() if entry.kind == "actions.install"]
    assert {fields[0] for fields in entry.after} == {"a"}


async def test_casbins_libraries_see_rules_and_grants_only(store, seed, database):
    await install.install_first(store, seed, SHIPPED_MODEL)
    connection = await asyncpg.connect(database)
    types = {record["ptype"] for record in await connection.fetch("SELECT DISTINCT ptype FROM casbin_rule")}
    await connection.close()
    assert types == {"p", "g"}


async def test_the_client_knows_actions_that_it_never_heard_of_and_keeps_them(clerk, app):
    applied = await clerk.change(SEED + ROW + GIVEN)

    def ask() -> None:
        with PolicyClient(f"127.0.0.1:{app.planes.decision_port}") as client:
            found = client.actions(min_revision=applied.revision)
            assert NEW in {info.action for info in found}
            assert list(found.groups()) == ["claims", "reports", "invoices", "users", "app"]
            assert client.actions(min_revision=applied.revision) is found
            assert client.check("dan", "dr-x", NEW, min_revision=applied.revision)
            assert client.actions() is not found

    await asyncio.to_thread(ask)


def test_no_module_knows_an_action_by_name():
    """Docstrings aside, which show people what a call looks like."""
    ids = [str(action) for action in Action]
    known = {}
    for folder in (ROOT / "policy_service", ROOT / "clients/python/policy_client"):
        for path in folder.rglob("*.py"):
            if "pb" in path.parts or "_pb" in path.parts:
                continue
            tree = ast.parse(path.read_text())
            words = {
                id(node.body[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node.body
                and isinstance(node.body[0], ast.Expr)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
                    found = [action for action in ids if action in node.value]
                    if found:
                        known[f"{path.relative_to(ROOT)}:{node.lineno}"] = found
    assert known == {}


def test_the_fake_ships_the_same_seed():
    assert (ROOT / "clients/python/policy_client/testing/seed.csv").read_text() == SEED
