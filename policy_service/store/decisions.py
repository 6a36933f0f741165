"""The log of decisions: lines come in by COPY, day by day; nothing here changes a line."""

import io
from datetime import date
from enum import StrEnum
from typing import Any, Final

import asyncpg

COLUMNS: Final = (
    "at",
    "replica",
    "caller",
    "sequence",
    "username",
    "physician",
    "action",
    "channel",
    "resource",
    "correlation_id",
    "allowed",
    "reason",
    "role",
    "revision",
)

_INSERT: Final = f"""
INSERT INTO decisions ({", ".join(COLUMNS)})
SELECT $1::text::timestamptz, $2, $3, $4::text::bigint, $5, $6, $7, $8, $9, $10, $11::text::boolean, $12, $13,
       $14::text::bigint
ON CONFLICT DO NOTHING
"""
_MAKE_DAY: Final = "SELECT decisions_make_day($1)"
_DROP_BEFORE: Final = "SELECT decisions_drop_before($1)"
_START: Final = """
INSERT INTO decision_replicas (replica, event, last_sequence, lost)
SELECT $1, $2, 0, 0 WHERE NOT EXISTS (SELECT FROM decision_replicas WHERE replica = $1 AND event = $2)
"""
_EVENT: Final = "INSERT INTO decision_replicas (replica, event, last_sequence, lost) VALUES ($1, $2, $3, $4)"


class ReplicaEvent(StrEnum):
    """What became of a process that records decisions."""

    STARTED = "started"
    LOST = "lost"
    ENDED = "ended"
    RECOVERED = "recovered"


async def make_day(connection: Any, day: date) -> None:
    """Make the table of a day, if it is not there."""
    await connection.execute(_MAKE_DAY, day)


async def drop_before(connection: Any, day: date) -> int:
    """Drop the tables of days before one; how many."""
    return int(await connection.fetchval(_DROP_BEFORE, day))


async def append(connection: Any, lines: bytes) -> None:
    """Add lines in COPY's text format, each ended by a newline. Lines that are there already stay as they are."""
    try:
        await connection.copy_to_table("decisions", source=io.BytesIO(lines), columns=COLUMNS)
    except asyncpg.UniqueViolationError:
        # Some were committed before and the word of it was lost: one by one, then.
        rows = [_unescaped(line).split("\t") for line in lines.decode().split("\n")[:-1]]
        await connection.executemany(_INSERT, rows)


def _unescaped(line: str) -> str:
    return line.replace("\\\\", "\\")


async def note_start(connection: Any, replica: str) -> None:
    """Write down that a replica records decisions, if that is not known."""
    await connection.execute(_START, replica, ReplicaEvent.STARTED)


async def note(connection: Any, replica: str, event: ReplicaEvent, last_sequence: int, lost: int) -> None:
    """Write down what became of a replica."""
    await connection.execute(_EVENT, replica, event, last_sequence, lost)
