"""What auditors read of a period: rows with the revisions in which they held, and when those were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_service.store.reading import Reading
from policy_service.store.rules import row_of
from policy_service.vocabulary import Physician, Row, domain_of, name_in

_BEFORE: Final = "SELECT revision FROM changes WHERE at <= $1 ORDER BY at DESC, revision DESC LIMIT 1"
_BEFORE_END: Final = "SELECT revision FROM changes WHERE at < $1 ORDER BY at DESC, revision DESC LIMIT 1"
_ROWS: Final = """
SELECT domain, ptype, v0, v1, v2, v3, from_revision, until_revision FROM rules
WHERE domain = ANY($1::text[]) AND from_revision <= $3 AND (until_revision IS NULL OR until_revision > $2)
  AND ($4::text IS NULL OR v0 = $4 OR v0 LIKE 'role:%')
ORDER BY domain
"""
_DOMAINS_OF_SUBJECT: Final = """
SELECT DISTINCT domain FROM rules
WHERE v0 = $1 AND from_revision <= $3 AND (until_revision IS NULL OR until_revision > $2)
  AND domain > $4 AND domain LIKE 'physician:%'
ORDER BY domain LIMIT $5
"""
_MODELS: Final = """
SELECT revision FROM changes
WHERE kind IN ('seed.install', 'model.install', 'policy.import') AND detail ? 'model'
  AND revision > $1 AND revision <= $2
"""
_TIMES: Final = "SELECT revision, at FROM changes WHERE revision = ANY($1::bigint[])"


@dataclass(frozen=True, slots=True)
class Ranged:
    """A row, and the revisions in which it held: from the first on, before the second."""

    row: Row
    begun: int
    ended: int | None

    def held_at(self, revision: int) -> bool:
        """Did it hold then?"""
        return self.begun <= revision and (self.ended is None or revision < self.ended)


async def revision_before(look: Reading, moment: datetime, *, at_it_too: bool) -> int:
    """The last revision made before a time, or at it too; 0 for none."""
    return int(await look.connection.fetchval(_BEFORE if at_it_too else _BEFORE_END, moment) or 0)


async def ranged(
    look: Reading, domains: Sequence[str], earlier: int, later: int, *, subject: str | None = None
) -> list[Ranged]:
    """The rows of some domains that held at any revision of a period; of a ``subject``, those that can reach it."""
    return [
        Ranged(row_of(record), record["from_revision"], record["until_revision"])
        for record in await look.connection.fetch(_ROWS, list(domains), earlier, later, subject)
    ]


async def physicians_of(
    look: Reading, subject: str, earlier: int, later: int, *, after: str, size: int
) -> list[Physician]:
    """The accounts, in byte order, in which a subject had a row at any revision of a period."""
    start = domain_of(Physician(after))
    records = await look.connection.fetch(_DOMAINS_OF_SUBJECT, subject, earlier, later, start, size)
    return [Physician(name_in(record["domain"])) for record in records]


async def models_between(look: Reading, earlier: int, later: int) -> list[int]:
    """The revisions of a period from which on another model read the rows."""
    return [int(record["revision"]) for record in await look.connection.fetch(_MODELS, earlier, later)]


async def times_of(look: Reading, revisions: Sequence[int]) -> dict[int, datetime]:
    """When revisions were made."""
    return dict(await look.connection.fetch(_TIMES, list(revisions)))
