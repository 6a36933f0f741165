"""Why a replica does not answer."""

from dataclasses import dataclass

from policy_service.errors import Kind, PolicyError


@dataclass(kw_only=True)
class RevisionNotReached(PolicyError):
    """This replica has not reached the revision asked for; try again or ask another."""

    kind = Kind.UNAVAILABLE
    reason = "REVISION_NOT_REACHED"
    wanted: int
    reached: int


@dataclass(kw_only=True)
class ReplicaStale(PolicyError):
    """This replica has not heard from its database for too long to answer safely."""

    kind = Kind.UNAVAILABLE
    reason = "REPLICA_STALE"
