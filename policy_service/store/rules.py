"""The table of rules: what holds, what held, what changed."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

from policy_service.vocabulary import Held, Origin, Row, ptype_of

Rows = list[tuple[Row, Origin]]

_HELD = "SELECT revision, mark FROM policy_revision"
_MARK = "SELECT mark FROM changes WHERE revision = $1"

_MARKS = "SELECT revision, mark FROM changes WHERE revision > $1 AND revision <= $2"

_AT = """
SELECT ptype, v0, v1, v2, v3, origin FROM rules
WHERE from_revision <= $1 AND (until_revision IS NULL OR until_revision > $1) AND ($2::text IS NULL OR domain = $2)
ORDER BY domain, ptype, v0, v1, v2, v3
"""

_CURRENT = """
SELECT domain, ptype, v0, v1, v2, v3 FROM rules
WHERE until_revision IS NULL
ORDER BY domain, ptype, v0, v1, v2, v3
"""

_CURRENT_OF = """
SELECT ptype, v0, v1, v2, v3 FROM rules
WHERE until_revision IS NULL AND domain = ANY($1::text[])
ORDER BY domain, ptype, v0, v1, v2, v3
"""

_FIRST_ACTIONS = """
SELECT ptype, v0, v1, v2, v3 FROM rules
WHERE ptype = 'a' AND from_revision = (SELECT min(from_revision) FROM rules WHERE ptype = 'a')
"""

# The kinds that name a model: see seeds.py.
_MODEL = """
SELECT detail ->> 'model' FROM changes
WHERE kind IN ('seed.install', 'model.install', 'policy.import') AND detail ? 'model' AND revision <= $1
ORDER BY revision DESC LIMIT 1
"""

_INSERT = """
INSERT INTO rules (ptype, v0, v1, v2, v3, origin, from_revision)
SELECT ptype, v0, v1, v2, v3, $6, $7
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS begun (ptype, v0, v1, v2, v3)
"""

_END = """
UPDATE rules SET until_revision = $7
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS ended (ptype, v0, v1, v2, v3)
WHERE until_revision IS NULL AND rules.ptype = ended.ptype AND rules.v0 = ended.v0 AND rules.v1 = ended.v1
  AND rules.v2 = ended.v2 AND rules.v3 = ended.v3 AND origin = $6
RETURNING id
"""


def row_of(record: Any) -> Row:
    """A row from ``ptype, v0 … v3``."""
    if record["ptype"] == "g":
        return Row(ptype="g", values=(record["v0"], record["v1"], record["v2"]))
    return Row(ptype=ptype_of(record["ptype"]), values=(record["v0"], record["v1"], record["v2"], record["v3"]))


def _columns(row: Row) -> tuple[str, ...]:
    return (row.ptype, *row.values, *[""] * (4 - len(row.values)))


async def held(connection: Any) -> Held:
    """The revision that holds now."""
    record = await connection.fetchrow(_HELD)
    return Held(revision=int(record["revision"]), mark=str(record["mark"]))


async def has_passed(connection: Any, point: Held) -> bool:
    """Is this point in the history that led to now?"""
    return await mark_at(connection, point.revision) == point.mark


async def mark_at(connection: Any, revision: int) -> str | None:
    """The mark of a revision, if there was such a change."""
    found = await connection.fetchval(_MARK, revision)
    return None if found is None else str(found)


async def marks(connection: Any, after: int, until: int) -> dict[int, UUID]:
    """The marks of the revisions after one, up to another."""
    return dict(await connection.fetch(_MARKS, after, until))


async def at(connection: Any, wanted: int, domain: str | None) -> Rows:
    """The rows that held at a revision, in Casbin's order of domain, type and values."""
    return [(row_of(r), Origin(r["origin"])) for r in await connection.fetch(_AT, wanted, domain)]


async def model_at(connection: Any, revision: int) -> str | None:
    """The text of the model that read the rows at a revision, if it was recorded."""
    found = await connection.fetchval(_MODEL, revision)
    return None if found is None else str(found)


async def current_of(connection: Any, domains: Sequence[str]) -> list[Row]:
    """The rows of some domains that hold now."""
    return [row_of(record) for record in await connection.fetch(_CURRENT_OF, list(domains))]


async def first_actions(connection: Any) -> list[Row]:
    """The actions that were told of first."""
    return [row_of(record) for record in await connection.fetch(_FIRST_ACTIONS)]


async def stream_current(connection: Any) -> AsyncIterator[tuple[str, str, str, str, str, str]]:
    """All rows that hold now as (domain, ptype, v0 … v3), domain by domain; inside a transaction."""
    async for record in connection.cursor(_CURRENT, prefetch=20_000, timeout=None):
        yield record


async def write(connection: Any, at_revision: int, ended: Iterable[Row], begun: Iterable[Row], origin: Origin) -> None:
    """End and begin rows at a revision.

    Raises LookupError if a row to end does not hold, and the driver's unique
    violation if a row to begin holds already: callers look first, under the lock.
    """
    # One statement each: whoever waits for the lock does not wait for as many answers as there are rows.
    wanted = [_columns(row) for row in ended]
    if wanted:
        found = await connection.fetch(
            _END, *(list(column) for column in zip(*wanted, strict=True)), origin, at_revision
        )
        if len(found) != len(wanted):
            raise LookupError(f"{len(wanted) - len(found)} of the rows to end do not hold")
    wanted = [_columns(row) for row in begun]
    if wanted:
        await connection.execute(_INSERT, *(list(column) for column in zip(*wanted, strict=True)), origin, at_revision)
