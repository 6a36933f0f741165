"""The change log and the decision log as they stand, for whoever checks that they are whole."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from policy_service.chain import Entry

_ENTRIES: Final = """
SELECT revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash
FROM changes ORDER BY revision
"""
_NEAR: Final = timedelta(minutes=5)
"""Between losses that are told as one."""
_NAME: Final = "SELECT mark::text FROM changes ORDER BY revision LIMIT 1"
_MAY_REWRITE: Final = "SELECT has_table_privilege('changes', 'UPDATE') OR has_table_privilege('changes', 'DELETE')"
_COUNT: Final = "SELECT count(*) FROM changes"
_HEAD: Final = """
SELECT changes.revision, changes.hash, policy_revision.revision AS current
FROM policy_revision
LEFT JOIN LATERAL (SELECT revision, hash FROM changes ORDER BY revision DESC LIMIT 1) AS changes ON true
"""
# Rows that began or ended where no entry says so, or of which an entry says so and they did not. ALL, as a row that an
# entry began once can be there twice: one ended, and one that goes on. An import names its rows by a digest only.
_STRAYS: Final = """
WITH held AS (
  SELECT from_revision, until_revision,
         CASE ptype WHEN 'p' THEN jsonb_build_array(ptype, v0, v1, v2, v3) ELSE jsonb_build_array(ptype, v0, v1, v2) END
           AS fields
  FROM rules
), told AS (
  SELECT 'began' AS what, revision, fields FROM changes, jsonb_array_elements(after) AS fields
  UNION ALL SELECT 'ended', revision, fields FROM changes, jsonb_array_elements(before) AS fields
), done AS (
  SELECT 'began' AS what, from_revision AS revision, fields FROM held
  WHERE from_revision NOT IN (SELECT revision FROM changes WHERE kind = 'policy.import')
  UNION ALL SELECT 'ended', until_revision, fields FROM held WHERE until_revision IS NOT NULL
), strays AS (
  (SELECT what, revision, fields, true AS is_done FROM done EXCEPT ALL SELECT what, revision, fields, true FROM told)
  UNION ALL
  (SELECT what, revision, fields, false FROM told EXCEPT ALL SELECT what, revision, fields, false FROM done)
)
SELECT what, revision, fields, is_done FROM strays ORDER BY revision, what, fields::text LIMIT 1
"""
_IMPORTED: Final = """
SELECT revision, detail ->> 'rules_sha256' AS digest FROM changes WHERE kind = 'policy.import'
"""
_BEGAN: Final = """
SELECT ptype, v0, v1, v2, v3 FROM rules WHERE from_revision = $1 ORDER BY domain, ptype, v0, v1, v2, v3
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A row of which the log and the table of rules say different things."""

    revision: int
    words: str


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
        return int(await self._connection.fetchval(_COUNT))

    async def head(self) -> Head:
        """Where the log ends."""
        return await head(self._connection)

    async def entries(self) -> AsyncIterator[tuple[Entry, bytes]]:
        """Every entry with the hash kept with it, from the first on."""
        async for record in self._connection.cursor(_ENTRIES, prefetch=1_000):
            yield entry_of(record), record["hash"]

    async def stray(self) -> Stray | None:
        """The first row of which the log and the table of rules say different things."""
        found = await self._connection.fetchrow(_STRAYS)
        if found is None:
            return await self._stray_import()
        row = ", ".join(json.loads(found["fields"]))
        words = (
            f"the row '{row}' {found['what']} and no entry says so"
            if found["is_done"]
            else f"an entry says that the row '{row}' {found['what']}, and it did not"
        )
        return Stray(revision=int(found["revision"]), words=words)

    async def _stray_import(self) -> Stray | None:
        """An import of other rows than its entry says."""
        for found in await self._connection.fetch(_IMPORTED):
            digest = hashlib.sha256()
            async for ptype, *values in self._connection.cursor(_BEGAN, found["revision"], prefetch=5_000):
                digest.update(digested(ptype, values))
            if digest.hexdigest() != found["digest"]:
                words = "the rows that began with the import are not those of which its entry has the SHA-256"
                return Stray(revision=int(found["revision"]), words=words)
        return None

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


def digested(ptype: str, values: Sequence[str]) -> bytes:
    """A row's part in the digest of an import's rows: its fields, of which a last one may be empty, as a line."""
    return (", ".join((ptype, *values[:3], *filter(None, values[3:]))) + "\n").encode()


async def head(connection: Any) -> Head:
    """Where the change log ends."""
    record = await connection.fetchrow(_HEAD)
    return Head(revision=record["revision"] or 0, hash=record["hash"] or b"", current=record["current"])


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
