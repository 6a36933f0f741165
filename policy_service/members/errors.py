"""What Manage Users refuses."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from policy_service.errors import Kind, LimitReached, PolicyError


@dataclass(kw_only=True)
class UnknownUser(PolicyError):
    """Nobody of this name has or ever had access, credentials or an invitation."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_USER"
    user: str


@dataclass(kw_only=True)
class UnknownRole(PolicyError):
    """No such role exists in this account."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_ROLE"
    role: str
    physician: str


@dataclass(kw_only=True)
class NotGranted(PolicyError):
    """The user does not hold this role in this account."""

    kind = Kind.NOT_FOUND
    reason = "NOT_GRANTED"
    user: str
    role: str
    physician: str


@dataclass(kw_only=True)
class BuiltInRole(PolicyError):
    """A built-in role belongs to the policy seed and cannot be redefined in one account."""

    reason = "BUILT_IN_ROLE"
    role: str


@dataclass(kw_only=True)
class EmptyRole(PolicyError):
    """A role allows, denies or includes something; to remove it, delete it."""

    reason = "EMPTY_ROLE"
    role: str


@dataclass(kw_only=True)
class OwnerOnly(PolicyError):
    """Only an account's owner may hold this; it cannot be given to an invited user."""

    reason = "OWNER_ONLY"
    action: str


@dataclass(kw_only=True)
class LastOwner(PolicyError):
    """An account keeps its owner."""

    reason = "LAST_OWNER"
    physician: str


@dataclass(kw_only=True)
class RoleInUse(PolicyError):
    """The role is still held or included by others."""

    reason = "ROLE_IN_USE"
    role: str
    physician: str
    held_by: tuple[str, ...]


@dataclass(kw_only=True)
class RoleChainTooLong(PolicyError):
    """Roles include each other in a circle or through too many steps to be followed safely."""

    reason = "ROLE_CHAIN_TOO_LONG"
    physician: str
    chain: tuple[str, ...]
    longest: int


@dataclass(kw_only=True)
class ActorNotAllowed(PolicyError):
    """The acting person may not do this for this physician."""

    kind = Kind.NOT_ALLOWED
    reason = "ACTOR_NOT_ALLOWED"
    actor: str
    action: str
    physician: str


@dataclass(kw_only=True)
class BeyondOwnRights(PolicyError):
    """Nobody gives what they do not hold themselves."""

    kind = Kind.NOT_ALLOWED
    reason = "BEYOND_OWN_RIGHTS"
    actor: str
    actions: tuple[str, ...]


@dataclass(kw_only=True)
class SelfEdit(PolicyError):
    """Nobody changes their own permissions."""

    kind = Kind.NOT_ALLOWED
    reason = "SELF_EDIT"
    actor: str


@dataclass(kw_only=True)
class UserExists(PolicyError):
    """This username or address exists already; ask whether to invite the existing user."""

    reason = "USER_EXISTS"
    user: str


@dataclass(kw_only=True)
class UserMismatch(PolicyError):
    """The username and the address belong to different people; give that user's address, or another username."""

    reason = "USER_MISMATCH"


@dataclass(kw_only=True)
class NameReserved(PolicyError):
    """An open invitation reserves this username for whom it invites."""

    reason = "NAME_RESERVED"
    user: str


@dataclass(kw_only=True)
class NameTooSimilar(PolicyError):
    """This new name could be taken for one that exists; choose another, or use that one."""

    reason = "NAME_TOO_SIMILAR"
    name: str
    like: str


@dataclass(kw_only=True)
class TooManyPrompts(LimitReached):
    """This account asked too often whether somebody exists; it can invite again later."""

    reason = "TOO_MANY_PROMPTS"
    physician: str
    again_at: datetime
    wait: timedelta = field(metadata={"told": False})

    def retry_after(self) -> timedelta | None:
        """Until ``again_at``."""
        return self.wait


@dataclass(kw_only=True)
class NotAcceptedYet(PolicyError):
    """The invitation of this link is open; credentials are set up after it was accepted."""

    reason = "NOT_ACCEPTED_YET"


@dataclass(kw_only=True)
class SetupUnfinished(PolicyError):
    """The user has not set up their credentials yet; an account that they work on can send them the link again."""

    reason = "SETUP_UNFINISHED"
    user: str


@dataclass(kw_only=True)
class AddressUnchanged(PolicyError):
    """This is the user's address already."""

    reason = "ADDRESS_UNCHANGED"
    user: str


@dataclass(kw_only=True)
class AddressTaken(PolicyError):
    """This address belongs to somebody else."""

    reason = "ADDRESS_TAKEN"


@dataclass(kw_only=True)
class TooManyAddressChanges(LimitReached):
    """The user asked for other addresses too often; they can again later."""

    reason = "TOO_MANY_ADDRESS_CHANGES"
    user: str
    again_at: datetime
    wait: timedelta = field(metadata={"told": False})

    def retry_after(self) -> timedelta | None:
        """Until ``again_at``."""
        return self.wait


@dataclass(kw_only=True)
class AlreadyMember(PolicyError):
    """The user works on this account already; edit their permissions instead."""

    reason = "ALREADY_A_MEMBER"
    user: str
    physician: str


@dataclass(kw_only=True)
class AlreadyInvited(PolicyError):
    """The user has an open invitation to this account; resend or cancel it."""

    reason = "ALREADY_INVITED"
    user: str
    invitation: str


@dataclass(kw_only=True)
class NotAMember(PolicyError):
    """The user does not work on this account."""

    kind = Kind.NOT_FOUND
    reason = "NOT_A_MEMBER"
    user: str
    physician: str


@dataclass(kw_only=True)
class RoleExists(PolicyError):
    """The account has a role of this name already."""

    kind = Kind.EXISTS
    reason = "ROLE_EXISTS"
    role: str
    physician: str


@dataclass(kw_only=True)
class UnknownInvitation(PolicyError):
    """No such invitation was made for this account."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_INVITATION"
    invitation: str


@dataclass(kw_only=True)
class InvitationClosed(PolicyError):
    """The invitation is no longer open."""

    reason = "INVITATION_CLOSED"
    invitation: str
    state: str


@dataclass(kw_only=True)
class InvalidToken(PolicyError):
    """This link does not work: it was used, replaced or withdrawn, or its time is up. Ask for another."""

    reason = "INVALID_TOKEN"


@dataclass(kw_only=True)
class TooManyLetters(LimitReached):
    """As many e-mails as may be were sent lately; this one may be sent later."""

    reason = "TOO_MANY_LETTERS"
    of: str
    """What has had too many: the invitation, the address or the account."""
    again_at: datetime
    wait: timedelta = field(metadata={"told": False})

    def retry_after(self) -> timedelta | None:
        """Until ``again_at``."""
        return self.wait
