"""PostgreSQL: the policy, its history and its directory. The only importer of asyncpg.

In come questions about a revision, and stories that change the policy; out come
values, and a revision with its entry in the change log or no change at all. What
was acknowledged is never lost, and no driver's error gets past ``border``. Read
``database`` first, then ``transaction``.
"""

from policy_service.store import (
    address_changes,
    audit,
    callers,
    invitations,
    log_pages,
    moving,
    periods,
    rules,
    spans,
    users,
)
from policy_service.store.answers import Kept
from policy_service.store.arrivals import BEGINNING, Place, arrived
from policy_service.store.audit import Pending, Point, Since
from policy_service.store.caps import CAPS, Caps
from policy_service.store.database import Store, connect_store
from policy_service.store.decisions import ReplicaEvent
from policy_service.store.embedded import embedded_postgres, has_embedded
from policy_service.store.errors import PhysicianExists, StoreUnavailable, TooManyLongReads, UnknownRevision
from policy_service.store.grants import SERVICE_ROLE, allow_service, as_role
from policy_service.store.invitations import DeliveryState, Invitation, InvitationState, Purpose
from policy_service.store.listening import Listener
from policy_service.store.log import LogLook, Recorded, Unrecorded
from policy_service.store.log_pages import ChangeFilter, DecisionFilter, LoggedChange, LoggedDecision
from policy_service.store.migrate import migrate, schema_is_current
from policy_service.store.motion import Motion
from policy_service.store.outbox import Claimed, Letter, oldest_of_last
from policy_service.store.periods import Ranged
from policy_service.store.pooler import probe
from policy_service.store.reading import Reading
from policy_service.store.seats import CHECKPOINTS, Seat
from policy_service.store.spans import Span
from policy_service.store.strays import digested
from policy_service.store.transaction import Transaction, Written
from policy_service.store.watched import Spent, counting

__all__ = [
    "BEGINNING",
    "CAPS",
    "CHECKPOINTS",
    "SERVICE_ROLE",
    "Caps",
    "ChangeFilter",
    "Claimed",
    "DecisionFilter",
    "DeliveryState",
    "Invitation",
    "InvitationState",
    "Kept",
    "Letter",
    "Listener",
    "LogLook",
    "LoggedChange",
    "LoggedDecision",
    "Motion",
    "Pending",
    "PhysicianExists",
    "Place",
    "Point",
    "Purpose",
    "Ranged",
    "Reading",
    "Recorded",
    "ReplicaEvent",
    "Seat",
    "Since",
    "Span",
    "Spent",
    "Store",
    "StoreUnavailable",
    "TooManyLongReads",
    "Transaction",
    "UnknownRevision",
    "Unrecorded",
    "Written",
    "address_changes",
    "allow_service",
    "arrived",
    "as_role",
    "audit",
    "callers",
    "connect_store",
    "counting",
    "digested",
    "embedded_postgres",
    "has_embedded",
    "invitations",
    "log_pages",
    "migrate",
    "moving",
    "oldest_of_last",
    "periods",
    "probe",
    "rules",
    "schema_is_current",
    "spans",
    "users",
]
