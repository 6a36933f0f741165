"""PostgreSQL: the policy, its history and its directory. The only importer of asyncpg."""

from policy_service.store.caps import CAPS, Caps
from policy_service.store.connection import Listener, Store, connect_store, probe
from policy_service.store.decisions import ReplicaEvent
from policy_service.store.embedded import embedded_postgres, has_embedded
from policy_service.store.grants import SERVICE_ROLE, allow_service, as_role
from policy_service.store.migrate import migrate, schema_is_current
from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction, Written

__all__ = [
    "CAPS",
    "SERVICE_ROLE",
    "Caps",
    "Listener",
    "Reading",
    "ReplicaEvent",
    "Store",
    "Transaction",
    "Written",
    "allow_service",
    "as_role",
    "connect_store",
    "embedded_postgres",
    "has_embedded",
    "migrate",
    "probe",
    "schema_is_current",
]
