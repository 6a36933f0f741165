"""Invitations, members and roles from the wire, and what goes onto it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from policy_client._pb import manage_users_pb2 as mu
from policy_client.members import (
    Accepted,
    AddressAsked,
    AddressChanged,
    Answered,
    Delivery,
    DeliveryState,
    Holding,
    Invitation,
    InvitationState,
    Invited,
    LookedUp,
    Member,
    MemberPermission,
    MemberPermissions,
    Members,
    RoleDefinition,
    RoleInfo,
    Roles,
)
from policy_client.revisions import revision_of

_INVITATION_STATES = {
    mu.InvitationState.Value(f"INVITATION_STATE_{state.name}"): state
    for state in InvitationState
    if state is not InvitationState.OTHER
}
_DELIVERY_STATES = {
    mu.DeliveryState.Value(f"DELIVERY_STATE_{state.name}"): state
    for state in DeliveryState
    if state is not DeliveryState.OTHER
}


def state_name(state: InvitationState) -> str:
    """The state on the wire. Raises ValueError for OTHER, which has none, and TypeError for what is no state."""
    if not isinstance(state, InvitationState):
        raise TypeError(f"states has {state!r}; give a list of InvitationState")
    if state is InvitationState.OTHER:
        raise ValueError("nobody can ask for states that this client does not know")
    return f"INVITATION_STATE_{state.name}"


def permissions(roles: Iterable[str], actions: Iterable[str]) -> mu.Permissions:
    """What somebody is to hold on the wire. Raises TypeError for a string where a list belongs."""
    for name, words in (("roles", roles), ("actions", actions)):
        if isinstance(words, str):
            raise TypeError(f"{name} is one string; give a list of them: {name}=[{words!r}]")
    return mu.Permissions(roles=roles, actions=actions)


def invitations_from(pages: Sequence[mu.ListInvitationsResponse]) -> list[Invitation]:
    """A whole list from its pages."""
    return [invitation_from(found) for page in pages for found in page.invitations]


def invitation_from(message: mu.Invitation) -> Invitation:
    """An invitation from the wire."""
    delivery = message.delivery
    return Invitation(
        id=message.id,
        physician=message.physician,
        username=message.username,
        email=message.email,
        holding=Holding(roles=tuple(message.permissions.roles), actions=tuple(message.permissions.actions)),
        state=_INVITATION_STATES.get(message.state, InvitationState.OTHER),
        invited_by=message.invited_by,
        invited_at=_time(message.invited_at),
        expires_at=_time(message.expires_at),
        delivery=Delivery(
            state=_DELIVERY_STATES.get(delivery.state, DeliveryState.OTHER),
            next_try=_time(delivery.next_try) if delivery.HasField("next_try") else None,
            words=delivery.words,
            advice=tuple(delivery.advice),
            our_fault=delivery.our_fault,
        ),
        awaits_setup=message.awaits_setup,
    )


def invited_from(response: mu.InviteUserResponse | mu.ResendInvitationResponse) -> Invited:
    """What inviting or sending again answered."""
    return Invited(
        revision=revision_of(response),
        invitation=invitation_from(response.invitation),
        suggested_email=response.suggested_email or None,
    )


def accepted_from(response: mu.AcceptInvitationResponse) -> Accepted:
    """What accepting answered."""
    return Accepted(
        revision=revision_of(response),
        username=response.username,
        physician=response.physician,
        must_set_up_credentials=response.must_set_up_credentials,
    )


def looked_up_from(response: mu.LookUpInvitationResponse) -> LookedUp:
    """What a link leads to, from the wire."""
    return LookedUp(
        physician=response.physician,
        display_name=response.display_name,
        username=response.username,
        email=response.email,
        state=_INVITATION_STATES.get(response.state, InvitationState.OTHER),
        invited_by=response.invited_by,
        allowed=tuple(response.allowed),
        expires_at=_time(response.expires_at),
        must_set_up_credentials=response.must_set_up_credentials,
    )


def answered_from(response: mu.DeclineInvitationResponse | mu.CompleteSetupResponse) -> Answered:
    """What declining or finishing answered."""
    return Answered(revision=revision_of(response), username=response.username, physician=response.physician)


def address_asked_from(response: mu.ChangeAddressResponse) -> AddressAsked:
    """What asking for another address answered."""
    return AddressAsked(
        revision=revision_of(response),
        expires_at=_time(response.expires_at),
        suggested_email=response.suggested_email or None,
    )


def address_changed_from(response: mu.ConfirmAddressResponse) -> AddressChanged:
    """What confirming an address answered."""
    return AddressChanged(revision=revision_of(response), username=response.username, email=response.email)


def members_from(response: mu.ListMembersResponse) -> Members:
    """The members from the wire."""
    return Members(
        members=tuple(
            Member(
                username=found.username,
                email=found.email,
                roles=tuple(found.roles),
                is_owner=found.is_owner,
                is_set_up=found.is_set_up,
                may_act=found.may_act,
            )
            for found in response.members
        ),
        revision=revision_of(response),
    )


def member_permissions_from(response: mu.GetPermissionsResponse) -> MemberPermissions:
    """Every action from the wire."""
    return MemberPermissions(
        actions=tuple(
            MemberPermission(action=found.action, shown=found.shown, role=found.role or None)
            for found in response.permissions
        ),
        roles=tuple(response.roles),
        revision=revision_of(response),
    )


def definition_message(definition: RoleDefinition) -> mu.RoleDefinition:
    """A custom role on the wire. Raises TypeError for a string where a list belongs, which would be its letters."""
    for name in ("allow", "deny", "includes"):
        if isinstance(words := getattr(definition, name), str):
            raise TypeError(f"{name} is one string; give a list of them: {name}=[{words!r}]")
    return mu.RoleDefinition(allow=definition.allow, deny=definition.deny, includes=definition.includes)


def roles_from(response: mu.ListRolesResponse) -> Roles:
    """The roles from the wire."""
    return Roles(
        roles=tuple(
            RoleInfo(
                role=found.role,
                built_in=found.built_in,
                definition=RoleDefinition(
                    allow=tuple(found.definition.allow),
                    deny=tuple(found.definition.deny),
                    includes=tuple(found.definition.includes),
                ),
                allowed=tuple(found.allowed),
                holders=found.holders,
            )
            for found in response.roles
        ),
        revision=revision_of(response),
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
