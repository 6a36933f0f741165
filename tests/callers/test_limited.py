"""A caller that is limited to named physicians learns and does nothing about others, by links and lists either."""

import pytest

from policy_service.members import read_key
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.conftest import DATA_DIR
from tests.support.accounts import grant, reached, register
from tests.support.callers import added, bearer
from tests.support.people import Page
from tests.support.rpc import Refused, question


@pytest.fixture
async def mine(app, store):
    """The token of a caller for dr-a, in a house where somebody works for both and somebody for dr-b alone."""
    for physician in ("dr-a", "dr-b"):
        await register(app, physician, f"owner-{physician}")
        await grant(app, physician, "mia", "data_entry")
    await grant(app, "dr-b", "ben", "administrator")
    token = await added(store, "clinic", "check", "explain", "manage", "audit", physicians=("dr-a",))
    await reached(app, await store.revision())
    return bearer(token)


async def reason(call) -> str:
    with pytest.raises(Refused) as found:
        await call
    return found.value.reason


async def test_lists_across_accounts_hold_the_named_ones_only(wire, mine):
    everywhere = await wire("ListPhysicians", pb.ListPhysiciansRequest(user="mia"))
    assert [one.physician for one in everywhere.physicians] == ["dr-a", "dr-b"]
    found = await wire("ListPhysicians", pb.ListPhysiciansRequest(user="mia"), metadata=mine)
    assert [one.physician for one in found.physicians] == ["dr-a"]
    # Whom only others know is nobody.
    for user, known in (("mia", True), ("ben", False), ("nobody", False)):
        for method, request in (
            ("ListPhysicians", pb.ListPhysiciansRequest(user=user)),
            ("ListActions", pb.ListActionsRequest(user=user, physician="dr-a")),
        ):
            assert (await wire(method, request, metadata=mine)).unknown_user is not known, (method, user)
    assert not (await wire("ListPhysicians", pb.ListPhysiciansRequest(user="ben"))).unknown_user


async def test_pages_of_a_longer_list_are_none_of_a_limited_one(wire, mine):
    first = await wire("ListPhysicians", pb.ListPhysiciansRequest(user="mia", page_size=1))
    assert first.next_page_token
    request = pb.ListPhysiciansRequest(user="mia", page_size=1, page_token=first.next_page_token)
    assert await reason(wire("ListPhysicians", request, metadata=mine)) == "LIST_CHANGED"


async def test_one_question_beyond_refuses_a_whole_batch_and_nothing_is_recorded(wire, mine, app):
    mixed = pb.BatchCheckRequest(checks=[question("mia", "dr-a", "claim:view"), question("mia", "dr-b", "claim:view")])
    with pytest.raises(Refused) as found:
        await wire("BatchCheck", mixed, metadata=mine)
    assert found.value.reason == "CALLER_NOT_ALLOWED_THERE"
    assert found.value.facts["field"] == "checks[1].physician"
    assert "dr-b" not in found.value.details
    del mixed.checks[1]
    assert (await wire("BatchCheck", mixed, metadata=mine)).answers[0].allowed


async def test_whether_an_account_exists_is_told_of_the_named_ones_only(wire, mine):
    for physician in ("dr-b", "dr-none"):
        call = wire("Check", question("mia", physician, "claim:view"), metadata=mine)
        assert await reason(call) == "CALLER_NOT_ALLOWED_THERE"


async def test_a_link_into_another_account_does_nothing_for_a_limited_caller(app, management, store, mine):
    """Only the link says which account it is about; what was done by then is taken back whole."""
    key = read_key(DATA_DIR / "token.key")
    here, there = (Page(management, f"owner-{physician}", physician) for physician in ("dr-a", "dr-b"))
    links = [
        key.token((await page.invite(user, "data_entry")).invitation.id, 1)
        for page, user in ((here, "ann"), (there, "bob"))
    ]
    requests = {
        "LookUpInvitation": mu.LookUpInvitationRequest,
        "DeclineInvitation": mu.DeclineInvitationRequest,
        "AcceptInvitation": mu.AcceptInvitationRequest,
        "CompleteSetup": mu.CompleteSetupRequest,
    }
    before = await store.revision()
    for method in ("LookUpInvitation", "DeclineInvitation", "AcceptInvitation"):
        with pytest.raises(Refused) as found:
            await management(method, requests[method](token=links[1]), metadata=mine)
        assert (found.value.reason, found.value.facts["field"]) == ("CALLER_NOT_ALLOWED_THERE", "token")
        assert "dr-b" not in found.value.details
    assert await store.revision() == before
    accepted = await management("AcceptInvitation", requests["AcceptInvitation"](token=links[1]))
    assert accepted.must_set_up_credentials
    before = await store.revision()
    call = management("CompleteSetup", requests["CompleteSetup"](token=links[1]), metadata=mine)
    assert await reason(call) == "CALLER_NOT_ALLOWED_THERE"
    assert await store.revision() == before
    # Into its own account all of it works.
    assert (await management("LookUpInvitation", requests["LookUpInvitation"](token=links[0]), metadata=mine)).physician
    assert await management("AcceptInvitation", requests["AcceptInvitation"](token=links[0]), metadata=mine)
    assert await management("CompleteSetup", requests["CompleteSetup"](token=links[0]), metadata=mine)


async def test_made_up_accounts_are_not_remembered_of_a_limited_caller(app, wire, mine):
    for number in range(50):
        await reason(wire("Check", question("mia", f"dr-{number}", "claim:view"), metadata=mine))
    reach = app.replica.snapshot.callers.reach("clinic", "DecisionService/Check")
    assert len(reach._known) <= 2
