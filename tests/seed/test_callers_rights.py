"""What calling services may do is widened only by one who may, and only where that is said."""

import asyncio
import contextlib

import grpc
import pytest
from typer.testing import CliRunner

from policy_service.app import open_app
from policy_service.cli.main import app as command
from policy_service.errors import StartError
from policy_service.policy_text import seed_rows
from policy_service.rpc import contract_methods
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.seed.test_seeds import Ops
from tests.support.accounts import reached, register
from tests.support.callers import Authority
from tests.support.rpc import Refused
from tests.support.seeds import SEED

INVITE = "ManageUsersService/InviteUser"
EVERYTHING = "p, role:ops_caller, system, *, allow\n"
ROLE = "g, service:ops, role:manage_users_caller, system\n"
RULE = f"p, role:ops_caller, system, {INVITE}, allow\n"
INCLUDED = "g, role:ops_caller, role:manage_users_caller, system\n"
STRANGER = "g, service:mallory, role:auditor_caller, system\n"
WIDER = {"role": ROLE, "rule": RULE, "wildcard": EVERYTHING, "included role": INCLUDED, "new caller": STRANGER}
DENIED = f"p, role:decision_caller, system, {INVITE}, deny\n"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def app(store, database, seed, authority):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(authority.settings(database)) as opened:
        await reached(opened, await register(opened, "dr-a", "olive"))
        yield opened


@contextlib.asynccontextmanager
async def acting_as(app, authority, caller):
    async with authority.wire(app.planes.management_port, caller) as wire:
        yield Ops(wire)


async def refused(call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


@pytest.mark.parametrize("more", WIDER.values(), ids=WIDER)
async def test_ops_give_no_caller_more_than_it_may_however_it_is_written(app, authority, more):
    async with acting_as(app, authority, "ops") as ops:
        plan = await ops.plan(SEED + more)
        assert any(words.startswith("WIDENED_CALLERS: ") for words in plan.guarded), plan.guarded
        assert any(words.startswith("MAY_NOT_CHANGE_CALLERS: ") for words in plan.guarded), plan.guarded
        before = await app.store.revision()
        # Said or not said, by this caller it is not done.
        for said in (False, True):
            everything = dict.fromkeys(("allow_mass_removal", "allow_emptied_role", "allow_widened_callers"), said)
            found = await refused(ops.apply(plan, SEED + more, **everything))
            assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "MAY_NOT_CHANGE_CALLERS")
    assert await app.store.revision() == before


async def test_ops_go_on_changing_what_people_may(app, authority):
    without = SEED.replace("p, role:financial_viewer, *, invoice:pay, allow\n", "")
    async with acting_as(app, authority, "ops") as ops:
        assert (await ops.change(without)).changed


async def test_ops_do_not_take_other_callers_rights_either(app, authority):
    async with acting_as(app, authority, "ops") as ops:
        less = SEED.replace("g, service:auditor, role:auditor_caller, system\n", "")
        found = await refused(ops.change(less, allow_emptied_role=True))
    assert found.reason == "MAY_NOT_CHANGE_CALLERS"


async def test_whoever_may_change_callers_says_that_it_is_meant(app, authority):
    async with acting_as(app, authority, "callers-admin") as admin:
        plan = await admin.plan(SEED + STRANGER)
        (guard,) = plan.guarded
        assert "mallory" in guard
        found = await refused(admin.apply(plan, SEED + STRANGER, allow_emptied_role=True, allow_mass_removal=True))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WIDENED_CALLERS")
        assert (await admin.apply(plan, SEED + STRANGER, allow_widened_callers=True)).changed


async def test_what_gives_nobody_more_needs_no_word(app, authority):
    unheld = f"p, role:later_caller, system, {INVITE}, allow\n"
    async with acting_as(app, authority, "callers-admin") as admin:
        assert (await admin.change(SEED + DENIED + unheld)).changed
        # The next step would be that somebody holds it; and a deny that goes is a right that comes.
        for step in (SEED + DENIED + unheld + "g, service:ops, role:later_caller, system\n",):
            assert (await refused(admin.change(step))).reason == "WIDENED_CALLERS"


async def test_a_deny_that_goes_is_a_right_that_comes(app, authority):
    denied = SEED + "p, role:auditor_caller, system, AuditService/VerifyLog, deny\n"
    denied = denied.replace("p, role:auditor_caller, system, AuditService/VerifyLog, allow\n", "")
    widened = denied + "g, service:auditor, role:decision_caller, system\n"
    with_allow = denied + "p, role:decision_caller, system, AuditService/VerifyLog, allow\n"
    async with acting_as(app, authority, "callers-admin") as admin:
        assert (await admin.change(with_allow, allow_widened_callers=True)).changed
        assert (await admin.change(widened, allow_widened_callers=True)).changed
        both = widened + "p, role:decision_caller, system, AuditService/VerifyLog, allow\n"
        await admin.change(both, allow_widened_callers=True)
        freed = both.replace("p, role:auditor_caller, system, AuditService/VerifyLog, deny\n", "")
        assert (await refused(admin.change(freed))).reason == "WIDENED_CALLERS"


async def test_every_method_of_today_is_less_than_every_method(app, authority):
    every = "".join(
        f"p, role:callers_admin, system, {method}, allow\n"
        for method in sorted(contract_methods())
        if f"p, role:callers_admin, system, {method}, allow\n" not in SEED
    )
    async with acting_as(app, authority, "callers-admin") as admin:
        assert (await admin.change(SEED + every, allow_widened_callers=True)).changed
        wildcard = SEED + every + "p, role:callers_admin, system, *, allow\n"
        assert (await refused(admin.change(wildcard))).reason == "WIDENED_CALLERS"


async def test_nobody_goes_back_to_rights_that_were_taken(app, authority):
    """A roll-back is a plan like any other: what it would give again is given by whom may, or not at all."""
    first = await app.store.revision() - 1
    less = SEED.replace("g, service:manage-users-page, role:decision_caller, system\n", "")
    async with acting_as(app, authority, "callers-admin") as admin:
        await admin.change(less)
        async with acting_as(app, authority, "ops") as ops:
            plan = await ops.plan(to_revision=first)
            found = await refused(ops.apply(plan, to_revision=first, allow_widened_callers=True))
            assert found.reason == "MAY_NOT_CHANGE_CALLERS"
        plan = await admin.plan(to_revision=first)
        assert (await refused(admin.apply(plan, to_revision=first))).reason == "WIDENED_CALLERS"
        assert (await admin.apply(plan, to_revision=first, allow_widened_callers=True)).changed


async def test_a_right_is_no_method(app, authority):
    """``SeedService/ChangeCallers`` can be given; there is nothing to call under that name."""
    channel = authority.wire(app.planes.management_port, "callers-admin").channel
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as found:
            await channel.unary_unary("/policy.v1.SeedService/ChangeCallers")(b"", timeout=10)
    assert found.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_whoever_holds_the_database_says_it_too(database, store, seed, monkeypatch, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    monkeypatch.setenv("POLICY_DATABASE_URL", database)
    monkeypatch.setenv("POLICY_DATA_DIR", str(tmp_path))
    file = tmp_path / "new.csv"
    file.write_text(SEED + STRANGER)
    words = ["seed", "apply", str(file), "--direct", "--as", "olga", "--reason", "new caller", "--yes"]
    found = await asyncio.to_thread(CliRunner().invoke, command, words)
    assert found.exit_code == 1
    assert "--allow-widened-callers" in found.output
    found = await asyncio.to_thread(CliRunner().invoke, command, [*words, "--allow-widened-callers"])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("said", [False, True])
async def test_a_moved_policy_brings_no_caller_more_unless_it_is_said(
    postgres, database, store, seed, monkeypatch, tmp_path, said
):
    """The file of a moved policy has callers' rights too; whoever brings it in is told of those that are new."""
    from policy_service.transfer import moving

    rows = seed_rows(SEED + STRANGER, "wider")
    await install.install(store, rows, caller="test", actor="test")
    async with store.reading_long() as look:
        text = "".join([part.text async for part in moving.export(look, SHIPPED_MODEL.text)])
    (tmp_path / "policy.jsonl").write_text(text)
    monkeypatch.setenv("POLICY_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.delenv("POLICY_DATABASE_URL", raising=False)
    words = ["seed", "import", str(tmp_path / "policy.jsonl"), "--as", "olga"]
    words += ["--allow-widened-callers"] if said else []
    found = await asyncio.to_thread(CliRunner().invoke, command, words)
    assert (found.exit_code == 0) == said, found.output
    if not said:
        # The command's own border tells it in a line, and exits with 2.
        assert isinstance(found.exception, StartError)
        assert "mallory" in str(found.exception)
        assert "--allow-widened-callers" in str(found.exception)
