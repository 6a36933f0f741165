"""PostgreSQL: the policy, its history and its directory. The only importer of asyncpg."""

from policy_service.store.connection import Listener, Store, connect_store, probe
from policy_service.store.embedded import embedded_postgres
from policy_service.store.migrate import migrate, schema_is_current
from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction, Written

__all__ = [
    "Listener",
    "Reading",
    "Store",
    "Transaction",
    "Written",
    "connect_store",
    "embedded_postgres",
    "migrate",
    "probe",
    "schema_is_current",
]
