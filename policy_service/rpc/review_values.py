"""The messages of reviews, periods and differences: read strictly, and written whole."""

from functools import partial
from typing import Final

from policy_service.audit import Access, CustomRole, Difference, Held, Judged, Period, Review, Span, Spans
from policy_service.pb import audit_pb2 as pb
from policy_service.rpc.audit_values import REASONS, parse_times
from policy_service.rpc.catalogue import encode_catalogue
from policy_service.rpc.fields import Fields, invalid
from policy_service.store import Pending
from policy_service.vocabulary import (
    name_of,
    parse_action,
    parse_physician,
    parse_user,
)

MEMBERS: Final = (200, 500)
DIFFERENCES: Final = (500, 1_000)
PEOPLE: Final = (200, 500)


def parse_period(request: pb.ReviewPeriodRequest) -> Period:
    """Read of what and when a period is; raises InvalidRequest."""
    subject = request.WhichOneof("subject")
    if subject is None:
        raise invalid("physician", "physician is empty, and user too: the period is of one of them")
    with Fields() as fields:
        since, until = parse_times(request, fields)
        found = Period(
            physician=fields.read(parse_physician, request.physician) if subject == "physician" else None,
            user=fields.read(parse_user, request.user) if subject == "user" else None,
            action=fields.read(partial(parse_action, field="action"), request.action) if request.action else None,
            since=since,
            until=until,
        )
    if since and until and since >= until:
        raise invalid("until", "until is not after since: nothing is between them")
    return found


def encode_period(found: Spans, *, next_page_token: str) -> pb.ReviewPeriodResponse:
    """A page of a period."""
    return pb.ReviewPeriodResponse(
        earlier_revision=found.earlier,
        later_revision=found.later,
        spans=[_span(span) for span in found.found],
        next_page_token=next_page_token,
    )


def _span(span: Span) -> pb.AccessSpan:
    begun, ended = span.begun, span.ended
    told = pb.AccessSpan(user=span.user, physician=span.physician, action=span.action)
    if begun:
        getattr(told, "from").FromDatetime(begun.at)
        told.from_revision = begun.revision
    if ended:
        told.until.FromDatetime(ended.at)
        told.until_revision = ended.revision
    return told


def encode_review(found: Review, *, checkpoint: str, next_page_token: str) -> pb.ReviewAccessResponse:
    """A page of a review."""
    return pb.ReviewAccessResponse(
        revision=found.point.revision,
        history=name_of(found.point.mark),
        at=found.point.at,
        hash=found.point.hash.hex(),
        checkpoint=checkpoint,
        display_name=found.display_name,
        access=[_access(access) for access in found.access],
        custom_roles=[_custom_role(role) for role in found.custom_roles],
        pending=[_pending(invitation) for invitation in found.pending],
        next_page_token=next_page_token,
        built_in_roles=found.built_in,
        catalogue=encode_catalogue(found.basis) if found.basis else (),
    )


def encode_difference(found: Difference) -> pb.AccessDifference:
    """One person's gains and losses."""
    return pb.AccessDifference(physician=found.physician, user=found.user, gained=found.gained, lost=found.lost)


def _access(found: Access) -> pb.ReviewedAccess:
    return pb.ReviewedAccess(
        user=found.user,
        physician=found.physician,
        roles=[_held(held) for held in found.roles],
        actions=[_judged(judged) for judged in found.actions],
    )


def _held(held: Held) -> pb.HeldRole:
    since = held.since
    return pb.HeldRole(
        role=held.role, since_revision=since.revision, since=since.at, granted_by=since.granted_by, kind=since.kind
    )


def _judged(judged: Judged) -> pb.ReviewedAction:
    outcome = judged.outcome
    return pb.ReviewedAction(
        action=judged.action,
        shown=outcome.allowed,
        reason=REASONS[outcome.reason],
        role=outcome.role or "",
        mobile=judged.mobile,
    )


def _custom_role(found: CustomRole) -> pb.ReviewedRole:
    return pb.ReviewedRole(
        role=found.role,
        allow=sorted(found.definition.allow),
        deny=sorted(found.definition.deny),
        includes=sorted(found.definition.includes),
        allowed=found.allowed,
        holders=found.holders,
    )


def _pending(found: Pending) -> pb.ReviewedInvitation:
    return pb.ReviewedInvitation(
        id=found.id,
        physician=found.physician,
        username=found.user,
        email=found.email,
        roles=found.roles,
        actions=found.actions,
        invited_by=found.invited_by,
        invited_at=found.invited_at,
        expires_at=found.expires_at,
    )
