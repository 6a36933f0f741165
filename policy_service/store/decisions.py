"""The log of decisions: lines come in by COPY, day by day; nothing here changes a line."""

import io
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Any, Final

import asyncpg

from policy_service.vocabulary import Loss

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

_MAKE_DAY: Final = "SELECT decisions_make_day($1)"
_DROP_BEFORE: Final = "SELECT decisions_drop_before($1)"
_START: Final = """
INSERT INTO decision_replicas (replica, event, last_sequence, lost)
SELECT $1, $2, 0, 0 WHERE NOT EXISTS (SELECT FROM decision_replicas WHERE replica = $1 AND event = $2)
"""
_EVENT: Final = "INSERT INTO decision_replicas (replica, event, last_sequence, lost) VALUES ($1, $2, $3, $4)"
_LOSS: Final = """
INSERT INTO decision_losses (replica, caller, lost_so_far, lost, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""
_ARRIVED: Final = """
SELECT first_sequence, last_sequence FROM decision_arrivals WHERE replica = $1 AND last_sequence >= $2
"""
_REPLICA, _SEQUENCE = COLUMNS.index("replica"), COLUMNS.index("sequence")


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
        await _copy(connection, lines)
    except asyncpg.UniqueViolationError:
        # Some were committed before and the word of it was lost: the others, then.
        if fresh := await _not_arrived(connection, lines):
            await _copy(connection, fresh)


async def _copy(connection: Any, lines: bytes) -> None:
    await connection.copy_to_table("decisions", source=io.BytesIO(lines), columns=COLUMNS)


async def _not_arrived(connection: Any, lines: bytes) -> bytes:
    """The lines of one process whose sequences did not arrive before."""
    found = [(int(fields[_SEQUENCE]), fields) for fields in (line.split(b"\t") for line in lines.splitlines())]
    replica = found[0][1][_REPLICA].decode()
    arrived = await connection.fetch(_ARRIVED, replica, min(sequence for sequence, _ in found))
    spans = [(record["first_sequence"], record["last_sequence"]) for record in arrived]
    return b"".join(
        b"\t".join(fields) + b"\n"
        for sequence, fields in found
        if not any(first <= sequence <= last for first, last in spans)
    )


async def note_start(connection: Any, replica: str) -> None:
    """Write down that a replica records decisions, if that is not known."""
    await connection.execute(_START, replica, ReplicaEvent.STARTED)


async def note(connection: Any, replica: str, event: ReplicaEvent, last_sequence: int, lost: int) -> None:
    """Write down what became of a replica."""
    await connection.execute(_EVENT, replica, event, last_sequence, lost)


async def note_losses(connection: Any, replica: str, losses: Iterable[Loss]) -> None:
    """Write down whose answers a replica did not record. What is known already stays as it is."""
    await connection.executemany(
        _LOSS,
        [(replica, loss.caller, loss.so_far, loss.lost, loss.first_at, loss.last_at) for loss in losses],
    )
