"""Points in history on the wire; changes, decisions and verdicts from it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from policy_client._pb import audit_pb2 as pb
from policy_client.reviews import (
    Arrivals,
    Change,
    LoggedDecision,
    Loss,
    Point,
    Progress,
    ReplicaLog,
    Verdict,
)
from policy_client.revisions import history_of
from policy_client.wire.decision import CHANNEL_OF, reason_of


def decisions_request(
    *,
    user: str,
    physician: str,
    action: str,
    caller: str,
    decision_id: str,
    correlation_id: str,
    allowed: bool | None,
    since: datetime | None,
    until: datetime | None,
    page_size: int,
    after: str | None = None,
) -> pb.ListDecisionsRequest:
    """The first page of recorded decisions; by arrival where ``after`` is a cursor, or empty."""
    outcomes = {None: pb.OUTCOME_FILTER_UNSPECIFIED, True: pb.OUTCOME_FILTER_ALLOWED, False: pb.OUTCOME_FILTER_DENIED}
    return pb.ListDecisionsRequest(
        user=user,
        physician=physician,
        action=action,
        caller=caller,
        decision_id=decision_id,
        correlation_id=correlation_id,
        outcome=outcomes[allowed],
        since=aware(since),
        until=aware(until),
        page_size=page_size,
        by_arrival=after is not None,
        after=after or "",
    )


def changes_from(page: pb.ListChangesResponse) -> Iterable[Change]:
    """The entries of a page, each read when it is used."""
    return map(change_from, page.changes)


def decisions_from(page: pb.ListDecisionsResponse) -> Iterable[LoggedDecision]:
    """The decisions of a page, each read when it is used."""
    return map(decision_from, page.decisions)


def change_from(found: pb.Change) -> Change:
    """An entry of the change log from the wire."""
    return Change(
        revision=found.revision,
        at=moment(found.at),
        caller=found.caller,
        actor=found.actor,
        reason=found.reason,
        kind=found.kind,
        physician=found.physician,
        before=tuple(tuple(row.fields) for row in found.before),
        after=tuple(tuple(row.fields) for row in found.after),
        detail=_detail(found.detail),
        mark=found.mark,
        previous_hash=found.previous_hash,
        hash=found.hash,
    )


def _detail(text: str) -> dict[str, object]:
    # An object, unless somebody wrote another value past the service: then that, for the entry to be seen.
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {"detail": found}


def decision_from(found: pb.LoggedDecision) -> LoggedDecision:
    """A recorded decision from the wire."""
    return LoggedDecision(
        decision_id=found.decision_id,
        replica=found.replica,
        sequence=found.sequence,
        at=moment(found.at),
        caller=found.caller,
        user=found.user,
        physician=found.physician,
        action=found.action,
        channel=CHANNEL_OF[found.channel],
        resource=found.resource,
        correlation_id=found.correlation_id,
        allowed=found.allowed,
        reason=reason_of(found.reason),
        role=found.role or None,
        revision=found.revision,
    )


def aware(moment: datetime | None) -> datetime | None:
    """The same time; raises ValueError where it does not say in which zone."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: as datetime(2026, 1, 31, tzinfo=UTC)")
    return moment


def point(of: Point) -> pb.Point | None:
    """A point in history on the wire; None is now."""
    if of is None:
        return None
    if isinstance(of, int):
        return pb.Point(revision=int(of), history=history_of(of))
    return pb.Point(at=aware(of))


def moment(stamp: Any) -> datetime:
    """A time from the wire."""
    return stamp.ToDatetime(UTC)  # type: ignore[no-any-return]


def part_from(part: pb.VerifyLogResponse) -> Progress | Verdict:
    """How far the walk is, or what it found."""
    if part.WhichOneof("part") == "progress":
        return Progress(done=part.progress.done, total=part.progress.total)
    return verdict_from(part.verdict)


def verdict_from(verdict: Any) -> Verdict:
    """The verdict on the logs from the wire."""
    return Verdict(
        whole=verdict.whole,
        entries=verdict.entries,
        broken_revision=verdict.broken_revision,
        fault=verdict.fault,
        head_revision=verdict.head_revision,
        head_hash=verdict.head_hash,
        checkpoint=verdict.checkpoint,
        checkpoints_met=verdict.checkpoints_met,
        replicas=tuple(_replica_from(replica) for replica in verdict.replicas),
        statement=verdict.statement,
        lost=verdict.lost,
        losses=tuple(_loss_from(loss) for loss in verdict.losses),
    )


def arrivals_from(response: Any) -> Arrivals:
    """A page of decisions in the order of their arrival, from the wire."""
    return Arrivals(
        decisions=tuple(decision_from(found) for found in response.decisions),
        cursor=response.cursor,
        more=bool(response.next_page_token),
    )


def _loss_from(found: Any) -> Loss:
    return Loss(
        replica=found.replica,
        caller=found.caller,
        lost=found.lost,
        first_at=moment(found.first_at) if found.HasField("first_at") else None,
        last_at=moment(found.last_at),
    )


def _replica_from(found: pb.ReplicaLog) -> ReplicaLog:
    return ReplicaLog(
        replica=found.replica,
        started_at=moment(found.started_at) if found.HasField("started_at") else None,
        ended_at=moment(found.ended_at) if found.HasField("ended_at") else None,
        decisions=found.decisions,
        first_sequence=found.first_sequence,
        last_sequence=found.last_sequence,
        counted_lost=found.counted_lost,
    )
