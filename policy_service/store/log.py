"""The change log and the decision log as they stand, for whoever checks that they are whole."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from policy_service.chain import Entry
from policy_service.store.strays import Stray, stray

_COLUMNS: Final = """
SELECT revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash
FROM changes
"""
_ENTRIES: Final = f"{_COLUMNS} ORDER BY revision"
_FIRST_VOUCHING: Final = f"{_COLUMNS} WHERE detail ? 'records' ORDER BY revision LIMIT 1"
_NAME: Final = "SELECT mark::text FROM changes ORDER BY revision LIMIT 1"
_MAY_REWRITE: Final = "SELECT has_table_privilege('changes', 'UPDATE') OR has_table_privilege('changes', 'DELETE')"
_COUNT: Final = "SELECT count(*) FROM changes"
_HEAD: Final = """
SELECT changes.revision, changes.hash, policy_revision.revision AS current,
       changes.mark = policy_revision.mark AS is_marked
FROM policy_revision
LEFT JOIN LATERAL (SELECT revision, hash, mark FROM changes ORDER BY revision DESC LIMIT 1) AS changes ON true
"""
_REPLICAS: Final = """
SELECT replica, min(at) FILTER (WHERE event = 'started') AS started_at,
       max(at) FILTER (WHERE event = 'ended') AS ended_at, max(lost) AS lost, max(last_sequence) AS last_said,
       count(*) FILTER (WHERE event IN ('ended', 'recovered')) > 0 AS is_closed,
       -- Retention spares a month: nothing of these can have gone.
       coalesce(min(at) FILTER (WHERE event = 'started') > now() - interval '29 days', false) AS is_young
FROM decision_replicas GROUP BY replica ORDER BY min(id)
"""
_RECORDED: Final = """
SELECT replica, count(*) AS decisions, min(sequence) AS first, max(sequence) AS last FROM decisions GROUP BY replica
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the log ends, and where the policy says it stands."""

    revision: int
    hash: bytes
    current: int
    is_marked: bool
    """Is it the entry whose mark the policy has, by which replicas know one history from another?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One process's part of the decision log."""

    replica: str
    started_at: datetime | None
    ended_at: datetime | None
    decisions: int
    first_sequence: int
    last_sequence: int
    lost: int

    @property
    def missing(self) -> int:
        """Decisions that should be there from the first to the last."""
        return self.last_sequence - self.first_sequence + 1 - self.decisions


class LogLook:
    """Both logs at one moment, on a connection without limits of time."""

    def __init__(self, connection: Any) -> None:
        """Use ``Store.looking_at_log``."""
        self._connection = connection

    async def count(self) -> int:
        """How many entries there are."""
        return await count(self._connection)

    async def head(self) -> Head:
        """Where the log ends."""
        return await head(self._connection)

    async def entries(self) -> AsyncIterator[tuple[Entry, bytes]]:
        """Every entry with the hash kept with it, from the first on."""
        async for found in entries(self._connection):
            yield found

    async def first_vouching(self) -> Entry | None:
        """The first entry that vouches for users, physicians and invitations: those before are of another release."""
        record = await self._connection.fetchrow(_FIRST_VOUCHING)
        return None if record is None else entry_of(record)

    async def stray(self) -> Stray | None:
        """The first row of which the log and the tables say different things."""
        return await stray(self._connection)

    async def recorded(self) -> list[Recorded]:
        """The decision log, process by process, in the order of their starts."""
        counts = {record["replica"]: record for record in await self._connection.fetch(_RECORDED)}
        found = []
        for told in await self._connection.fetch(_REPLICAS):
            seen = counts.get(told["replica"])
            # Of a process that ended, or whose files were brought in, the end is known.
            last = max(told["last_said"] if told["is_closed"] else 0, seen["last"] if seen else 0)
            found.append(
                Recorded(
                    replica=told["replica"],
                    started_at=told["started_at"],
                    ended_at=told["ended_at"],
                    decisions=seen["decisions"] if seen else 0,
                    first_sequence=1 if told["is_young"] else seen["first"] if seen else last + 1,
                    last_sequence=last,
                    lost=told["lost"],
                )
            )
        # Of these even the beginning is gone.
        known = {recorded.replica for recorded in found}
        found += [
            Recorded(
                replica=replica,
                started_at=None,
                ended_at=None,
                decisions=seen["decisions"],
                first_sequence=seen["first"],
                last_sequence=seen["last"],
                lost=0,
            )
            for replica, seen in sorted(counts.items())
            if replica not in known
        ]
        return found


async def count(connection: Any) -> int:
    """How many entries there are."""
    return int(await connection.fetchval(_COUNT))


async def entries(connection: Any) -> AsyncIterator[tuple[Entry, bytes]]:
    """Every entry with the hash kept with it, from the first on; inside a transaction."""
    async for record in connection.cursor(_ENTRIES, prefetch=1_000, timeout=None):
        yield entry_of(record), record["hash"]


async def head(connection: Any) -> Head:
    """Where the change log ends."""
    record = await connection.fetchrow(_HEAD)
    return Head(
        revision=record["revision"] or 0,
        hash=record["hash"] or b"",
        current=record["current"],
        is_marked=record["is_marked"] is not False,
    )


async def may_be_rewritten(connection: Any) -> bool:
    """Does this connection's role have more rights than a log should give?"""
    return bool(await connection.fetchval(_MAY_REWRITE))


async def name(connection: Any) -> str:
    """The name of this history: the mark of its first change."""
    return str(await connection.fetchval(_NAME))


def entry_of(record: Any) -> Entry:
    """An entry as the table has it."""
    return Entry(
        revision=record["revision"],
        at=record["at"],
        caller=record["caller"],
        actor=record["actor"],
        reason=record["reason"],
        kind=record["kind"],
        physician=record["physician"],
        before=json.loads(record["before"]),
        after=json.loads(record["after"]),
        detail=json.loads(record["detail"]),
        mark=str(record["mark"]),
        previous=record["previous_hash"],
    )
