"""Users, physicians, invitations, changes of address and callers' tokens, as the change log vouches for them.

By digests of each row. Their rows change in place, so an entry names every row that its change touched
with two SHA-256 digests. What an import brought, and what was there before entries
did so, is vouched for by one digest over all of it (docs/audit.md has the encoding).
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from policy_service.chain import canonical, instant

TOUCHED: Final = "records"
"""The member of an entry's detail that names the rows touched; entries from before schema 0004 have none."""
SUM: Final = "records_sha256"
"""The member of an entry's detail that vouches for every row as it stood then."""

Touched = dict[str, dict[str, list[str | None]]]
"""table → key → digests before and after; None where the row is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose rows are vouched for, each by its key."""

    key: str
    columns: tuple[str, ...]


TABLES: Final = {
    "address_changes": Table(
        key="id",
        columns=(
            *("id", "username", "email", "before", "state", "asked_at", "expires_at", "token_hash"),
            *("asked_at_revision", "closed_at_revision"),
        ),
    ),
    "caller_tokens": Table(
        key="id",
        columns=(
            *("id", "caller", "token_hash", "made_at", "expires_at"),
            *("made_at_revision", "changed_at_revision", "ended_at_revision"),
        ),
    ),
    "invitations": Table(
        key="id",
        columns=(
            *("id", "physician", "username", "email", "roles", "actions", "state", "invited_by", "invited_at"),
            *("expires_at", "generation", "token_hash", "invited_at_revision", "closed_at_revision"),
        ),
    ),
    "physicians": Table(key="physician", columns=("physician", "owner", "display_name", "registered_at_revision")),
    "users": Table(
        key="username", columns=("username", "email", "created_at_revision", "active_since_revision", "set_up_revision")
    ),
}


def _select(name: str, where: str) -> str:
    table = TABLES[name]
    return f"SELECT {', '.join(table.columns)} FROM {name} {where}"  # noqa: S608 - names of ours.


_ONE: Final = {name: _select(name, f"WHERE {table.key} = $1") for name, table in TABLES.items()}
_EVERY: Final = {name: _select(name, f'ORDER BY {table.key} COLLATE "C"') for name, table in TABLES.items()}


def columns_of(table: str) -> str:
    """What a statement that writes a row of this table returns, for ``Transaction.wrote``."""
    return ", ".join(TABLES[table].columns)


def row_of(table: str, record: Any) -> dict[str, Any]:
    """The columns that are vouched for, out of a record that has others besides."""
    return {name: record[name] for name in TABLES[table].columns}


def digest_of(record: Any) -> str | None:
    """SHA-256, in hexadecimal, of a row's columns that are not NULL; None of no row."""
    if record is None:
        return None
    fields = {name: _plain(value) for name, value in record.items() if value is not None}
    return hashlib.sha256(canonical(fields)).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return instant(value)
        case bytes():
            return value.hex()
        case _:
            return value


async def digest(connection: Any, table: str, key: str) -> str | None:
    """The digest of a row as it stands; None if there is none."""
    return digest_of(await connection.fetchrow(_ONE[table], key))


async def every(connection: Any) -> AsyncIterator[tuple[str, str, str]]:
    """Table, key and digest of every row, in the order of tables and keys, byte by byte; inside a transaction."""
    for name, table in TABLES.items():
        async for record in connection.cursor(_EVERY[name], prefetch=5_000, timeout=None):
            found = digest_of(record)
            assert found is not None  # noqa: S101 - a row has a digest.
            yield name, record[table.key], found


class Sum:
    """One digest over many rows, given in the order of ``every``."""

    def __init__(self) -> None:
        """Over none yet."""
        self._digest = hashlib.sha256()
        self.rows = 0

    def add(self, table: str, key: str, row: str) -> None:
        """One more row, by its digest."""
        self._digest.update(f"{table} {key} {row}\n".encode())
        self.rows += 1

    def hexdigest(self) -> str:
        """SHA-256 of all lines, in hexadecimal."""
        return self._digest.hexdigest()


async def sum_of_every(connection: Any) -> Sum:
    """One digest over every row as it stands; inside a transaction."""
    total = Sum()
    async for table, key, row in every(connection):
        total.add(table, key, row)
    return total
