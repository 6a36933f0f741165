"""Managing users against a real gRPC server that says what the test tells it to: blocking and asyncio alike."""

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client import (
    ActorNotAllowed,
    CallerNotAllowed,
    DeliveryState,
    Holding,
    InvalidRequest,
    InvitationState,
    PolicyError,
    Refused,
    RoleDefinition,
    UserExists,
)
from policy_client._pb import manage_users_pb2 as mu

from clients.python.tests.scripted import failing

DESK = RoleDefinition(allow=("claim:view",), deny=("claim:delete",), includes=("data_entry",))
WRITES = [
    ("register_physician", ("ama", "dr-osei", "ama"), mu.RegisterPhysicianResponse),
    ("invite_user", ("ama", "dr-osei", "ellie@example.org", "ellie"), mu.InviteUserResponse),
    ("resend_invitation", ("ama", "dr-osei", "i-1"), mu.ResendInvitationResponse),
    ("cancel_invitation", ("ama", "dr-osei", "i-1"), mu.CancelInvitationResponse),
    ("accept_invitation", ("t0ken",), mu.AcceptInvitationResponse),
    ("decline_invitation", ("t0ken",), mu.DeclineInvitationResponse),
    ("complete_setup", ("t0ken",), mu.CompleteSetupResponse),
    ("leave_account", ("mia", "dr-osei"), mu.LeaveAccountResponse),
    ("change_address", ("mia", "mia@example.org"), mu.ChangeAddressResponse),
    ("confirm_address", ("t0ken",), mu.ConfirmAddressResponse),
    ("update_permissions", ("ama", "dr-osei", "mia"), mu.UpdatePermissionsResponse),
    ("revoke_access", ("ama", "dr-osei", "mia"), mu.RevokeAccessResponse),
    ("create_role", ("ama", "dr-osei", "desk", DESK), mu.CreateRoleResponse),
    ("update_role", ("ama", "dr-osei", "desk", DESK), mu.UpdateRoleResponse),
    ("delete_role", ("ama", "dr-osei", "desk"), mu.DeleteRoleResponse),
]


def stamp(day: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2030, 1, day, tzinfo=UTC))
    return moment


def invitation(identity: str = "i-1", **more: Any) -> mu.Invitation:
    return mu.Invitation(
        id=identity,
        physician="dr-osei",
        username="ellie",
        email="ellie@example.org",
        invited_by="ama",
        invited_at=stamp(1),
        expires_at=stamp(8),
        **more,
    )


@pytest.mark.parametrize(("method", "arguments", "response"), WRITES)
async def test_every_write_answers_with_its_revision(script, ask, method, arguments, response):
    script.answers = [response(revision=12)]
    answer = await ask(method, *arguments)
    assert (answer if isinstance(answer, int) else answer.revision) == 12


@pytest.mark.parametrize(("method", "arguments", "response"), WRITES)
async def test_a_retry_of_a_write_carries_the_same_key_and_another_call_another(
    script, ask, method, arguments, response
):
    unavailable = failing(grpc.StatusCode.UNAVAILABLE)
    script.answers = [unavailable, unavailable, response(revision=12)]
    await ask(method, *arguments)
    await ask(method, *arguments)
    first, second, third, other = (asked.idempotency_key for asked in script.asked)
    assert first == second == third != other
    assert all(len(key) == 32 and key.isalnum() for key in (first, other))


@pytest.mark.parametrize(("method", "arguments", "response"), WRITES)
async def test_a_key_of_ones_own_is_sent(script, ask, method, arguments, response):
    script.answers = [response(revision=12)]
    await ask(method, *arguments, idempotency_key="form-17")
    await ask(method, *arguments, idempotency_key="")
    assert [asked.idempotency_key for asked in script.asked] == ["form-17", ""]


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "ACTOR_NOT_ALLOWED", ActorNotAllowed),
        (grpc.StatusCode.PERMISSION_DENIED, "SELF_EDIT", ActorNotAllowed),
        (grpc.StatusCode.PERMISSION_DENIED, "BEYOND_OWN_RIGHTS", ActorNotAllowed),
        (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED", CallerNotAllowed),
        (grpc.StatusCode.FAILED_PRECONDITION, "USER_EXISTS", UserExists),
        (grpc.StatusCode.FAILED_PRECONDITION, "LAST_OWNER", Refused),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", InvalidRequest),
    ],
)
@pytest.mark.parametrize(("method", "arguments", "_"), WRITES)
async def test_the_reason_tells_refusals_apart(script, ask, method, arguments, _, code, reason, error):
    script.answers = [failing(code, reason)]
    with pytest.raises(PolicyError) as raised:
        await ask(method, *arguments)
    assert type(raised.value) is error
    assert raised.value.reason == reason
    assert isinstance(raised.value, Refused) == issubclass(error, Refused)
    assert len(script.asked) == 1


async def test_registering_can_give_a_name_for_people(script, ask):
    script.answers = [mu.RegisterPhysicianResponse(revision=12)]
    await ask("register_physician", "ama", "dr-osei", "ama", display_name="Dr. Osei")
    (asked,) = script.asked
    assert (asked.actor, asked.physician, asked.owner, asked.display_name) == ("ama", "dr-osei", "ama", "Dr. Osei")


async def test_inviting_sends_what_was_chosen(script, ask):
    script.answers = [mu.InviteUserResponse(revision=12, invitation=invitation(), suggested_email="e@example.com")]
    who = ("ama", "dr-osei", "ellie@example.org", "ellie")
    found = await ask("invite_user", *who, roles=["data_entry"], reuse_existing=True)
    assert (found.invitation.id, found.suggested_email) == ("i-1", "e@example.com")
    await ask("invite_user", *who, actions=("claim:view", "claim:save"))
    roles, actions = script.asked
    assert (roles.actor, roles.physician, roles.email, roles.username) == who
    assert (list(roles.permissions.roles), list(roles.permissions.actions)) == (["data_entry"], [])
    assert (list(actions.permissions.roles), list(actions.permissions.actions)) == ([], ["claim:view", "claim:save"])
    assert (roles.reuse_existing, actions.reuse_existing) == (True, False)


@pytest.mark.parametrize("options", [{"roles": "owner"}, {"actions": "claim:view"}])
async def test_one_string_is_not_taken_for_a_list_of_letters(script, ask, options):
    with pytest.raises(TypeError, match="give a list"):
        await ask("invite_user", "ama", "dr-osei", "ellie@example.org", "ellie", **options)
    with pytest.raises(TypeError, match="give a list"):
        await ask("update_permissions", "ama", "dr-osei", "mia", **options)
    assert not script.asked


async def test_an_invitation_is_read_whole(script, ask):
    script.answers = [
        mu.ListInvitationsResponse(
            invitations=[
                invitation(
                    permissions=mu.Permissions(roles=["data_entry"]),
                    state=mu.INVITATION_STATE_PENDING,
                    delivery=mu.Delivery(
                        state=mu.DELIVERY_STATE_DELAYED, next_try=stamp(2), words="451 later", advice=["Wait."]
                    ),
                )
            ]
        )
    ]
    (found,) = await ask("list_invitations", "ama", "dr-osei")
    assert (found.id, found.physician, found.username, found.email) == ("i-1", "dr-osei", "ellie", "ellie@example.org")
    assert (found.holding, found.state) == (Holding(roles=("data_entry",)), InvitationState.PENDING)
    assert (found.invited_by, found.invited_at) == ("ama", datetime(2030, 1, 1, tzinfo=UTC))
    assert found.expires_at == datetime(2030, 1, 8, tzinfo=UTC)
    delivery = found.delivery
    assert (delivery.state, delivery.next_try) == (DeliveryState.DELAYED, datetime(2030, 1, 2, tzinfo=UTC))
    assert (delivery.words, delivery.advice) == ("451 later", ("Wait.",))


@pytest.mark.parametrize(
    ("kind", "states", "field"),
    [(mu.InvitationState, InvitationState, "state"), (mu.DeliveryState, DeliveryState, "delivery")],
)
async def test_every_state_has_its_word_and_a_newer_one_is_other(script, ask, kind, states, field):
    numbers = [number for number in kind.values() if number]
    for number in [*numbers, 0, 99]:
        more = {"state": number} if field == "state" else {"delivery": mu.Delivery(state=number)}
        script.answers = [mu.ListInvitationsResponse(invitations=[invitation(**more)])]
        (found,) = await ask("list_invitations", "ama", "dr-osei")
        state = found.state if field == "state" else found.delivery.state
        assert kind.Name(number).endswith(state.name) if number in numbers else state is states.OTHER
    assert len(states) == len(numbers) + 1


async def test_the_list_of_invitations_is_all_of_its_pages(script, ask):
    script.answers = [
        mu.ListInvitationsResponse(invitations=[invitation("i-3"), invitation("i-2")], next_page_token="t1"),
        mu.ListInvitationsResponse(next_page_token="t2"),
        mu.ListInvitationsResponse(invitations=[invitation("i-1")]),
    ]
    states = [InvitationState.EXPIRED, InvitationState.WITHDRAWN]
    found = await ask("list_invitations", "ama", "dr-osei", states=states)
    assert [one.id for one in found] == ["i-3", "i-2", "i-1"]
    assert [asked.page_token for asked in script.asked] == ["", "t1", "t2"]
    for asked in script.asked:
        assert list(asked.states) == [mu.INVITATION_STATE_EXPIRED, mu.INVITATION_STATE_WITHDRAWN]
        assert (asked.actor, asked.physician) == ("ama", "dr-osei")


async def test_states_that_the_client_does_not_know_cannot_be_asked_for(script, ask):
    with pytest.raises(ValueError, match="does not know"):
        await ask("list_invitations", "ama", "dr-osei", states=[InvitationState.OTHER])


async def test_resending_can_take_another_address(script, ask):
    script.answers = [mu.ResendInvitationResponse(revision=12, invitation=invitation())]
    assert (await ask("resend_invitation", "ama", "dr-osei", "i-1")).suggested_email is None
    await ask("resend_invitation", "ama", "dr-osei", "i-1", email="e@example.com")
    assert [(asked.invitation_id, asked.email) for asked in script.asked] == [("i-1", ""), ("i-1", "e@example.com")]


async def test_cancelling_names_the_invitation(script, ask):
    script.answers = [mu.CancelInvitationResponse(revision=12)]
    await ask("cancel_invitation", "ama", "dr-osei", "i-1")
    (asked,) = script.asked
    assert (asked.actor, asked.physician, asked.invitation_id) == ("ama", "dr-osei", "i-1")


async def test_accepting_tells_who_and_whether_credentials_are_needed(script, ask):
    script.answers = [
        mu.AcceptInvitationResponse(revision=12, username="ellie", physician="dr-osei", must_set_up_credentials=True)
    ]
    found = await ask("accept_invitation", "t0ken")
    assert (found.username, found.physician, found.must_set_up_credentials) == ("ellie", "dr-osei", True)
    assert script.asked[0].token == "t0ken"


async def test_members_are_read_whole(script, ask):
    member = mu.Member(username="mia", email="mia@example.org", roles=["data_entry"], is_owner=False)
    script.answers = [mu.ListMembersResponse(members=[mu.Member(username="ama", is_owner=True), member], revision=12)]
    found = await ask("list_members", "ama", "dr-osei")
    assert ([one.username for one in found.members], found.revision) == (["ama", "mia"], 12)
    assert [one.is_owner for one in found.members] == [True, False]
    assert (found.members[1].email, found.members[1].roles) == ("mia@example.org", ("data_entry",))


async def test_the_edit_view_splits_into_shown_and_hidden(script, ask):
    script.answers = [
        mu.GetPermissionsResponse(
            permissions=[
                mu.Permission(action="claim:view", shown=True, role="data_entry"),
                mu.Permission(action="invoice:pay"),
            ],
            roles=["data_entry"],
            revision=12,
        )
    ]
    found = await ask("get_permissions", "ama", "dr-osei", "mia")
    assert (found.shown, found.hidden) == (("claim:view",), ("invoice:pay",))
    assert [permission.role for permission in found.actions] == ["data_entry", None]
    assert (found.roles, found.revision, script.asked[0].username) == (("data_entry",), 12, "mia")


async def test_updating_and_revoking_name_the_member(script, ask):
    script.answers = [mu.UpdatePermissionsResponse(revision=12)]
    await ask("update_permissions", "ama", "dr-osei", "mia", roles=["data_entry"])
    script.answers = [mu.RevokeAccessResponse(revision=13)]
    await ask("revoke_access", "ama", "dr-osei", "mia")
    assert [(asked.actor, asked.physician, asked.username) for asked in script.asked] == [("ama", "dr-osei", "mia")] * 2
    assert list(script.asked[0].permissions.roles) == ["data_entry"]


@pytest.mark.parametrize(
    ("method", "response"), [("create_role", mu.CreateRoleResponse), ("update_role", mu.UpdateRoleResponse)]
)
async def test_a_role_is_sent_with_its_whole_definition(script, ask, method, response):
    script.answers = [response(revision=12)]
    await ask(method, "ama", "dr-osei", "desk", DESK)
    (asked,) = script.asked
    assert (asked.actor, asked.physician, asked.role) == ("ama", "dr-osei", "desk")
    sent = asked.definition
    assert (list(sent.allow), list(sent.deny), list(sent.includes)) == (
        ["claim:view"],
        ["claim:delete"],
        ["data_entry"],
    )


async def test_deleting_a_role_can_name_a_replacement(script, ask):
    script.answers = [mu.DeleteRoleResponse(revision=12)]
    await ask("delete_role", "ama", "dr-osei", "desk")
    await ask("delete_role", "ama", "dr-osei", "desk", replacement="data_entry")
    assert [(asked.role, asked.replacement) for asked in script.asked] == [("desk", ""), ("desk", "data_entry")]


async def test_roles_are_read_whole(script, ask):
    definition = mu.RoleDefinition(allow=DESK.allow, deny=DESK.deny, includes=DESK.includes)
    script.answers = [
        mu.ListRolesResponse(
            roles=[
                mu.RoleInfo(role="owner", built_in=True, holders=1),
                mu.RoleInfo(role="desk", definition=definition, allowed=["claim:view"]),
            ],
            revision=12,
        )
    ]
    found = await ask("list_roles", "ama", "dr-osei")
    owner, desk = found.roles
    assert (found.revision, owner.built_in, owner.holders, owner.definition) == (12, True, 1, RoleDefinition())
    assert (desk.role, desk.built_in, desk.definition, desk.allowed) == ("desk", False, DESK, ("claim:view",))
