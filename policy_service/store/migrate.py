"""Brings a database's schema to this release's version, by alembic."""

import asyncio
from functools import cache

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from policy_service.chain import Sign
from policy_service.errors import StartError
from policy_service.store.border import translated
from policy_service.store.stating import state

_LOCK = 4_019_715_206
"""Any fixed number: two migrations at once wait for each other on it."""


def _engine(dsn: str) -> AsyncEngine:
    # asyncpg itself reads the address, so that it means the same here as for the service's own connections.
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn, timeout=10), poolclass=NullPool
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "policy_service:store/migrations")
    return config


async def migrate(dsn: str, sign: Sign | None = None) -> tuple[str | None, str]:
    """Apply what is missing; the schema versions before and after. Safe to run twice, and at once.

    ``sign`` is for what an earlier release's log needs to have stated. Raises
    StartError with the database's words where it refuses.
    """
    engine = _engine(dsn)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await connection.commit()
            versions = await connection.run_sync(_upgrade)
            await state(dsn, sign)
            return versions
    except DBAPIError as fault:
        raise StartError(f"The database's schema cannot be migrated: {fault.orig}") from fault
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    config = _config()
    before = MigrationContext.configure(connection).get_current_revision()
    # The look above opened a transaction; alembic begins its own only where there is none.
    connection.rollback()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    after = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return before, str(after)


async def schema_is_current(dsn: str) -> bool:
    """Is the schema at this release's version? Raises StoreUnavailable."""
    # Alembic would ask the same, by an engine that costs more than the rest of a start.
    with translated():
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            found = None
        finally:
            await connection.close()
    return found == await asyncio.to_thread(_head)


@cache
def _head() -> str | None:
    """This release's version, which all its files are read for."""
    return ScriptDirectory.from_config(_config()).get_current_head()
