"""Opens connections to the database, and says how long each may take."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from policy_service.store.border import translated
from policy_service.store.watched import watched

CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 5.0
TIMEOUTS: Final = {
    "application_name": "policy-service",
    # What must be current is read in a statement after the lock is held: whatever else is set for the database.
    "default_transaction_isolation": "read committed",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "tcp_user_timeout": "10000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
_PATIENT: Final = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}


def _attributes(dsn: str) -> dict[str, str]:
    """Of several hosts, the one that takes writes: after a failover it is another."""
    return {"target_session_attrs": "read-write"} if "," in urlsplit(dsn).netloc else {}


async def connect(dsn: str) -> asyncpg.Connection:
    """A connection of its own, for whoever ends it."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=_COMMAND_SECONDS,
        server_settings=TIMEOUTS,
        **_attributes(dsn),
    )
    await watched(connection)
    return connection


@asynccontextmanager
async def connected_patiently(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own for what may take its time. Raises StoreUnavailable."""
    with translated():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings={**TIMEOUTS, **_PATIENT})
        try:
            await watched(connection)
            yield connection
        finally:
            connection.terminate()


@asynccontextmanager
async def pooled(dsn: str, *, size: int) -> AsyncIterator[asyncpg.Pool]:
    """At most so many connections for what is quick. Raises StoreUnavailable."""
    with translated():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=watched,
            timeout=CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings=TIMEOUTS,
            reset=_as_it_was,
            **_attributes(dsn),
        )
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
        except TimeoutError:
            pool.terminate()


async def _as_it_was(_: asyncpg.Connection) -> None:
    """Nothing in here sets anything for longer than a transaction: a connection needs no word to be as it was."""
