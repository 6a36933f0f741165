"""Writes as bare as they can be: the same commit pattern by the driver alone, each writer on a connection of its own.

    python -m tests.benchmarks.floor DSN WRITERS SECONDS

Locks and raises one row, adds an entry of the same size, tells who listens, commits. No service, no rule, no gRPC.
Writes the seconds that each transaction took as a line of JSON.
"""

import asyncio
import json
import sys
import time
from typing import Final

import asyncpg

TABLES: Final = """
CREATE TABLE floor_revision (revision bigint NOT NULL, mark uuid NOT NULL DEFAULT gen_random_uuid());
INSERT INTO floor_revision VALUES (0);
CREATE TABLE floor_changes (revision bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), entry jsonb)
"""
_RAISE: Final = "UPDATE floor_revision SET revision = revision + 1, mark = gen_random_uuid() RETURNING revision"
_ENTRY: Final = """
WITH entry AS (INSERT INTO floor_changes (revision, entry) VALUES ($1, $2) RETURNING revision)
SELECT pg_notify('floor', revision::text) FROM entry
"""
_TEXT: Final = json.dumps({"kind": "permissions.update", "rows": ["user:someone", "role:data_entry"] * 8})


async def write(dsn: str, until: float) -> list[float]:
    """One writer; the seconds that each of its transactions took."""
    connection = await asyncpg.connect(dsn)
    took = []
    while (began := time.perf_counter()) < until:
        async with connection.transaction():
            revision = await connection.fetchval(_RAISE)
            await connection.execute(_ENTRY, revision, _TEXT)
        took.append(time.perf_counter() - began)
    await connection.close()
    return took


async def main() -> None:
    """Read the arguments, write for so long, tell."""
    dsn, writers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    until = time.perf_counter() + seconds
    took = await asyncio.gather(*(write(dsn, until) for _ in range(writers)))
    print(json.dumps([one for each in took for one in each]))


if __name__ == "__main__":
    asyncio.run(main())
