"""The client of auditors' tools: what was changed and decided, who could do what, whether the log is whole."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from policy_client import audit_calls as calls
from policy_client.audit_calls import Point
from policy_client.blocking import BlockingClient
from policy_client.calls import Call, Listing, as_it_is
from policy_client.channel import LIST_TIMEOUT, MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.errors import ProtocolError
from policy_client.reviews import (
    AccessDiff,
    AccessPeriod,
    AccessReview,
    Arrivals,
    Change,
    LoggedDecision,
    Progress,
    Verdict,
)

_PAGE = 1_000


class AuditClient(BlockingClient):
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
    ) -> Iterator[Change]:
        """Entries of the change log, newest first, page by page as they are used. Each filter given must match.

        ``user`` is whose access or invitation was changed, ``actor`` who did it.
        """
        first = calls.list_changes(
            physician=physician, user=user, actor=actor, kind=kind, since=since, until=until, page_size=page_size
        )
        return (calls.change_from(found) for page in self._pages(first, timeout) for found in page.changes)

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
    ) -> Iterator[LoggedDecision]:
        """Recorded decisions, newest first, page by page as they are used. Each filter given must match."""
        first = calls.list_decisions(
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
        return (calls.decision_from(found) for page in self._pages(first, timeout) for found in page.decisions)

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
    ) -> Iterator[Arrivals]:
        """Recorded decisions in the order of their arrival, page by page; the last page is the last for now.

        ``after`` is the cursor of a page had before, also long before: what a
        process brings late is not missed. Empty is the beginning. A page can
        be empty. Raises a PolicyError with reason FOREIGN_ARRIVAL for a place
        that is not in this log.
        """
        first = calls.list_decisions(
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
        return (calls.arrivals_from(page) for page in self._pages(first, timeout))

    def review_account(self, physician: str, *, at: Point = None, timeout: float | None = None) -> AccessReview:
        """Who could do what in an account. Raises NotFound for an account that was not there then."""
        return self._list(calls.review(physician=physician, at=at), timeout)

    def review_user(self, user: str, *, at: Point = None, timeout: float | None = None) -> AccessReview:
        """Everywhere that somebody could act. Raises NotFound for a name that never had access or an invitation."""
        return self._list(calls.review(user=user, at=at), timeout)

    def period(
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
        return self._list(calls.period(physician, user, action, since, until), timeout)

    def diff(
        self, earlier: Point, later: Point = None, *, physician: str = "", timeout: float | None = None
    ) -> AccessDiff:
        """Whose access is another at the later point; in one account or in all."""
        return self._list(calls.diff(earlier, later, physician), timeout)

    def verify(
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
        for part in self._stream(calls.verify(against), timeout):
            if isinstance(part, Verdict):
                return part
            if progress is not None:
                progress(part)
        raise ProtocolError("the log's walk ended without a verdict")

    def _pages(self, first: Call[Any], timeout: float | None) -> Iterator[Any]:
        """The pages of a list, each asked for when the one before is used up."""
        timeout = max(LIST_TIMEOUT, self._reach.timeout) if timeout is None else timeout
        listing = Listing(first, as_it_is)
        page = self._run(first, timeout)
        yield page
        while page.next_page_token:
            page = self._run(listing.page(page.next_page_token), timeout)
            yield page
