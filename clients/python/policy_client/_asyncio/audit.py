"""Generated from services/audit.py by generate.py; do not edit."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Final

from policy_client._pb import audit_pb2 as pb
from policy_client.asynchronous import AsyncioClient
from policy_client.channel import MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.errors import ProtocolError
from policy_client.reviews import (
    AccessDiff,
    AccessPeriod,
    AccessReview,
    Arrivals,
    Change,
    LoggedDecision,
    Point,
    Progress,
    Verdict,
)
from policy_client.wire import audit as wire
from policy_client.wire import reviews

_PAGE: Final = 1_000
_REVIEWED: Final = 500
"""People on a page of a review, who come with all their actions."""


class AsyncAuditClient(AsyncioClient):
    """Asks AuditService on the management plane. Every method raises a PolicyError if there is no answer.

    Times must say in which zone they are. Where a point in history is asked
    for, a number is a revision, a time the last revision made at or before
    it, and None is now. ``timeout`` is for each page.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    def changes(
        self,
        *,
        physician: str = "",
        user: str = "",
        actor: str = "",
        kind: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = _PAGE,
        timeout: float | None = None,
    ) -> AsyncIterator[Change]:
        """Entries of the change log, newest first, page by page as they are used. Each filter given must match.

        ``user`` is whose access or invitation was changed, ``actor`` who did it.
        """
        request = pb.ListChangesRequest(
            physician=physician,
            user=user,
            actor=actor,
            kind=kind,
            since=wire.aware(since),
            until=wire.aware(until),
            page_size=page_size,
        )
        return self._items(request, wire.changes_from, timeout)

    def decisions(
        self,
        *,
        user: str = "",
        physician: str = "",
        action: str = "",
        caller: str = "",
        decision_id: str = "",
        correlation_id: str = "",
        allowed: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = _PAGE,
        timeout: float | None = None,
    ) -> AsyncIterator[LoggedDecision]:
        """Recorded decisions, newest first, page by page as they are used. Each filter given must match."""
        request = wire.decisions_request(
            user=user,
            physician=physician,
            action=action,
            caller=caller,
            decision_id=decision_id,
            correlation_id=correlation_id,
            allowed=allowed,
            since=since,
            until=until,
            page_size=page_size,
        )
        return self._items(request, wire.decisions_from, timeout)

    def arrivals(
        self,
        after: str = "",
        *,
        user: str = "",
        physician: str = "",
        action: str = "",
        caller: str = "",
        decision_id: str = "",
        correlation_id: str = "",
        allowed: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = _PAGE,
        timeout: float | None = None,
    ) -> AsyncIterator[Arrivals]:
        """Recorded decisions in the order of their arrival, page by page; the last page is the last for now.

        ``after`` is the cursor of a page had before, also long before: what a
        process brings late is not missed. Empty is the beginning. A page can
        be empty. Raises a PolicyError with reason FOREIGN_ARRIVAL for a place
        that is not in this log.
        """
        request = wire.decisions_request(
            user=user,
            physician=physician,
            action=action,
            caller=caller,
            decision_id=decision_id,
            correlation_id=correlation_id,
            allowed=allowed,
            since=since,
            until=until,
            page_size=page_size,
            after=after,
        )
        return self._items(request, lambda page: [wire.arrivals_from(page)], timeout)

    async def review_account(self, physician: str, *, at: Point = None, timeout: float | None = None) -> AccessReview:
        """Who could do what in an account. Raises NotFound for an account that was not there then."""
        request = pb.ReviewAccessRequest(physician=physician, as_of=wire.point(at), page_size=_REVIEWED)
        return await self._list(request, lambda pages: reviews.review_from(pages, physician=physician), timeout)

    async def review_user(self, user: str, *, at: Point = None, timeout: float | None = None) -> AccessReview:
        """Everywhere that somebody could act. Raises NotFound for a name that never had access or an invitation."""
        request = pb.ReviewAccessRequest(user=user, as_of=wire.point(at), page_size=_REVIEWED)
        return await self._list(request, lambda pages: reviews.review_from(pages, user=user), timeout)

    async def period(
        self,
        *,
        physician: str = "",
        user: str = "",
        action: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float | None = None,
    ) -> AccessPeriod:
        """Who could do what at any time from ``since`` on and before ``until``, and when.

        Of one account or of one user: raises ValueError unless it is one of them.
        """
        if bool(physician) == bool(user):
            raise ValueError("a period is of one account or of one user")
        request = pb.ReviewPeriodRequest(
            physician=physician or None,
            user=user or None,
            action=action,
            since=wire.aware(since),
            until=wire.aware(until),
            page_size=_REVIEWED,
        )
        return await self._list(request, reviews.period_from, timeout)

    async def diff(
        self, earlier: Point, later: Point = None, *, physician: str = "", timeout: float | None = None
    ) -> AccessDiff:
        """Whose access is another at the later point; in one account or in all."""
        request = pb.DiffAccessRequest(
            earlier=wire.point(earlier), later=wire.point(later), physician=physician, page_size=_PAGE
        )
        return await self._list(request, reviews.diff_from, timeout)

    async def verify(
        self,
        against: Iterable[str] = (),
        *,
        progress: Callable[[Progress], None] | None = None,
        timeout: float | None = None,
    ) -> Verdict:
        """Walk the log; a broken one is an answer. ``against`` are checkpoints kept elsewhere, as they were written.

        ``progress`` is called now and then. There is no limit of time unless
        one is given: a long log takes a while.
        """
        verdict: Verdict | None = None
        async for part in self._stream(pb.VerifyLogRequest(against=list(against)), wire.part_from, timeout):
            if isinstance(part, Verdict):
                verdict = part
            elif progress is not None:
                progress(part)
        if verdict is None:
            raise ProtocolError("the log's walk ended without a verdict")
        return verdict
