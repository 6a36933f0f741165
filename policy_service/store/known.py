"""Domains' rows as they were last read: whoever reads one again reads what changed since, however large it is.

Nothing rests on memory alone. What is kept is of a revision that is in the log
under its mark, and what began or ended after it is read each time, by a writer
under the lock. Where the log has no such point, as after a restore, all is read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy_service.store.rules import row_of
from policy_service.vocabulary import Held, Row

_MOST_ROWS: Final = 100_000
"""Rows that are kept, of all domains together: the largest accounts that there may be fit in ten times."""
_NOWHERE: Final = "00000000-0000-0000-0000-000000000000"
# Each of the two has an index that begins with the domain, so the work grows with what changed.
_SINCE: Final = """
SELECT known.domain, changed.ptype, changed.v0, changed.v1, changed.v2, changed.v3, changed.holds,
       known.revision = 0
       OR EXISTS (SELECT FROM changes WHERE changes.revision = known.revision AND changes.mark = known.mark) AS stands
FROM unnest($1::text[], $2::bigint[], $3::uuid[]) AS known (domain, revision, mark)
LEFT JOIN LATERAL (
  SELECT ptype, v0, v1, v2, v3, true AS holds FROM rules
  WHERE rules.domain = known.domain AND until_revision IS NULL AND from_revision > known.revision
  UNION ALL
  SELECT ptype, v0, v1, v2, v3, false FROM rules
  WHERE rules.domain = known.domain AND until_revision > known.revision AND from_revision <= known.revision
) AS changed ON true
"""

Rows = frozenset[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    at: Held
    rows: Rows


_UNKNOWN: Final = _Kept(at=Held(revision=0, mark=_NOWHERE), rows=frozenset())


class KnownRows:
    """What one process has read, so much of it as there is room for; the longest unused goes first."""

    def __init__(self, most: int = _MOST_ROWS) -> None:
        """Nothing read yet."""
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    async def of(self, connection: Any, domains: Sequence[str], at: Held) -> list[Rows]:
        """The rows of some domains as they hold at a revision, which is the connection's now.

        Of a domain in which nothing changed since it was last read it is the very same set.
        """
        found, fallen = await self._read(connection, {domain: self._kept.get(domain, _UNKNOWN) for domain in domains})
        if fallen:
            again, _ = await self._read(connection, dict.fromkeys(fallen, _UNKNOWN))
            found |= again
        for domain, rows in found.items():
            self._keep(domain, _Kept(at=at, rows=rows))
        return [found[domain] for domain in domains]

    async def _read(self, connection: Any, known: dict[str, _Kept]) -> tuple[dict[str, Rows], set[str]]:
        """What holds now; and of which domains what is kept is of no point in this history."""
        points = [kept.at for kept in known.values()]
        records = await connection.fetch(
            _SINCE, list(known), [point.revision for point in points], [point.mark for point in points]
        )
        fallen = {record["domain"] for record in records if not record["stands"]}
        changed = [record for record in records if record["ptype"] is not None]
        found = dict[str, Rows]()
        for domain, kept in known.items():
            ended = {row_of(record) for record in changed if record["domain"] == domain and not record["holds"]}
            begun = {row_of(record) for record in changed if record["domain"] == domain and record["holds"]}
            found[domain] = (kept.rows - ended) | begun if ended or begun else kept.rows
        return found, fallen

    def _keep(self, domain: str, kept: _Kept) -> None:
        before = self._kept.pop(domain, None)
        self._size -= len(before.rows) if before else 0
        # Made-up names have no rows, and take no room.
        if kept.rows and kept.at.revision:
            self._kept[domain] = kept
            self._size += len(kept.rows)
        while self._size > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.rows)
