"""Who works on an account and who is invited, as values: frozen and typed."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from policy_client.revisions import Revision


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
