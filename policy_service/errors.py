"""Everything that can be refused. An error's docstring is its sentence, its facts are fields."""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MOST_LISTED: Final = 20
"""Things of one kind that an error names, …"""
_LISTED_LENGTH: Final = 240
"""… in so many characters."""


class Kind(StrEnum):
    """How the caller should take an error; ``rpc/status.py`` gives each its gRPC status."""

    INVALID = "invalid"
    NOT_FOUND = "not found"
    EXISTS = "exists"
    PRECONDITION = "precondition"
    NOT_ALLOWED = "not allowed"
    CHANGED = "changed"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NO_METHOD = "no method"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidField:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


@dataclass(kw_only=True)
class PolicyError(Exception):
    """The request was refused."""

    kind = Kind.PRECONDITION
    reason = "REFUSED"

    def retry_after(self) -> timedelta | None:
        """How long to wait before trying again, where that is known."""
        return None

    def __str__(self) -> str:
        """The sentence, then the facts."""
        sentence = (type(self).__doc__ or "").partition("\n")[0]
        facts = "; ".join(f"{name}: {fact}" for name, fact in self.facts().items())
        return f"{sentence} ({facts})" if facts else sentence

    def facts(self) -> dict[str, str]:
        """The fields in words, but for those that are None or name nothing."""
        found = {fact.name: getattr(self, fact.name) for fact in fields(self) if fact.metadata.get("told", True)}
        found = {name: fact for name, fact in found.items() if fact is not None and fact != ()}
        return {name: _listed(fact) if isinstance(fact, tuple) else _told(fact) for name, fact in found.items()}


def _listed(parts: tuple[object, ...]) -> str:
    """The first of many, and how many more there are."""
    told, room = list[str](), _LISTED_LENGTH
    for part in map(_told, parts[:MOST_LISTED]):
        room -= len(part)
        if told and room < 0:
            break
        told.append(part)
    more = len(parts) - len(told)
    return ", ".join(told) + (f" and {more:,} more" if more else "")


def _told(fact: object) -> str:
    return fact.isoformat(timespec="seconds") if isinstance(fact, datetime) else str(fact)


@dataclass(kw_only=True)
class InvalidRequest(PolicyError):
    """The request has fields that cannot be read."""

    kind = Kind.INVALID
    reason = "INVALID_REQUEST"
    violations: tuple[InvalidField, ...]

    def __str__(self) -> str:
        """Each fault in words."""
        told = "; ".join(violation.description for violation in self.violations[:MOST_LISTED])
        more = len(self.violations) - MOST_LISTED
        return told if more <= 0 else f"{told}; and {more:,} more"


@dataclass(kw_only=True)
class UnknownPhysician(PolicyError):
    """No such physician account is registered."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_PHYSICIAN"
    physician: str
    at_revision: int | None = None
    """When, where that is not now."""


@dataclass(kw_only=True)
class UnknownUser(PolicyError):
    """Nobody of this name has or ever had access, credentials or an invitation."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_USER"
    user: str


@dataclass(kw_only=True)
class UnknownRevision(PolicyError):
    """No such revision is in the policy's history."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_REVISION"
    revision: str
    history: str | None = None
    """From when to when it reaches."""


@dataclass(kw_only=True)
class PeriodTooLong(PolicyError):
    """More was changed in this period than one answer looks at; ask for shorter ones."""

    reason = "PERIOD_TOO_LONG"
    changes: int


@dataclass(kw_only=True)
class UnknownAction(PolicyError):
    """No such action exists."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_ACTION"
    action: str


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
class PhysicianExists(PolicyError):
    """This physician account is registered already."""

    kind = Kind.EXISTS
    reason = "PHYSICIAN_EXISTS"
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
class RoleNameTaken(PolicyError):
    """Some account has a custom role of this name, which a built-in role would change."""

    reason = "ROLE_NAME_TAKEN"
    roles: tuple[str, ...]


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
    """The username and the address belong to different people."""

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
class TooManyPrompts(PolicyError):
    """This account asked too often whether somebody exists; it can invite again later."""

    kind = Kind.EXHAUSTED
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
class TooManyAddressChanges(PolicyError):
    """The user asked for other addresses too often; they can again later."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_ADDRESS_CHANGES"
    user: str
    again_at: datetime
    wait: timedelta = field(metadata={"told": False})

    def retry_after(self) -> timedelta | None:
        """Until ``again_at``."""
        return self.wait


@dataclass(kw_only=True)
class Superseded(PolicyError):
    """The call with this idempotency key was done, and what it answered no longer stands; look how things are now."""

    kind = Kind.CHANGED
    reason = "SUPERSEDED"
    key: str
    revision: int
    """The revision that the call made."""
    by_revision: int | None = None
    """The change that overtook it; None where its time is up."""


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
class AccountFull(PolicyError):
    """The account would hold more of these than it may; remove some first."""

    reason = "ACCOUNT_FULL"
    physician: str
    of: str
    """Roles, rules or members."""
    most: int
    wanted: int


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
class IdempotencyKeyReused(PolicyError):
    """This idempotency key was used for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    key: str


@dataclass(kw_only=True)
class ListChanged(PolicyError):
    """The list has changed since its first page was answered; begin again."""

    kind = Kind.CHANGED
    reason = "LIST_CHANGED"


@dataclass(kw_only=True)
class BrokenSeed(PolicyError):
    """The seed has errors; nothing was planned or applied."""

    reason = "BROKEN_SEED"
    faults: tuple[str, ...]
    count: int


@dataclass(kw_only=True)
class PlanMoved(PolicyError):
    """The policy, the seed or what it would do is no longer what the plan says; plan again."""

    kind = Kind.CHANGED
    reason = "PLAN_MOVED"
    planned: int
    now: int


@dataclass(kw_only=True)
class MassRemoval(PolicyError):
    """The plan removes more of the built-in rows than it may unless that is meant."""

    reason = "MASS_REMOVAL"
    removed: int
    rows: int
    most: str


@dataclass(kw_only=True)
class EmptiedRole(PolicyError):
    """The plan takes away all that a role allows; whoever holds it would be left with nothing."""

    reason = "EMPTIED_ROLE"
    roles: tuple[str, ...]


@dataclass(kw_only=True)
class CallersLockedOut(PolicyError):
    """The plan leaves calling services without a right, or nobody to apply another seed over gRPC."""

    reason = "CALLERS_LOCKED_OUT"
    callers: tuple[str, ...]
    """Those who could call something and could call nothing."""
    appliers: int
    """How many could still apply a seed."""


@dataclass(kw_only=True)
class WidenedCallers(PolicyError):
    """Calling services would be allowed to call what they may not call now."""

    reason = "WIDENED_CALLERS"
    gained: tuple[str, ...]
    """Some of it: a caller and what it would gain."""
    count: int
    """How many pairs of caller and right."""


@dataclass(kw_only=True)
class MayNotChangeCallers(PolicyError):
    """The plan changes what calling services may do, for which its own caller has no right."""

    kind = Kind.NOT_ALLOWED
    reason = "MAY_NOT_CHANGE_CALLERS"
    caller: str
    right: str


@dataclass(kw_only=True)
class StoreNotEmpty(PolicyError):
    """A policy can only be imported into an empty store."""

    reason = "STORE_NOT_EMPTY"
    revision: int


@dataclass(kw_only=True)
class FileChanged(PolicyError):
    """The file is no longer the one that was checked; nothing was imported."""

    reason = "FILE_CHANGED"
    file: str


@dataclass(kw_only=True)
class AnswerNotTaken(PolicyError):
    """The parts of the answer were not read as they came."""

    kind = Kind.EXHAUSTED
    reason = "ANSWER_NOT_TAKEN"


@dataclass(kw_only=True)
class TooManyLongReads(PolicyError):
    """As many plans, or exports and verifications, as may are under way; try again when one is done."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_LONG_READS"
    most: int


@dataclass(kw_only=True)
class TooManyQuestions(PolicyError):
    """As many explanations and lists as may are in hand, beside which checks go on; try again in a moment."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_QUESTIONS"
    most: int


@dataclass(kw_only=True)
class RevisionNotReached(PolicyError):
    """This replica has not reached the revision asked for; try again or ask another."""

    kind = Kind.UNAVAILABLE
    reason = "REVISION_NOT_REACHED"
    wanted: int
    reached: int


@dataclass(kw_only=True)
class ForeignHistory(PolicyError):
    """This revision is not of the history here: a backup was restored, or it is another's. Drop it, and read again."""

    reason = "FOREIGN_HISTORY"
    revision: int
    remembered_from: int | None = None
    """The first revision of which this process can say what it was; what is older is refused as foreign."""


@dataclass(kw_only=True)
class ReplicaStale(PolicyError):
    """This replica has not heard from its database for too long to answer safely."""

    kind = Kind.UNAVAILABLE
    reason = "REPLICA_STALE"


@dataclass(kw_only=True)
class StoreUnavailable(PolicyError):
    """The database cannot be reached or did not answer in time; nothing was changed."""

    kind = Kind.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"


@dataclass(kw_only=True)
class OutcomeUnknown(PolicyError):
    """The connection to the database was lost while it committed; look whether the change is there."""

    kind = Kind.UNKNOWN
    reason = "OUTCOME_UNKNOWN"


@dataclass(kw_only=True)
class TooManyLetters(PolicyError):
    """As many e-mails as may be were sent lately; this one may be sent later."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_LETTERS"
    of: str
    """What has had too many: the invitation, the address or the account."""
    most: int
    again_at: datetime
    wait: timedelta = field(metadata={"told": False})

    def retry_after(self) -> timedelta | None:
        """Until ``again_at``."""
        return self.wait


@dataclass(kw_only=True)
class RateLimited(PolicyError):
    """This caller asks faster than it may."""

    kind = Kind.EXHAUSTED
    reason = "RATE_LIMITED"


@dataclass(kw_only=True)
class DecisionLogBehind(PolicyError):
    """This caller's decisions come faster than they are recorded; nothing was answered, ask again more slowly."""

    kind = Kind.EXHAUSTED
    reason = "DECISION_LOG_BEHIND"


@dataclass(kw_only=True)
class DecisionLogIsFull(PolicyError):
    """There is no room to record decisions, so none is answered; ask another replica, or again later."""

    kind = Kind.UNAVAILABLE
    reason = "DECISION_LOG_FULL"


@dataclass(kw_only=True)
class ForeignArrival(PolicyError):
    """The place is not in this log: it was restored from a backup, or retention has passed the place; read it anew."""

    reason = "FOREIGN_ARRIVAL"
    arrival: int


@dataclass(kw_only=True)
class CallerNotAllowed(PolicyError):
    """The calling service has no right to call this method."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_ALLOWED"
    caller: str
    method: str


@dataclass(kw_only=True)
class CallerNotIdentified(PolicyError):
    """The calling service cannot be told: its certificate names exactly one identity of an accepted kind, or nobody."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_IDENTIFIED"
    found: str
    """What it names instead; never the names themselves, which nobody vouches for."""


@dataclass(kw_only=True)
class CallerNotLocal(PolicyError):
    """Without TLS only a process of this host is answered, over loopback, and nothing that a proxy passes on."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_LOCAL"
    found: str


@dataclass(kw_only=True)
class TooManyCalls(PolicyError):
    """As many calls of this kind are in hand as may be; try again in a moment."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_CALLS"
    limit: str
    """Which bound was met."""
    most: int


@dataclass(kw_only=True)
class CallNotSent(PolicyError):
    """The call was opened and its message did not come; others needed the place, or the time was up."""

    kind = Kind.EXHAUSTED
    reason = "CALL_NOT_SENT"
    limit: str
    seconds: float


@dataclass(kw_only=True)
class UnreadableRequest(PolicyError):
    """What was sent is not the one message that this method takes."""

    kind = Kind.INVALID
    reason = "UNREADABLE_REQUEST"
    message: str


@dataclass(kw_only=True)
class UnknownService(PolicyError):
    """This address says nothing of such a service."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_SERVICE"
    services: tuple[str, ...]
    """Of which it does."""


@dataclass(kw_only=True)
class UnknownMethod(PolicyError):
    """This address has no such method."""

    kind = Kind.NO_METHOD
    reason = "UNKNOWN_METHOD"
    services: tuple[str, ...]
    """Those that it has."""


class StartError(Exception):
    """The service cannot start as configured; the message says what to mend."""
