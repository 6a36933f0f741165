"""After a restore nothing of the lost history is taken for the new one's: tokens, plans, pages, points in time."""

import asyncio

import grpc
import pytest
from policy_client import ForeignHistory, ManageUsersClient, PolicyClient, Revision
from typer.testing import CliRunner

from policy_service.app import open_app
from policy_service.cli.main import app as command
from policy_service.pb import audit_pb2 as au
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.replicate.test_follower import PAST_TRIGGERS, execute
from tests.seed.test_seeds import WITHOUT_PAY, Ops
from tests.support.accounts import grant, reached, register
from tests.support.rpc import Refused, question

BACK = (
    PAST_TRIGGERS + "DELETE FROM rules WHERE from_revision > {0}; DELETE FROM changes WHERE revision > {0};"
    "DELETE FROM users WHERE created_at_revision > {0};"
    "UPDATE rules SET until_revision = NULL WHERE until_revision > {0};"
    "UPDATE policy_revision SET revision = {0}, mark = (SELECT mark FROM changes WHERE revision = {0})"
)


async def refused_as(reason, call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    assert found.value.reason == reason, found.value
    return found.value


@pytest.fixture
async def lost(app, wire, database):
    """A revision with its history, as they were answered, which a restore took away; and the backup's own."""
    await register(app, "dr-a", "olive")
    kept = await grant(app, "dr-a", "dan", "data_entry")
    await reached(app, kept)
    before = await wire.check("dan", "dr-a", "claim:view", min_revision=kept)
    gone = await grant(app, "dr-a", "eve", "data_entry")
    await reached(app, gone)
    answer = await wire.check("eve", "dr-a", "claim:view", min_revision=gone)
    assert answer.allowed
    await execute(database, BACK.format(kept))
    await noticed(wire, answer.history)
    return Revision(answer.revision, answer.history), Revision(before.revision, before.history)


async def noticed(wire, history) -> None:
    """Wait until the replica follows another history than this one."""
    async with asyncio.timeout(20):
        while (await wire.check("dan", "dr-a", "claim:view")).history == history:
            pass


async def grown(app, lost) -> None:
    """The new history is longer than the lost one."""
    for number in range(3):
        revision = await grant(app, "dr-a", f"new{number}", "data_entry")
    assert revision > lost
    await reached(app, revision)


def asked(min_revision):
    fields = {"min_revision": min_revision, "history": min_revision.history}
    check = question("dan", "dr-a", "claim:view", **fields)
    plain = question("dan", "dr-a", "claim:view")
    return [
        ("Check", check),
        ("BatchCheck", pb.BatchCheckRequest(checks=[plain, check, plain])),
        ("Explain", pb.ExplainRequest(check=check)),
        ("ListActions", pb.ListActionsRequest(user="dan", physician="dr-a", **fields)),
        ("ListUsers", pb.ListUsersRequest(action="claim:view", physician="dr-a", **fields)),
        ("ListPhysicians", pb.ListPhysiciansRequest(user="dan", **fields)),
    ]


async def test_a_token_of_a_lost_history_is_never_answered_however_far_the_new_one_grew(app, wire, lost):
    gone, kept = lost
    # Still ahead of all that there is: a later look at the store says that it has no such revision.
    found = await refused_as("FOREIGN_HISTORY", wire(*asked(gone)[0]))
    assert found.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "read again" in found.details
    await grown(app, gone)
    for method, request in asked(gone):
        found = await refused_as("FOREIGN_HISTORY", wire(method, request))
    # What both histories share is as good as ever, and every answer names what it can be asked by again.
    for method, request in asked(kept):
        answer = await wire(method, request)
        decision = answer.decision if method == "Explain" else answer
        again = Revision(decision.revision, decision.history)
        assert again.history
        assert await wire(*next(pair for pair in asked(again) if pair[0] == method))


async def test_a_replica_that_starts_later_knows_the_past_too(app, lost, settings):
    from tests.support.rpc import Wire

    gone, kept = lost
    await grown(app, gone)
    async with open_app(settings) as other, Wire(other.planes.decision_port) as wire:
        await refused_as("FOREIGN_HISTORY", wire(*asked(gone)[0]))
        assert (await wire(*asked(kept)[0])).allowed


async def test_in_a_batch_each_question_has_its_own(app, wire, lost):
    gone, kept = lost
    await grown(app, gone)
    latest = await wire.check("dan", "dr-a", "claim:view")
    largest = question("dan", "dr-a", "claim:view", min_revision=latest.revision, history=latest.history)
    own = question("dan", "dr-a", "claim:view", min_revision=kept, history=kept.history)
    foreign = question("dan", "dr-a", "claim:view", min_revision=gone, history=gone.history)
    assert len((await wire("BatchCheck", pb.BatchCheckRequest(checks=[own, largest]))).answers) == 2
    await refused_as("FOREIGN_HISTORY", wire("BatchCheck", pb.BatchCheckRequest(checks=[own, foreign, largest])))


@pytest.mark.parametrize(("revision", "history"), [(1, "x"), (1, "0" * 15), (0, "0" * 16), (1, "A" * 16)])
async def test_a_name_that_is_none_is_a_fault_of_its_field(wire, revision, history):
    check = question("dan", "dr-a", "claim:view", min_revision=revision, history=history)
    assert "history" in (await refused_as("INVALID_REQUEST", wire("Check", check))).fields
    batch = pb.BatchCheckRequest(checks=[question("dan", "dr-a", "claim:view"), check])
    assert "checks[1].history" in (await refused_as("INVALID_REQUEST", wire("BatchCheck", batch))).fields


async def test_writes_name_the_history_that_they_made(app, wire, management):
    write = mu.RegisterPhysicianRequest(actor="bo", physician="dr-b", owner="bo", idempotency_key="k")
    written = await management("RegisterPhysician", write)
    again = await management("RegisterPhysician", write)
    assert (again.revision, again.history) == (written.revision, written.history)
    fields = {"min_revision": written.revision, "history": written.history}
    await reached(app, written.revision)
    assert (await wire.check("bo", "dr-b", "claim:view", **fields)).allowed
    # One that changes nothing names the revision that holds.
    role = mu.CreateRoleRequest(
        actor="bo", physician="dr-b", role="desk", definition=mu.RoleDefinition(allow=["claim:view"])
    )
    made = await management("CreateRole", role)
    same = await management("UpdateRole", mu.UpdateRoleRequest.FromString(role.SerializeToString()))
    assert (same.revision, same.history) == (made.revision, made.history)
    members = await management("ListMembers", mu.ListMembersRequest(actor="bo", physician="dr-b"))
    assert (members.revision, members.history) == (made.revision, made.history)


@pytest.mark.parametrize("at_any_revision", [False, True])
async def test_a_plan_of_a_lost_history_is_not_applied_to_the_new_one(app, wire, management, database, at_any_revision):
    ops = Ops(management)
    await register(app, "dr-a", "olive")
    kept = await app.store.revision()
    await reached(app, await grant(app, "dr-a", "dan", "financial_viewer"))
    plan = await ops.plan(WITHOUT_PAY)
    await execute(database, BACK.format(kept))
    # The same grant once more: number, rows and everyone affected are the same.
    await grant(app, "dr-a", "dan", "financial_viewer")
    await noticed(wire, plan.history)
    again = await ops.plan(WITHOUT_PAY)
    assert (again.digest, again.revision) == (plan.digest, plan.revision)
    fields = {"history": plan.history, "at_any_revision": at_any_revision}
    await refused_as("FOREIGN_HISTORY", ops.apply(plan, WITHOUT_PAY, **fields))
    applied = await ops.apply(again, WITHOUT_PAY, history=again.history, at_any_revision=at_any_revision)
    assert applied.changed
    assert applied.history not in ("", plan.history, again.history)


async def test_pages_and_points_of_a_lost_history_are_refused(app, wire, management, database):
    await register(app, "dr-a", "olive")
    kept = await app.store.revision()
    for user in ("dan", "eve", "fay"):
        await reached(app, await grant(app, "dr-a", user, "data_entry"))
    users = pb.ListUsersRequest(action="claim:view", physician="dr-a", page_size=1)
    changes = au.ListChangesRequest(page_size=1)
    review = au.ReviewAccessRequest(physician="dr-a", page_size=1)
    diff = au.DiffAccessRequest(earlier=au.Point(revision=kept), page_size=1)
    pages = {
        "ListUsers": (wire, users),
        "ListChanges": (management, changes),
        "ReviewAccess": (management, review),
        "DiffAccess": (management, diff),
    }
    for method, (door, request) in pages.items():
        request.page_token = (await door(method, request)).next_page_token
        assert request.page_token
        assert await door(method, request)
    reviewed = await management("ReviewAccess", au.ReviewAccessRequest(physician="dr-a"))
    point = au.Point(revision=reviewed.revision, history=reviewed.history)
    assert (await management("ReviewAccess", au.ReviewAccessRequest(physician="dr-a", as_of=point))).access
    await execute(database, BACK.format(kept))
    for user in ("dan", "eve", "fay", "gus"):
        await reached(app, await grant(app, "dr-a", user, "data_entry"))
    await noticed(wire, reviewed.history)
    for method, (door, request) in pages.items():
        await refused_as("LIST_CHANGED" if method == "ListUsers" else "FOREIGN_HISTORY", door(method, request))
    await refused_as(
        "FOREIGN_HISTORY", management("ReviewAccess", au.ReviewAccessRequest(physician="dr-a", as_of=point))
    )
    for wrong in (au.Point(history=reviewed.history), au.Point(revision=1, history="x")):
        found = await refused_as(
            "INVALID_REQUEST", management("ReviewAccess", au.ReviewAccessRequest(physician="dr-a", as_of=wrong))
        )
        assert "as_of.history" in found.fields


async def test_the_client_and_the_command_carry_both_as_one(app, lost):
    gone, kept = lost
    await grown(app, gone)
    decision, management = (f"127.0.0.1:{port}" for port in (app.planes.decision_port, app.planes.management_port))

    def ask() -> None:
        with PolicyClient(decision) as policy, ManageUsersClient(management) as users:
            written = users.register_physician("bo", "dr-b", "bo")
            assert policy.check("bo", "dr-b", "claim:view", min_revision=written)
            found = policy.check("dan", "dr-a", "claim:view", min_revision=Revision.of(kept.token))
            assert (Revision.of(found.token), found.revision.history) == (found.revision, found.revision.history)
            for call in (
                lambda: policy.check("dan", "dr-a", "claim:view", min_revision=gone),
                lambda: policy.where_can("dan", min_revision=gone),
                lambda: policy.who_can("claim:view", "dr-a", min_revision=gone),
                lambda: policy.what_can("dan", "dr-a", min_revision=gone),
            ):
                with pytest.raises(ForeignHistory):
                    call()
            # A bare number is of any history, as ever.
            assert policy.check("dan", "dr-a", "claim:view", min_revision=int(gone))
        words = ["check", "dan", "dr-a", "claim:view", "--address", decision, "--min-revision"]
        told = CliRunner().invoke(command, [*words, kept.token, "--json"])
        assert told.exit_code == 0, told.output
        assert f'"token": "{found.token}"' in told.output
        told = CliRunner().invoke(command, [*words, gone.token])
        assert (told.exit_code, "read again" in told.output) == (2, True)
        assert CliRunner().invoke(command, [*words, "seven"]).exit_code == 2

    await asyncio.to_thread(ask)
