"""The change log and the decision log as they stand, for whoever checks that they are whole."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from policy_service.chain import Entry
from policy_service.store.strays import Stray, stray

_COLUMNS: Final = """
SELECT revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash
FROM changes
"""
_ENTRIES: Final = f"{_COLUMNS} ORDER BY revision"
_FIRST_VOUCHING: Final = f"{_COLUMNS} WHERE detail ? 'records' ORDER BY revision LIMIT 1"
_NEAR: Final = timedelta(minutes=5)
"""Between losses that are told as one."""
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
# By id first, so that two rows under one are seen.
_RECORDED: Final = """
SELECT replica, day, sum(rows)::bigint AS decisions, count(*) AS ids, min(sequence) AS first, max(sequence) AS last
FROM (
  SELECT replica, sequence, min((at AT TIME ZONE 'UTC')::date) AS day, count(*) AS rows
  FROM decisions GROUP BY replica, sequence
) AS by_id GROUP BY replica, day
"""
_ARRIVED: Final = """
SELECT replica, day, sum(decisions)::bigint AS decisions FROM decision_arrivals GROUP BY replica, day
"""
# Retention, which spares a month, goes past losses as past decisions.
_LOSSES: Final = """
SELECT replica, caller, lost, first_at, last_at FROM decision_losses
WHERE last_at >= least((SELECT min(day) FROM decision_arrivals), current_date - 30)
UNION ALL
-- Counted by a process, and nobody noted whose: by an earlier release, or before a restore.
SELECT replica, '', (max(lost) - coalesce(noted, 0))::bigint, min(at) FILTER (WHERE event = 'started'), max(at)
FROM decision_replicas
LEFT JOIN (SELECT replica, sum(lost) AS noted FROM decision_losses GROUP BY replica) AS told USING (replica)
GROUP BY replica, noted
HAVING max(lost) > coalesce(noted, 0)
  AND max(at) >= least((SELECT min(day) FROM decision_arrivals), current_date - 30)
ORDER BY 4, 1, 2
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
class Unrecorded:
    """Answers of a process to a caller that were not recorded; it was not always noted to whom, and since when."""

    replica: str
    caller: str
    lost: int
    first_at: datetime | None
    last_at: datetime


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
    doubled: int
    """Decisions under an id that another one has."""

    @property
    def missing(self) -> int:
        """Decisions that should be there from the first to the last."""
        return self.last_sequence - self.first_sequence + 1 - self.decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is there of one process."""

    decisions: int = 0
    ids: int = 0
    first: int = 0
    last: int = 0

    @staticmethod
    def of(days: Sequence[Any]) -> "_Seen":
        """Its days as one."""
        return _Seen(
            decisions=sum(day["decisions"] for day in days),
            ids=sum(day["ids"] for day in days),
            first=min(day["first"] for day in days),
            last=max(day["last"] for day in days),
        )

    def told(self, told: Any, *, last_said: int) -> Recorded:
        last = max(last_said, self.last)
        return Recorded(
            replica=told["replica"],
            started_at=told["started_at"],
            ended_at=told["ended_at"],
            decisions=self.decisions,
            first_sequence=1 if told["is_young"] else self.first or last + 1,
            last_sequence=last,
            lost=told["lost"],
            doubled=self.decisions - self.ids,
        )

    def untold(self, replica: str) -> Recorded:
        return Recorded(
            replica=replica,
            started_at=None,
            ended_at=None,
            decisions=self.decisions,
            first_sequence=self.first,
            last_sequence=self.last,
            lost=0,
            doubled=self.decisions - self.ids,
        )


_NOTHING_SEEN: Final = _Seen()


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

    async def recorded(self) -> tuple[list[Recorded], str]:
        """The decision log, process by process, in the order of their starts; and where it is not what came in."""
        days = await self._connection.fetch(_RECORDED)
        seen = {replica: _Seen.of(list(its)) for replica, its in groupby(sorted(days, key=_replica_of), _replica_of)}
        found = [
            # Of a process that ended, or whose files were brought in, the end is known.
            seen.pop(told["replica"], _NOTHING_SEEN).told(told, last_said=told["last_said"] if told["is_closed"] else 0)
            for told in await self._connection.fetch(_REPLICAS)
        ]
        # Of these even the beginning is gone.
        found += [left.untold(replica) for replica, left in sorted(seen.items())]
        return found, "; ".join(self._unlike(days, await self._connection.fetch(_ARRIVED)))

    @staticmethod
    def _unlike(days: Sequence[Any], arrived: Sequence[Any]) -> Iterator[str]:
        there, came = (
            {(record["day"], record["replica"]): record["decisions"] for record in records}
            for records in (days, arrived)
        )
        for day, replica in sorted(there.keys() | came.keys()):
            more = there.get((day, replica), 0) - came.get((day, replica), 0)
            if more:
                what = f"has {more:,} that never came in" if more > 0 else f"lacks {-more:,} that came in"
                yield f"the decision log of process {replica} of {day} {what}"

    async def unrecorded(self) -> list[Unrecorded]:
        """Answers that were counted as not recorded, in the order of their times; near ones as one."""
        found = list[Unrecorded]()
        latest: dict[tuple[str, str], int] = {}
        for record in await self._connection.fetch(_LOSSES):
            loss = Unrecorded(**dict(record))
            whose = (loss.replica, loss.caller)
            before = found[latest[whose]] if whose in latest else None
            if before and loss.first_at and loss.first_at - before.last_at <= _NEAR:
                found[latest[whose]] = replace(before, lost=before.lost + loss.lost, last_at=loss.last_at)
            else:
                latest[whose] = len(found)
                found.append(loss)
        return found


def _replica_of(record: Any) -> str:
    return str(record["replica"])


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
