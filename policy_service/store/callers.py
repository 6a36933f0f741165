"""Callers' tokens: what is kept of them, and when each was last seen."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import SYSTEM_DOMAIN, Issued, Row, is_own_right

_TABLE: Final = "caller_tokens"

_STANDING: Final = """
SELECT t.id, t.caller, t.made_at, t.expires_at, u.used_at
FROM caller_tokens t LEFT JOIN caller_token_uses u ON u.token = t.id
WHERE t.ended_at_revision IS NULL AND ($1::text IS NULL OR t.caller = $1)
ORDER BY t.caller, t.made_at_revision
"""
_ADD: Final = """
INSERT INTO caller_tokens (id, caller, token_hash, made_at, expires_at, made_at_revision, changed_at_revision)
VALUES ($1, $2, $3, $4, $5, $6, $6)
"""
_END: Final = """
UPDATE caller_tokens SET ended_at_revision = $2, changed_at_revision = $2 WHERE id = $1 AND ended_at_revision IS NULL
"""
_SHORTEN: Final = """
UPDATE caller_tokens SET expires_at = $2, changed_at_revision = $3 WHERE id = $1 AND ended_at_revision IS NULL
"""
# In the order of ids, as two replicas that note the same tokens would lock each other otherwise; of those only that
# there are, as the database may have been restored meanwhile.
_SEEN: Final = """
INSERT INTO caller_token_uses (token, used_at)
SELECT id, at FROM unnest($1::text[], $2::timestamptz[]) AS seen (token, at) JOIN caller_tokens ON id = seen.token
ORDER BY id
ON CONFLICT (token) DO UPDATE SET used_at = greatest(caller_token_uses.used_at, excluded.used_at)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that was not ended, as people are told of it: never its text, nor what is kept of that."""

    id: str
    caller: str
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Is its caller known by it?"""
        return now < self.expires_at


async def tokens(look: Reading | Transaction, caller: str | None = None) -> list[Token]:
    """The tokens that were not ended, the oldest of each caller first; of one caller, or of all."""
    return [Token(**dict(record)) for record in await look.connection.fetch(_STANDING, caller)]


async def own_rights(look: Reading | Transaction) -> dict[str, list[Row]]:
    """The rows that single callers have, beside the seed's, by their subjects."""
    found: dict[str, list[Row]] = {}
    for row in await look.rows([SYSTEM_DOMAIN]):
        if is_own_right(row):
            found.setdefault(row.values[0], []).append(row)
    return found


async def add(tx: Transaction, caller: str, issued: Issued, made_at: datetime, expires_at: datetime) -> None:
    """Keep what is kept of a new token."""
    await tx.touch(_TABLE, issued.id)
    with _without_the_row():
        await tx.connection.execute(_ADD, issued.id, caller, issued.digest, made_at, expires_at, tx.revision)


async def end(tx: Transaction, token: str) -> None:
    """From here on it is nobody's."""
    await tx.touch(_TABLE, token)
    with _without_the_row():
        await tx.connection.execute(_END, token, tx.revision)


async def shorten(tx: Transaction, token: str, expires_at: datetime) -> None:
    """Let it end earlier."""
    await tx.touch(_TABLE, token)
    with _without_the_row():
        await tx.connection.execute(_SHORTEN, token, expires_at, tx.revision)


@contextmanager
def _without_the_row() -> Iterator[None]:
    """The database's words about a row that it refuses repeat the row, and with it what is kept of a token."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as fault:
        raise RuntimeError(f"a caller's token cannot be kept: {fault.constraint_name}") from None


async def note_seen(connection: Any, seen: Mapping[str, datetime]) -> None:
    """Note when tokens were last seen, unless a later time is known."""
    names: Sequence[str] = sorted(seen)
    await connection.execute(_SEEN, names, [seen[name] for name in names])
