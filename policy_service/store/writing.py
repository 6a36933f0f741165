"""How a write goes: its turn under the lock, its story, the commit; and what is said where that does not end well.

Each has a time of its own, in which it is committed or never will be. Only where
the word to commit went out, and none came back, may it be either way, and it is
said so.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import asyncpg
import structlog

from policy_service.errors import PolicyError
from policy_service.store.caps import Caps
from policy_service.store.errors import OutcomeUnknown, WriteTimedOut
from policy_service.store.known import KnownRows
from policy_service.store.rounds import Rounds, Turn
from policy_service.store.transaction import Transaction

log = structlog.get_logger(__name__)

# The lock is held when this begins, so all that it reads is of now: the head of the log too, and a kept answer.
_RAISE: Final = """
WITH head AS (SELECT revision, mark, hash FROM changes ORDER BY revision DESC LIMIT 1)
UPDATE policy_revision
SET revision = revision + 1, mark = gen_random_uuid(), changed_at = greatest(clock_timestamp(), changed_at)
RETURNING revision, mark, changed_at, pg_current_xact_id()::text AS xact,
          changed_at > clock_timestamp() + interval '1 minute' AS is_ahead,
          (SELECT revision FROM head) AS head_revision, (SELECT mark FROM head) AS head_mark,
          (SELECT hash FROM head) AS head_hash,
          $2 <> '' AND EXISTS (SELECT FROM idempotency WHERE caller = $1 AND key = $2) AS has_answer
"""


class Writer:
    """Writes through a pool, one after the other."""

    def __init__(self, pool: asyncpg.Pool, dsn: str, *, caps: Caps, known: KnownRows, seconds: float) -> None:
        """A write has so many seconds, unless it is said to be patient."""
        self._caps = caps
        self._known = known
        self._seconds = seconds
        self._rounds = Rounds(pool, dsn)

    @asynccontextmanager
    async def transaction(
        self, *, caller: str, actor: str, reason: str, key: str, patient: bool
    ) -> AsyncIterator[Transaction]:
        """See ``Store.transaction``."""
        until = None if patient else asyncio.get_running_loop().time() + self._seconds
        turn, limit = Turn(until), asyncio.timeout_at(until)
        try:
            async with limit:
                self._rounds.enter(turn)
                connection = await turn.begins
                try:
                    async with (
                        self.border(),
                        begin(
                            connection,
                            caller=caller,
                            actor=actor,
                            reason=reason,
                            key=key,
                            holds=self._caps,
                            known=self._known,
                        ) as transaction,
                    ):
                        turn.name = transaction.name
                        yield transaction
                    turn.end(changed=transaction.written.changed)
                except PolicyError:
                    # Refused for how things stand, which may be what a turn before has made of them.
                    turn.end(changed=False)
                    await turn.settled()
                    raise
                await turn.settled()
        except TimeoutError as late:
            if not limit.expired():
                raise
            raise (OutcomeUnknown() if turn.is_committing else WriteTimedOut()) from late
        finally:
            turn.leave()

    def border(self) -> AbstractAsyncContextManager[None]:
        """For whoever writes: no connection on which nothing can be written is used again."""
        return self._rounds.border()


@asynccontextmanager
async def begin(
    connection: Any, *, caller: str, actor: str, reason: str, holds: Caps, known: KnownRows, key: str = ""
) -> AsyncIterator[Transaction]:
    """A story in a transaction that holds the lock on the revision's row already; its entry is written at the end."""
    raised = await connection.fetchrow(_RAISE, caller, key)
    if raised["is_ahead"]:
        # Questions by time find the change only when that time has come.
        log.warning("changes have times to come: the database's clock was ahead once", at=raised["changed_at"])
    transaction = Transaction(
        connection, raised, caller=caller, actor=actor, reason=reason, key=key, holds=holds, known=known
    )
    yield transaction
    if transaction.written.changed:
        await transaction.finish()
