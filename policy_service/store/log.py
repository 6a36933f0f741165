"""The change log and the decision log as they stand, for whoever checks that they are whole."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from policy_service.chain import Entry

_ENTRIES: Final = """
SELECT revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash
FROM changes ORDER BY revision
"""
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
_RECORDED: Final = """
SELECT replica, count(*) AS decisions, min(sequence) AS first, max(sequence) AS last FROM decisions GROUP BY replica
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
