"""A database of an earlier release's schema."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from alembic import command
from sqlalchemy import Connection

from policy_service.store.migrate import _config, _engine
from tests.conftest import in_database


@asynccontextmanager
async def older_database(postgres: str, version: str) -> AsyncIterator[str]:
    """The address of an empty database migrated to a version and no further."""
    name = f"older_{os.getpid()}"
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE {name}")
    dsn = in_database(postgres, name)
    engine = _engine(dsn)

    def upgrade(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)

    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()
    yield dsn
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()
