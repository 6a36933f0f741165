"""The last step of the migration to schema 0004: what the log was until then is stated in it, once."""

from typing import Any, Final

import asyncpg

from policy_service.chain import KIND, Fork, Sign, Walk, statement
from policy_service.errors import StartError
from policy_service.store import log, records
from policy_service.store.caps import CAPS
from policy_service.store.known import KnownRows
from policy_service.store.writing import begin

_IS_WAITING: Final = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'wait_for_statement')"
_LOCK: Final = "SELECT FROM policy_revision FOR UPDATE"
_LET_WRITE: Final = "DROP TRIGGER IF EXISTS wait_for_statement ON changes"
_PATIENT: Final = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"


async def state(dsn: str, sign: Sign | None) -> None:
    """State it if that is not done yet, as the owner of the tables; an empty log needs no statement.

    Raises StartError where there is something to state and nobody to sign.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(_PATIENT)
        if await connection.fetchval(_IS_WAITING):
            async with connection.transaction():
                await _state(connection, sign)
    finally:
        connection.terminate()


async def _state(connection: Any, sign: Sign | None) -> None:
    # Writers wait from here on; readers do until the trigger is taken away, which is the last and the shortest.
    await connection.execute(_LOCK)
    rows = await records.sum_of_every(connection)
    if rows.rows or await log.count(connection):
        if sign is None:
            raise StartError("The log of an earlier release is to be stated, and there is no key to sign with.")
        said = statement(
            log=await log.name(connection), fork=await _fork(connection), records_sha256=rows.hexdigest(), sign=sign
        )
        async with begin(
            connection, caller="local", actor="ops", reason="schema 0004", holds=CAPS, known=KnownRows()
        ) as transaction:
            await transaction.change(KIND, None, detail=said)
    await connection.execute(_LET_WRITE)


async def _fork(connection: Any) -> Fork | None:
    """Where writers side by side forked the log. What is broken otherwise is not explained, and found as ever."""
    walk = Walk(forks=range(1, 1 << 63))
    async for entry, kept in log.entries(connection):
        if walk.fault(entry, kept):
            break
    return walk.fork
