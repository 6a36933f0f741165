"""Runs the embedded PostgreSQL as a server of its own, for trying several replicas out on one machine.

    python examples/local_postgres.py try/database

It makes the role that replicas connect as, and writes two addresses into that folder: ``owner-url`` for
``policy-service migrate`` and ``service-url`` for ``serve``. It serves this machine's own user alone, until Ctrl-C.
"""

import asyncio
import signal
import sys
from pathlib import Path

import asyncpg

from policy_service.store import SERVICE_ROLE, as_role, embedded_postgres


async def run(folder: Path) -> None:
    """Serve until interrupted."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with embedded_postgres(folder) as owner:
        connection = await asyncpg.connect(owner)
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", SERVICE_ROLE):
            await connection.execute(f"CREATE ROLE {SERVICE_ROLE} LOGIN")
        await connection.close()
        for name, address in (("owner-url", owner), ("service-url", as_role(owner, SERVICE_ROLE))):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(f"{address}\n")
        print(f"PostgreSQL serves; its addresses are in {folder}/owner-url and {folder}/service-url", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
