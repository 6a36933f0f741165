"""Both logs, newest first, page by page. Nothing here writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from policy_service.chain import Entry
from policy_service.store.log import entry_of
from policy_service.store.reading import Reading
from policy_service.vocabulary import (
    Channel,
    Physician,
    Reason,
    User,
)

_FIRST_PAGE: Final = 2**63 - 1

# A filter that is not set folds away when the statement is planned for its values; a plan made for all values would
# read whole logs.
_PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"

_CHANGES: Final = """
SELECT revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash
FROM changes
WHERE revision < $1
  AND ($2::text IS NULL OR physician = $2)
  AND ($3::text IS NULL OR users @> ARRAY[$3::text])
  AND ($4::text IS NULL OR actor = $4)
  AND ($5::text IS NULL OR kind = $5)
  AND ($6::timestamptz IS NULL OR at >= $6)
  AND ($7::timestamptz IS NULL OR at < $7)
ORDER BY revision DESC LIMIT $8
"""
# The first comparison with the place says the same as the second, in words by which days are left out.
_DECISIONS: Final = """
SELECT at, replica, sequence, caller, username, physician, action, channel, resource, correlation_id, allowed, reason,
       role, revision
FROM decisions
WHERE ($1::timestamptz IS NULL OR at <= $1 AND (at, replica, sequence) < ($1, $2::text, $3::bigint))
  AND ($4::text IS NULL OR username = $4)
  AND ($5::text IS NULL OR physician = $5)
  AND ($6::text IS NULL OR action = $6)
  AND ($7::text IS NULL OR caller = $7)
  AND ($8::text IS NULL OR replica = $8 AND sequence = $9::bigint)
  AND ($10::text IS NULL OR correlation_id = $10)
  AND ($11::boolean IS NULL OR allowed = $11)
  AND ($12::timestamptz IS NULL OR at >= $12)
  AND ($13::timestamptz IS NULL OR at < $13)
ORDER BY at DESC, replica DESC, sequence DESC LIMIT $14
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which entries of the change log: each filter that is set must match; ``since`` <= at < ``until``."""

    physician: Physician | None = None
    user: User | None = None
    actor: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedChange:
    """An entry of the change log, with the hash that is kept with it."""

    entry: Entry
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """Which decisions: each filter that is set must match; ``since`` <= at < ``until``."""

    user: User | None = None
    physician: Physician | None = None
    action: str | None = None
    caller: str | None = None
    decision: tuple[str, int] | None = None
    """A replica and its sequence."""
    correlation_id: str | None = None
    allowed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecision:
    """A decision as it was recorded."""

    at: datetime
    replica: str
    sequence: int
    caller: str
    user: str
    physician: str
    action: str
    channel: Channel
    resource: str
    correlation_id: str
    allowed: bool
    reason: Reason
    role: str
    revision: int


async def changes(look: Reading, wanted: ChangeFilter, *, before: int | None, size: int) -> list[LoggedChange]:
    """Entries of the change log, newest first, made before a revision."""
    await look.connection.execute(_PLAN_FOR_VALUES)
    records = await look.connection.fetch(
        _CHANGES,
        _FIRST_PAGE if before is None else before,
        wanted.physician,
        wanted.user,
        wanted.actor,
        wanted.kind,
        wanted.since,
        wanted.until,
        size,
    )
    return [LoggedChange(entry=entry_of(record), hash=record["hash"]) for record in records]


async def decisions(
    look: Reading, wanted: DecisionFilter, *, before: tuple[datetime, str, int] | None, size: int
) -> list[LoggedDecision]:
    """Recorded decisions, newest first, that stand before a place."""
    await look.connection.execute(_PLAN_FOR_VALUES)
    records = await look.connection.fetch(
        _DECISIONS,
        *(before or (None, None, None)),
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
    return [decision_of(record) for record in records]


def decision_of(record: Any) -> LoggedDecision:
    """A decision as the table has it."""
    return LoggedDecision(
        at=record["at"],
        replica=record["replica"],
        sequence=record["sequence"],
        caller=record["caller"],
        user=record["username"],
        physician=record["physician"],
        action=record["action"],
        channel=Channel(record["channel"]),
        resource=record["resource"],
        correlation_id=record["correlation_id"],
        allowed=record["allowed"],
        reason=Reason(record["reason"]),
        role=record["role"],
        revision=record["revision"],
    )
