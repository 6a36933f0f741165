"""Reviews of access, periods and differences from the wire, whole from their pages."""

from collections.abc import Sequence

from policy_client._pb import audit_pb2 as pb
from policy_client.errors import ProtocolError
from policy_client.reviews import (
    AccessDiff,
    AccessDifference,
    AccessPeriod,
    AccessReview,
    AccessSpan,
    HeldRole,
    ReviewedAccess,
    ReviewedAction,
    ReviewedInvitation,
    ReviewedRole,
)
from policy_client.revisions import revision_of
from policy_client.wire.audit import moment
from policy_client.wire.decision import infos_from, reason_of


def review_from(pages: Sequence[pb.ReviewAccessResponse], *, physician: str = "", user: str = "") -> AccessReview:
    """A whole review. Raises ProtocolError if its pages are of several revisions."""
    first = pages[0]
    if len({page.revision for page in pages}) != 1:
        raise ProtocolError(f"the pages of one review are of several revisions: {[page.revision for page in pages]}")
    return AccessReview(
        physician=physician,
        user=user,
        display_name=first.display_name,
        revision=revision_of(first),
        at=moment(first.at),
        hash=first.hash,
        checkpoint=first.checkpoint,
        access=tuple(_access_from(access) for page in pages for access in page.access),
        # Each page has some.
        custom_roles=tuple(
            _role_from(role) for role in sorted((role for page in pages for role in page.custom_roles), key=_name_of)
        ),
        pending=tuple(_invitation_from(invitation) for invitation in first.pending),
        built_in_roles=tuple(first.built_in_roles),
        catalogue=infos_from(first.catalogue),
    )


def period_from(pages: Sequence[pb.ReviewPeriodResponse]) -> AccessPeriod:
    """A whole period."""
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
        begun=moment(getattr(span, "from")) if span.HasField("from") else None,
        begun_revision=span.from_revision or None,
        ended=moment(span.until) if span.HasField("until") else None,
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
                since=moment(held.since),
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
        invited_at=moment(found.invited_at),
        expires_at=moment(found.expires_at),
    )


def diff_from(pages: Sequence[pb.DiffAccessResponse]) -> AccessDiff:
    """A whole difference."""
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
