"""What moved since a revision, in one look: where the policy stands now, and the rows that began or ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from policy_service.store.rules import row_of
from policy_service.vocabulary import Held, Row

# One statement sees one moment: no transaction is needed around it. The entry of the revision itself comes too, whose
# mark says whether what is known is of this history.
SINCE: Final = """
SELECT 'held' AS part, revision, mark, NULL AS ptype, NULL AS v0, NULL AS v1, NULL AS v2, NULL AS v3
FROM policy_revision
UNION ALL
SELECT 'mark', revision, mark, NULL, NULL, NULL, NULL, NULL FROM changes WHERE revision >= $1
UNION ALL
SELECT 'begun', NULL, NULL, ptype, v0, v1, v2, v3 FROM rules WHERE from_revision > $1 AND until_revision IS NULL
UNION ALL
SELECT 'ended', NULL, NULL, ptype, v0, v1, v2, v3 FROM rules WHERE until_revision > $1 AND from_revision <= $1
UNION ALL
SELECT 'tokens', NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE EXISTS (SELECT FROM caller_tokens WHERE changed_at_revision > $1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """From a point in the history to now."""

    held: Held
    marks: dict[int, UUID]
    """Of the revisions after the point."""
    goes_on: bool
    """Is the point in the history that led to now? If not, the rest means nothing."""
    ended: Sequence[Row]
    begun: Sequence[Row]
    tokens: bool
    """Was a caller's token made, shortened or ended?"""


async def since(connection: Any, point: Held) -> Motion:
    """What moved since a point."""
    records = await connection.fetch(SINCE, point.revision)
    held = next(record for record in records if record["part"] == "held")
    marks = {record["revision"]: record["mark"] for record in records if record["part"] == "mark"}
    return Motion(
        held=Held(revision=int(held["revision"]), mark=str(held["mark"])),
        goes_on=str(marks.pop(point.revision, "")) == point.mark and held["revision"] >= point.revision,
        marks=marks,
        ended=[row_of(record) for record in records if record["part"] == "ended"],
        tokens=any(record["part"] == "tokens" for record in records),
        begun=[row_of(record) for record in records if record["part"] == "begun"],
    )
