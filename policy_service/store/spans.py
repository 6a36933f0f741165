"""The policy between two revisions: which accounts changed, and their rows at both ends. Nothing here writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from policy_service.store.reading import Reading
from policy_service.store.rules import row_of
from policy_service.vocabulary import ANY, Physician, Row, domain_of, name_in

_CHANGED: Final = """
SELECT domain FROM (
  SELECT domain FROM rules WHERE from_revision > $1 AND from_revision <= $2
  UNION SELECT domain FROM rules WHERE until_revision > $1 AND until_revision <= $2
) AS changed
WHERE domain >= $3 AND domain LIKE 'physician:%'
ORDER BY domain LIMIT $4
"""
# Two walks, each along an index of its own.
_EVERY: Final = """
(SELECT DISTINCT domain FROM rules
 WHERE until_revision IS NULL AND domain >= $1 AND domain LIKE 'physician:%' ORDER BY domain LIMIT $2)
UNION
(SELECT DISTINCT domain FROM rules
 WHERE until_revision IS NOT NULL AND domain >= $1 AND domain LIKE 'physician:%' ORDER BY domain LIMIT $2)
ORDER BY domain LIMIT $2
"""
_ROWS: Final = """
SELECT domain, ptype, v0, v1, v2, v3,
       from_revision <= $1 AS is_earlier, until_revision IS NULL OR until_revision > $2 AS is_later
FROM rules
WHERE domain = ANY($3::text[]) AND from_revision <= $2 AND (until_revision IS NULL OR until_revision > $1)
ORDER BY domain
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One domain's rows at the earlier and at the later revision."""

    domain: str
    earlier: list[Row] = field(default_factory=list)
    later: list[Row] = field(default_factory=list)


async def changed_physicians(
    look: Reading, earlier: int, later: int, *, start: Physician, size: int
) -> list[Physician]:
    """The accounts with rows that began or ended between, in byte order, from one on."""
    records = await look.connection.fetch(_CHANGED, earlier, later, domain_of(start), size)
    return [Physician(name_in(record["domain"])) for record in records]


async def every_physician(look: Reading, *, start: Physician, size: int) -> list[Physician]:
    """The accounts that there ever were, in byte order, from one on."""
    return [
        Physician(name_in(record["domain"])) for record in await look.connection.fetch(_EVERY, domain_of(start), size)
    ]


async def spans(look: Reading, physicians: Sequence[Physician], earlier: int, later: int) -> list[Span]:
    """The rows of some accounts at both revisions, in byte order; an account without rows at either is left out."""
    domains = [domain_of(physician) for physician in physicians]
    return list(_spans(await look.connection.fetch(_ROWS, earlier, later, domains)))


async def built_in_span(look: Reading, earlier: int, later: int) -> Span:
    """The rules of all accounts at both revisions."""
    (found,) = _spans(await look.connection.fetch(_ROWS, earlier, later, [ANY]))
    return found


def _spans(records: list[Any]) -> Iterator[Span]:
    for domain, group in groupby(records, key=lambda record: record["domain"]):
        span = Span(domain=domain)
        for record in group:
            row = row_of(record)
            if record["is_earlier"]:
                span.earlier.append(row)
            if record["is_later"]:
                span.later.append(row)
        if span.earlier or span.later:
            yield span
