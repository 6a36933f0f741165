"""What stands in the tables and in no entry of the change log, or the other way round. Reads all, writes nothing."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from policy_service.store import records

# Columns that no entry tells of hold what they must, or nothing.
_UNTOLD: Final = """
SELECT from_revision, ptype, v0, v1, v2,
       CASE WHEN (origin = 'seed') <> is_seeds THEN 'is of origin ' || origin
            ELSE 'has more fields than a row of policy' END AS fault
FROM rules, LATERAL (
  -- A caller's own rights stand in domain system, and are no seed's.
  SELECT domain = '*' OR (domain = 'system' AND NOT (ptype = 'p' AND starts_with(v0, 'service:'))) AS is_seeds
) AS told
WHERE (origin = 'seed') <> is_seeds OR v4 <> '' OR v5 <> '' OR (ptype = 'g' AND v3 <> '')
ORDER BY from_revision, id LIMIT 1
"""
# Rows that began or ended where no entry says so, or of which an entry says so and they did not. ALL, as a row that an
# entry began once can be there twice: one ended, and one that goes on. An import names its rows by a digest only.
_RULES: Final = """
WITH held AS (
  SELECT from_revision, until_revision,
         CASE ptype WHEN 'g' THEN jsonb_build_array(ptype, v0, v1, v2) ELSE jsonb_build_array(ptype, v0, v1, v2, v3) END
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
_TOLD: Final = """
SELECT tables.name, rows.key, revision, rows.pair ->> 0 AS before, rows.pair ->> 1 AS after
FROM changes, jsonb_each(detail -> 'records') AS tables (name, keys), jsonb_each(tables.keys) AS rows (key, pair)
ORDER BY tables.name COLLATE "C", rows.key COLLATE "C", revision
"""
_SUMMED: Final = """
SELECT revision, detail ->> 'records_sha256' AS digest FROM changes WHERE detail ? 'records_sha256'
ORDER BY revision DESC LIMIT 1
"""
_HEAD: Final = "SELECT revision FROM policy_revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A row of which the log and the tables say different things."""

    revision: int
    words: str


async def stray(connection: Any) -> Stray | None:
    """The first that is found, in the table of rules, then in an import's rows, then in the directory."""
    return (
        await _untold(connection)
        or await _stray_rule(connection)
        or await _stray_import(connection)
        or await _stray_record(connection)
    )


async def _untold(connection: Any) -> Stray | None:
    found = await connection.fetchrow(_UNTOLD)
    if found is None:
        return None
    row = ", ".join((found["ptype"], found["v0"], found["v1"], found["v2"]))
    return Stray(revision=int(found["from_revision"]), words=f"the row '{row}' {found['fault']}, and no entry says so")


async def _stray_rule(connection: Any) -> Stray | None:
    found = await connection.fetchrow(_RULES)
    if found is None:
        return None
    row = ", ".join(json.loads(found["fields"]))
    words = (
        f"the row '{row}' {found['what']} and no entry says so"
        if found["is_done"]
        else f"an entry says that the row '{row}' {found['what']}, and it did not"
    )
    return Stray(revision=int(found["revision"]), words=words)


async def _stray_import(connection: Any) -> Stray | None:
    """An import of other rows than its entry says."""
    for found in await connection.fetch(_IMPORTED):
        digest = hashlib.sha256()
        async for ptype, *values in connection.cursor(_BEGAN, found["revision"], prefetch=5_000):
            digest.update(digested(ptype, values))
        if digest.hexdigest() != found["digest"]:
            words = "the rows that began with the import are not those of which its entry has the SHA-256"
            return Stray(revision=int(found["revision"]), words=words)
    return None


async def _stray_record(connection: Any) -> Stray | None:
    """A user, physician or invitation that is not as the entries left it.

    Each entry's digest before is the last entry's after, and the last one's after is that of the row as it stands. What
    was there before the first entry that names it is in the one digest over all that was there then.
    """
    base, total = await connection.fetchrow(_SUMMED), records.Sum()
    head = int(await connection.fetchval(_HEAD))
    async for (table, key), told, now in _side_by_side(connection):
        first = told[0]["before"] if told else now
        if first is not None:
            if base is None:
                return Stray(
                    revision=told[0]["revision"] if told else head,
                    words=f"{_row(table, key)} is there, and no entry says since when",
                )
            total.add(table, key, first)
        for earlier, later in pairwise(told):
            if earlier["after"] != later["before"]:
                return Stray(
                    revision=int(later["revision"]),
                    words=f"{_row(table, key)} was changed before this, and no entry says so",
                )
        if told and told[-1]["after"] != now:
            what = (
                "is gone"
                if now is None
                else "is there again"
                if told[-1]["after"] is None
                else "is not as the last entry left it"
            )
            return Stray(revision=int(told[-1]["revision"]), words=f"{_row(table, key)} {what}, and no entry says so")
    if base is not None and total.hexdigest() != base["digest"]:
        words = "users, physicians and invitations that were there are not those of which this entry has the SHA-256"
        return Stray(revision=int(base["revision"]), words=words)
    return None


async def _side_by_side(connection: Any) -> AsyncIterator[tuple[tuple[str, str], list[Any], str | None]]:
    """For every row that is there or was told of: its place, what the entries say, and its digest now."""
    standing, telling = records.every(connection), _told(connection)
    row, told = await anext(standing, None), await anext(telling, None)
    while places := [_place(found) for found in (row, told) if found is not None]:
        first = min(places)
        here, entries, digest = (*first[:1], first[1].decode()), list[Any](), None
        if row is not None and _place(row) == first:
            digest, row = row[2], await anext(standing, None)
        if told is not None and _place(told) == first:
            entries, told = told[2], await anext(telling, None)
        yield here, entries, digest


def _place(found: tuple[str, str, Any]) -> tuple[str, bytes]:
    """As the database sorts: byte by byte."""
    return found[0], found[1].encode()


async def _told(connection: Any) -> AsyncIterator[tuple[str, str, list[Any]]]:
    """What the entries say of each row, row by row."""
    place: tuple[str, str] | None = None
    entries: list[Any] = []
    async for record in connection.cursor(_TOLD, prefetch=5_000, timeout=None):
        at = (record["name"], record["key"])
        if at != place:
            if place is not None:
                yield *place, entries
            place, entries = at, []
        entries.append(record)
    if place is not None:
        yield *place, entries


def _row(table: str, key: str) -> str:
    return f"{table.removesuffix('s')} {key}"


def digested(ptype: str, values: Sequence[str]) -> bytes:
    """A row's part in the digest of an import's rows: its fields, of which a last one may be empty, as a line."""
    return (", ".join((ptype, *values[:3], *filter(None, values[3:]))) + "\n").encode()
