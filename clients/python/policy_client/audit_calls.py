"""What each method of AuditService sends and how its reply is read; see ``calls``."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from policy_client._pb import audit_pb2 as pb
from policy_client.answers import CHANNEL_OF, reason_of
from policy_client.calls import Call, Listing, as_it_is
from policy_client.errors import ProtocolError
from policy_client.reviews import (
    AccessDiff,
    AccessDifference,
    AccessPeriod,
    AccessReview,
    AccessSpan,
    Arrivals,
    Change,
    HeldRole,
    LoggedDecision,
    Loss,
    Progress,
    ReplicaLog,
    ReviewedAccess,
    ReviewedAction,
    ReviewedInvitation,
    ReviewedRole,
    Verdict,
)
from policy_client.revisions import history_of, revision_of

Point = int | datetime | None
"""A revision, or the last one made at or before a time, or now."""


def list_changes(
    *, physician: str, user: str, actor: str, kind: str, since: datetime | None, until: datetime | None, page_size: int
) -> Call[Any]:
    """AuditService.ListChanges, the first page."""
    request = pb.ListChangesRequest(
        physician=physician,
        user=user,
        actor=actor,
        kind=kind,
        since=_aware(since),
        until=_aware(until),
        page_size=page_size,
    )
    return Call(_path("ListChanges"), request, pb.ListChangesResponse, as_it_is)


def list_decisions(
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
) -> Call[Any]:
    """AuditService.ListDecisions, the first page; by arrival where ``after`` is a cursor, or empty."""
    outcomes = {None: pb.OUTCOME_FILTER_UNSPECIFIED, True: pb.OUTCOME_FILTER_ALLOWED, False: pb.OUTCOME_FILTER_DENIED}
    request = pb.ListDecisionsRequest(
        user=user,
        physician=physician,
        action=action,
        caller=caller,
        decision_id=decision_id,
        correlation_id=correlation_id,
        outcome=outcomes[allowed],
        since=_aware(since),
        until=_aware(until),
        page_size=page_size,
        by_arrival=after is not None,
        after=after or "",
    )
    return Call(_path("ListDecisions"), request, pb.ListDecisionsResponse, as_it_is)


def review(*, physician: str = "", user: str = "", at: Point) -> Listing[AccessReview]:
    """AuditService.ReviewAccess, of an account or of a user."""
    request = pb.ReviewAccessRequest(as_of=_point(at), page_size=500)
    if physician:
        request.physician = physician
    else:
        request.user = user
    first = Call(_path("ReviewAccess"), request, pb.ReviewAccessResponse, as_it_is)
    return Listing(first, lambda pages: _review_from(pages, physician, user))


def period(
    physician: str, user: str, action: str, since: datetime | None, until: datetime | None
) -> Listing[AccessPeriod]:
    """AuditService.ReviewPeriod, of an account or of a user."""
    if bool(physician) == bool(user):
        raise ValueError("a period is of one account or of one user")
    subject = {"physician": physician} if physician else {"user": user}
    request = pb.ReviewPeriodRequest(action=action, since=_aware(since), until=_aware(until), page_size=500, **subject)
    first = Call(_path("ReviewPeriod"), request, pb.ReviewPeriodResponse, as_it_is)
    return Listing(first, _period_from)


def diff(earlier: Point, later: Point, physician: str) -> Listing[AccessDiff]:
    """AuditService.DiffAccess."""
    request = pb.DiffAccessRequest(earlier=_point(earlier), later=_point(later), physician=physician, page_size=1_000)
    first = Call(_path("DiffAccess"), request, pb.DiffAccessResponse, as_it_is)
    return Listing(first, _diff_from)


def verify(against: Iterable[str]) -> Call[Progress | Verdict]:
    """AuditService.VerifyLog: a stream of progress that ends with the verdict."""
    request = pb.VerifyLogRequest(against=list(against))
    return Call(_path("VerifyLog"), request, pb.VerifyLogResponse, _part_from)


def change_from(found: pb.Change) -> Change:
    """An entry of the change log from the wire."""
    return Change(
        revision=found.revision,
        at=_moment(found.at),
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
        at=_moment(found.at),
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


def _path(method: str) -> str:
    return f"/policy.v1.AuditService/{method}"


def _aware(moment: datetime | None) -> datetime | None:
    """The same time; raises ValueError where it does not say in which zone."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: as datetime(2026, 1, 31, tzinfo=UTC)")
    return moment


def _point(point: Point) -> pb.Point | None:
    if point is None:
        return None
    if isinstance(point, int):
        return pb.Point(revision=int(point), history=history_of(point))
    return pb.Point(at=_aware(point))


def _moment(stamp: Any) -> datetime:
    return stamp.ToDatetime(UTC)  # type: ignore[no-any-return]


def _review_from(pages: Sequence[pb.ReviewAccessResponse], physician: str, user: str) -> AccessReview:
    """A whole review. Raises ProtocolError if its pages are of several revisions."""
    first = pages[0]
    if len({page.revision for page in pages}) != 1:
        raise ProtocolError(f"the pages of one review are of several revisions: {[page.revision for page in pages]}")
    return AccessReview(
        physician=physician,
        user=user,
        display_name=first.display_name,
        revision=revision_of(first),
        at=_moment(first.at),
        hash=first.hash,
        checkpoint=first.checkpoint,
        access=tuple(_access_from(access) for page in pages for access in page.access),
        # Each page has some.
        custom_roles=tuple(
            _role_from(role) for role in sorted((role for page in pages for role in page.custom_roles), key=_name_of)
        ),
        pending=tuple(_invitation_from(invitation) for invitation in first.pending),
        built_in_roles=tuple(first.built_in_roles),
    )


def _period_from(pages: Sequence[pb.ReviewPeriodResponse]) -> AccessPeriod:
    return AccessPeriod(
        spans=tuple(_span_from(span) for page in pages for span in page.spans),
        earlier_revision=pages[0].earlier_revision,
        later_revision=pages[0].later_revision,
    )


def _span_from(span: pb.AccessSpan) -> AccessSpan:
    return AccessSpan(
        user=span.user,
        physician=span.physician,
        action=span.action,
        begun=_moment(getattr(span, "from")) if span.HasField("from") else None,
        begun_revision=span.from_revision or None,
        ended=_moment(span.until) if span.HasField("until") else None,
        ended_revision=span.until_revision or None,
    )


def _name_of(role: pb.ReviewedRole) -> str:
    return role.role


def _role_from(role: pb.ReviewedRole) -> ReviewedRole:
    return ReviewedRole(
        role=role.role,
        allow=tuple(role.allow),
        deny=tuple(role.deny),
        includes=tuple(role.includes),
        allowed=tuple(role.allowed),
        holders=tuple(role.holders),
    )


def _access_from(access: pb.ReviewedAccess) -> ReviewedAccess:
    return ReviewedAccess(
        user=access.user,
        physician=access.physician,
        roles=tuple(
            HeldRole(
                role=held.role,
                since_revision=held.since_revision,
                since=_moment(held.since),
                granted_by=held.granted_by,
                kind=held.kind,
            )
            for held in access.roles
        ),
        actions=tuple(
            ReviewedAction(
                action=found.action,
                shown=found.shown,
                reason=reason_of(found.reason),
                role=found.role or None,
                mobile=found.mobile,
            )
            for found in access.actions
        ),
    )


def _invitation_from(found: pb.ReviewedInvitation) -> ReviewedInvitation:
    return ReviewedInvitation(
        id=found.id,
        physician=found.physician,
        username=found.username,
        email=found.email,
        roles=tuple(found.roles),
        actions=tuple(found.actions),
        invited_by=found.invited_by,
        invited_at=_moment(found.invited_at),
        expires_at=_moment(found.expires_at),
    )


def _diff_from(pages: Sequence[pb.DiffAccessResponse]) -> AccessDiff:
    return AccessDiff(
        earlier_revision=pages[0].earlier_revision,
        later_revision=pages[0].later_revision,
        differences=tuple(
            AccessDifference(
                physician=found.physician, user=found.user, gained=tuple(found.gained), lost=tuple(found.lost)
            )
            for page in pages
            for found in page.differences
        ),
    )


def _part_from(part: pb.VerifyLogResponse) -> Progress | Verdict:
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
        first_at=_moment(found.first_at) if found.HasField("first_at") else None,
        last_at=_moment(found.last_at),
    )


def _replica_from(found: pb.ReplicaLog) -> ReplicaLog:
    return ReplicaLog(
        replica=found.replica,
        started_at=_moment(found.started_at) if found.HasField("started_at") else None,
        ended_at=_moment(found.ended_at) if found.HasField("ended_at") else None,
        decisions=found.decisions,
        first_sequence=found.first_sequence,
        last_sequence=found.last_sequence,
        counted_lost=found.counted_lost,
    )
