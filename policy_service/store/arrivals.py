"""Recorded decisions in the order in which they arrived: whoever reads on from a place misses nothing.

Arrivals are numbered under a lock that is held to the commit, so whoever sees
one sees all before it; and what one process and day brought at once is one
arrival, of which the rows lie in one day's table. Nothing here writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any, Final

from policy_service.store.errors import ForeignArrival
from policy_service.store.log_pages import DecisionFilter, LoggedDecision, decision_of
from policy_service.store.reading import Reading

_MOST_ARRIVALS: Final = 500
_MOST_LOOKED_AT: Final = 20_000
"""Decisions that one page looks at, if not one arrival alone has more."""

# A filter that is not set folds away when the statement is planned for its values.
_PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"
_ARRIVALS: Final = """
SELECT arrival, replica, day, first_sequence, last_sequence, decisions FROM decision_arrivals
WHERE arrival >= $1 ORDER BY arrival LIMIT $2
"""
# The comparison with the day leaves out all other days' tables.
_DECISIONS: Final = """
SELECT came.arrival, came.first, decisions.at, decisions.replica, sequence, caller, username, physician, action,
       channel, resource, correlation_id, allowed, reason, role, revision
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS came (arrival, replica, first, last)
JOIN decisions ON decisions.replica = came.replica COLLATE "C" AND sequence BETWEEN came.first AND came.last
WHERE at >= $5 AND at < $6 AND (came.arrival, sequence) > ($7, $8)
  AND ($9::text IS NULL OR username = $9)
  AND ($10::text IS NULL OR physician = $10)
  AND ($11::text IS NULL OR action = $11)
  AND ($12::text IS NULL OR caller = $12)
  AND ($13::text IS NULL OR decisions.replica = $13 AND sequence = $14::bigint)
  AND ($15::text IS NULL OR correlation_id = $15)
  AND ($16::boolean IS NULL OR allowed = $16)
  AND ($17::timestamptz IS NULL OR at >= $17)
  AND ($18::timestamptz IS NULL OR at < $18)
ORDER BY came.arrival, sequence LIMIT $19
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Behind a decision of an arrival. What the arrival brought tells it from one of the same number elsewhere."""

    arrival: int
    replica: str
    first: int
    sequence: int


BEGINNING: Final = Place(arrival=0, replica="", first=0, sequence=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Decisions, the place behind all that was looked at, and whether there is more."""

    decisions: tuple[LoggedDecision, ...]
    place: Place
    more: bool


async def arrived(look: Reading, wanted: DecisionFilter, *, after: Place, size: int) -> Arrived:
    """Decisions behind a place, as many as ``size`` or fewer. Raises ForeignArrival."""
    await look.connection.execute(_PLAN_FOR_VALUES)
    found = list(await look.connection.fetch(_ARRIVALS, after.arrival, _MOST_ARRIVALS + 1))
    _check_place(after, found[0] if found else None)
    taken = found[: _count_to_look_at(found)]
    decisions, place = list[LoggedDecision](), after
    # Arrivals of one day at a time: a page of them lies in one table, or in few.
    for day, its in groupby(taken, lambda record: record["day"]):
        group = list(its)
        rows = await _of_day(look, wanted, day, group, after, size - len(decisions))
        decisions += [decision_of(row) for row in rows]
        if len(decisions) == size:
            last = rows[-1]
            place = Place(
                arrival=last["arrival"], replica=last["replica"], first=last["first"], sequence=last["sequence"]
            )
            return Arrived(decisions=tuple(decisions), place=place, more=True)
        place = _behind(group[-1])
    return Arrived(decisions=tuple(decisions), place=place, more=len(taken) < len(found))


def _check_place(after: Place, first: Any) -> None:
    """Raises ForeignArrival for a place that is not in this log."""
    if after == BEGINNING:
        return
    if (
        first is None
        or (first["arrival"], first["replica"], first["first_sequence"]) != (after.arrival, after.replica, after.first)
        or not first["first_sequence"] <= after.sequence <= first["last_sequence"]
    ):
        raise ForeignArrival(arrival=after.arrival)


async def _of_day(
    look: Reading, wanted: DecisionFilter, day: Any, group: Sequence[Any], after: Place, size: int
) -> list[Any]:
    begin = datetime.combine(day, time(), UTC)
    return list(
        await look.connection.fetch(
            _DECISIONS,
            [record["arrival"] for record in group],
            [record["replica"] for record in group],
            [record["first_sequence"] for record in group],
            [record["last_sequence"] for record in group],
            begin,
            begin + timedelta(days=1),
            after.arrival,
            after.sequence,
            wanted.user,
            wanted.physician,
            wanted.action,
            wanted.caller,
            *(wanted.decision or (None, None)),
            wanted.correlation_id,
            wanted.allowed,
            wanted.since,
            wanted.until,
            size,
        )
    )


def _count_to_look_at(found: Sequence[Any]) -> int:
    looked = 0
    for number, record in enumerate(found[:_MOST_ARRIVALS], start=1):
        looked += record["decisions"]
        if looked >= _MOST_LOOKED_AT:
            return number
    return min(len(found), _MOST_ARRIVALS)


def _behind(record: Any) -> Place:
    return Place(
        arrival=record["arrival"],
        replica=record["replica"],
        first=record["first_sequence"],
        sequence=record["last_sequence"],
    )
