"""A database of one's own with the service's schema, and what ops do to it."""

import asyncio
from pathlib import Path

import asyncpg

from policy_service.app import open_store
from policy_service.store import SERVICE_ROLE, as_role
from tests.conftest import settings_for
from tests.support.command import run_command
from tests.support.postgres import Postgres
from tests.support.processes import Process


async def make_role(server: Postgres) -> None:
    """As which services connect."""
    connection = await asyncpg.connect(server.dsn)
    await connection.execute(f"CREATE ROLE {SERVICE_ROLE} LOGIN")
    await connection.close()


async def migrated(server: Postgres) -> str:
    """Bring it up to date with the seed; the address for the service's own role."""
    await make_role(server)
    async with open_store(settings_for(server.dsn), migrating=True, service_role=SERVICE_ROLE):
        pass
    return as_role(server.dsn, SERVICE_ROLE)


def prepare(server: Postgres) -> str:
    """Made, begun and migrated."""
    server.make()
    server.start()
    return asyncio.run(migrated(server))


def chain_is_whole(process: Process, dsn: str) -> bool:
    """``policy-service audit verify``, by whoever may read the database."""
    key = Path(process.env["POLICY_CHECKPOINT_KEY_FILE"])
    done = run_command(
        "audit", "verify", "--direct", environment={**process.env, "POLICY_DATABASE_URL": dsn}, folder=key.parent
    )
    # 3: whole, and no checkpoint was given to hold it against.
    if done.returncode not in (0, 3):
        raise AssertionError(done.stdout + done.stderr)
    return True
