"""Who works on an account and who is invited, as values: frozen and typed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from google.protobuf.timestamp_pb2 import Timestamp

from policy_client._pb import manage_users_pb2 as mu
from policy_client.revisions import Revision, revision_of


class InvitationState(Enum):
    """Where an invitation stands."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    OTHER = "other"
    """A state newer than this client. Not pending."""


class DeliveryState(Enum):
    """Where an invitation's e-mail stands."""

    QUEUED = "queued"
    SENT = "sent"
    DELAYED = "delayed"
    BOUNCED = "bounced"
    FAILED = "failed"
    """Set aside for the reason in its words; sending again puts it back."""
    OTHER = "other"
    """A state newer than this client. Not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What an invited user is to hold: roles, or a free choice of actions."""

    roles: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an invitation's e-mail fares: the next try if there is one, the mail server's words, what to do.

    ``our_fault``: the last try failed by the service or its mail server, not
    by the address; nobody who invites can mend it.
    """

    state: DeliveryState
    next_try: datetime | None
    words: str
    advice: tuple[str, ...]
    our_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation to an account; times are in UTC."""

    id: str
    physician: str
    username: str
    email: str
    holding: Holding
    state: InvitationState
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    delivery: Delivery
    awaits_setup: bool = False
    """Accepted, and the user's credentials are not set up: it can be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An e-mail is on its way. ``suggested_email`` is the address that may have been meant instead."""

    revision: Revision
    invitation: Invitation
    suggested_email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The invited user is a member now, and keeps their credentials unless they must set them up.

    After a set-up, call ``complete_setup`` with the same token.
    """

    revision: Revision
    username: str
    physician: str
    must_set_up_credentials: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What a link leads to: an open invitation, or an accepted one whose user has yet to set up credentials."""

    physician: str
    display_name: str
    username: str
    email: str
    state: InvitationState
    invited_by: str
    allowed: tuple[str, ...]
    """Every action that the user may do once they accepted."""
    expires_at: datetime
    must_set_up_credentials: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Who declined an invitation or finished their set-up, and for which account."""

    revision: Revision
    username: str
    physician: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressAsked:
    """A link is on its way to the new address. ``suggested_email`` is one that may have been meant instead."""

    revision: Revision
    expires_at: datetime
    suggested_email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChanged:
    """Whose address is which from now on."""

    revision: Revision
    username: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user who holds something on the account; ``may_act`` says whether that allows anything at all."""

    username: str
    email: str
    roles: tuple[str, ...]
    is_owner: bool
    may_act: bool
    is_set_up: bool = True
    """False for one who accepted and has not finished setting up credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Everyone who holds anything on the account, at one revision."""

    members: tuple[Member, ...]
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPermission:
    """One action of one member, and the role through which it is shown."""

    action: str
    shown: bool
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPermissions:
    """The page's "Edit" view: every action, shown or hidden, and the roles held."""

    actions: tuple[MemberPermission, ...]
    roles: tuple[str, ...]
    revision: Revision

    @property
    def shown(self) -> tuple[str, ...]:
        """The actions that the member may do."""
        return tuple(permission.action for permission in self.actions if permission.shown)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The actions that the member may not do."""
        return tuple(permission.action for permission in self.actions if not permission.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDefinition:
    """A custom role: what it allows and denies of its own, and the roles that it includes. A deny wins."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleInfo:
    """A role of the account: how it is made, all that it allows in the end, how many users hold it directly."""

    role: str
    built_in: bool
    definition: RoleDefinition
    allowed: tuple[str, ...]
    holders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Every role of the account, at one revision."""

    roles: tuple[RoleInfo, ...]
    revision: Revision


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
