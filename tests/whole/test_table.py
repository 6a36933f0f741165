"""The table of roles and actions, every cell, through gRPC, on web and mobile."""

import itertools

from policy_service.members import RoleDefinition, custom_roles
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import Physician, Role
from tests.support.accounts import grant, register
from tests.support.actions import Action
from tests.support.oracle import ACTIONS, TABLE

CUSTOM = {"claim:view", "report:generate", "user:list"}


async def test_every_cell_of_the_table(app, wire):
    await register(app, "dr-a", "olive")
    await register(app, "dr-b", "oscar")
    definition = RoleDefinition(allow=frozenset(Action(action) for action in CUSTOM))
    await custom_roles.define(app.store, Physician("dr-a"), Role("desk"), definition, caller="test", actor="olive")
    for user, role in (("fin", "financial_viewer"), ("dan", "data_entry"), ("adele", "administrator"), ("cus", "desk")):
        await grant(app, "dr-a", user, role)
    # One person, two physicians, two roles.
    await grant(app, "dr-a", "both", "data_entry")
    revision = await grant(app, "dr-b", "both", "financial_viewer")

    expected = {
        ("olive", "dr-a"): TABLE["owner"],
        ("oscar", "dr-b"): TABLE["owner"],
        ("fin", "dr-a"): TABLE["financial_viewer"],
        ("dan", "dr-a"): TABLE["data_entry"],
        ("adele", "dr-a"): TABLE["administrator"],
        ("cus", "dr-a"): CUSTOM,
        ("both", "dr-a"): TABLE["data_entry"],
        ("both", "dr-b"): TABLE["financial_viewer"],
    }
    users = {user for user, _ in expected} | {"stranger"}
    cells = 0
    for user, physician, action in itertools.product(sorted(users), ("dr-a", "dr-b"), ACTIONS):
        allowed = expected.get((user, physician), set())
        web = await wire.check(user, physician, action, pb.CHANNEL_WEB, min_revision=revision)
        mobile = await wire.check(user, physician, action, pb.CHANNEL_MOBILE)
        assert web.allowed == (action in allowed), (user, physician, action)
        assert mobile.allowed == (action in allowed and "app:mobile" in allowed), (user, physician, action)
        if web.allowed and not mobile.allowed:
            assert mobile.reason == pb.REASON_CHANNEL_NOT_ALLOWED
        cells += 2
    assert cells == 8 * 2 * 13 * 2


async def test_an_unnamed_channel_is_the_web(app, wire):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    assert (await wire.check("dan", "dr-a", "claim:save", 0, min_revision=revision)).allowed


async def test_an_answer_names_its_role_revision_and_a_decision_of_its_own(app, wire):
    revision = await register(app, "dr-a", "olive")
    first = await wire.check("olive", "dr-a", "claim:view", min_revision=revision)
    second = await wire.check("olive", "dr-a", "claim:view")
    assert (first.role, first.revision) == ("owner", revision)
    assert first.decision_id
    assert first.decision_id != second.decision_id
