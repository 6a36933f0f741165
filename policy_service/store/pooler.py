"""Is there a pooler in front that gives each transaction another session? It is looked for at the start, and refused.

Behind one, the notices of changes are lost, prepared statements are somebody
else's, and what a session is set to goes to whoever has it next. All of it may
seem to work until there is load.
"""

import secrets
from typing import Final

import asyncpg

from policy_service.errors import StartError
from policy_service.store.border import translated
from policy_service.store.connection import TIMEOUTS, connect

_SECONDS: Final = 5.0
_NAME: Final = "policy_service.session"
_MARK: Final = "SELECT set_config($1, $2, false)"
_IS_MARKED: Final = "SELECT current_setting($1, true)"
_LIMITS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
_SENTENCE: Final = (
    "POLICY_DATABASE_URL leads to a connection pooler in transaction mode, {sign}. The service listens for changes, "
    "prepares its statements and sets its sessions: give it the database itself, or a pool in session mode."
)


async def probe(dsn: str) -> None:
    """Connect, look, disconnect. Raises StartError, and StoreUnavailable where address or server are at fault."""
    with translated():
        await _refuse(dsn)


async def _refuse(dsn: str) -> None:
    """Mark a session, keep another one busy, and look for the mark. Raises StartError, and what the driver does."""
    try:
        mine = await connect(dsn)
    except asyncpg.ProtocolViolationError as fault:
        if "startup parameter" in str(fault):
            raise _refusal("which takes no settings of a session") from fault
        raise
    try:
        other = await connect(dsn)
        try:
            await _look(mine, other)
        except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as fault:
            raise _refusal("where prepared statements are not kept") from fault
        finally:
            other.terminate()
    finally:
        mine.terminate()


async def _look(mine: asyncpg.Connection, other: asyncpg.Connection) -> None:
    mark = secrets.token_hex(8)
    await mine.fetchval(_MARK, _NAME, mark, timeout=_SECONDS)
    async with other.transaction():
        # It takes a session and keeps it; a pool's would be the one that was just given back.
        await other.fetchval(_IS_MARKED, _NAME, timeout=_SECONDS)
        found = await mine.fetchval(_IS_MARKED, _NAME, timeout=_SECONDS)
    if found != mark:
        raise _refusal("which gave one transaction another session than the one before")
    for name in _LIMITS:
        if await mine.fetchval("SELECT current_setting($1)", name, timeout=_SECONDS) != TIMEOUTS[name]:
            raise StartError(
                f"What POLICY_DATABASE_URL leads to takes no {name} for a session, so nothing would end what waits for "
                "ever: let the pooler pass startup parameters on, or give the service the database itself."
            )


def _refusal(sign: str) -> StartError:
    return StartError(_SENTENCE.format(sign=sign))
