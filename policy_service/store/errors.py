"""What the database, or what stands in it, refuses."""

from dataclasses import dataclass

from policy_service.errors import Kind, LimitReached, PolicyError


@dataclass(kw_only=True)
class UnknownRevision(PolicyError):
    """No such revision is in the policy's history."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_REVISION"
    revision: str
    history: str | None = None
    """From when to when it reaches."""


@dataclass(kw_only=True)
class PhysicianExists(PolicyError):
    """This physician account is registered already."""

    kind = Kind.EXISTS
    reason = "PHYSICIAN_EXISTS"
    physician: str


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
class AccountFull(PolicyError):
    """The account would hold more of these than it may; remove some first."""

    reason = "ACCOUNT_FULL"
    physician: str
    of: str
    """Roles, rules or members."""
    most: int
    wanted: int


@dataclass(kw_only=True)
class IdempotencyKeyReused(PolicyError):
    """This idempotency key was used for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    key: str


@dataclass(kw_only=True)
class TooManyLongReads(LimitReached):
    """As many plans, or exports and verifications, as may are under way; try again when one is done."""

    reason = "TOO_MANY_LONG_READS"


@dataclass(kw_only=True)
class StoreUnavailable(PolicyError):
    """The database cannot be reached or did not answer in time; nothing was changed."""

    kind = Kind.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"


@dataclass(kw_only=True)
class StoreReadOnly(StoreUnavailable):
    """The database takes no writes: a standby, or made read-only. Nothing was changed; a primary is looked for."""

    reason = "STORE_READ_ONLY"


@dataclass(kw_only=True)
class WriteTimedOut(StoreUnavailable):
    """The write was not done in the time that one may take. Nothing was changed, nor will be; try again."""

    reason = "WRITE_TIMED_OUT"


@dataclass(kw_only=True)
class OutcomeUnknown(PolicyError):
    """It is not known whether the change was made. Send it again with the same idempotency key, or look first."""

    kind = Kind.UNKNOWN
    reason = "OUTCOME_UNKNOWN"


@dataclass(kw_only=True)
class ForeignArrival(PolicyError):
    """The place is not in this log: it was restored from a backup, or retention has passed the place; read it anew."""

    reason = "FOREIGN_ARRIVAL"
    arrival: int
