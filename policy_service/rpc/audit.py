"""AuditService: decode, read or review, encode."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from policy_service.audit import Interval, Reviews, compare, period
from policy_service.decide import Model
from policy_service.pb import audit_pb2 as pb
from policy_service.rpc import audit_values as values
from policy_service.rpc import review_values as reviews
from policy_service.rpc.cursors import Cursors
from policy_service.rpc.fields import Fields, invalid
from policy_service.store import BEGINNING, Place, Store, arrived, log_pages
from policy_service.store import audit as table
from policy_service.vocabulary import ForeignHistory, Held, Physician, User, digits, parse_physician, parse_user, short

Verify = Callable[[pb.VerifyLogRequest], AsyncGenerator[pb.VerifyLogResponse, None]]
Checkpoint = Callable[[int, bytes], Awaitable[str]]


class AuditService:
    """The questions of auditors, as functions from request and caller to response."""

    def __init__(
        self,
        store: Store,
        model: Model,
        cursors: Cursors,
        *,
        clock: Callable[[], datetime],
        verify: Verify,
        checkpoint: Checkpoint,
    ) -> None:
        """``verify`` walks the logs; ``checkpoint`` signs a revision with the hash of its entry."""
        self._store = store
        self._model = model
        self._reviews = Reviews(store, model, clock=clock)
        self._cursors = cursors
        self._verify = verify
        self._checkpoint = checkpoint

    async def list_changes(self, request: pb.ListChangesRequest, caller: str) -> pb.ListChangesResponse:  # noqa: ARG002
        """See AuditService.ListChanges in audit.proto."""
        wanted = values.parse_change_filter(request)
        size, question = values.parse_size(request, values.CHANGES), values.question_of(request)
        before = None
        if request.page_token:
            (place,) = await self._place(question, request.page_token)
            before = int(place)
        async with self._store.reading() as look:
            found = await log_pages.changes(look, wanted, before=before, size=size + 1)
        page = values.encode_changes(found[:size])
        token = self._token(look.held, question, [page[-1].revision]) if len(page) < len(found) else ""
        return pb.ListChangesResponse(changes=page, next_page_token=token)

    async def list_decisions(self, request: pb.ListDecisionsRequest, caller: str) -> pb.ListDecisionsResponse:  # noqa: ARG002
        """See AuditService.ListDecisions in audit.proto."""
        wanted = values.parse_decision_filter(request)
        if request.by_arrival:
            return await self._list_arrivals(request, wanted)
        if request.after:
            raise invalid("after", "after is a place in the order of arrival: set by_arrival too")
        size, question = values.parse_size(request, values.DECISIONS), values.question_of(request)
        before = None
        if request.page_token:
            at, replica, sequence = await self._place(question, request.page_token)
            before = datetime.fromisoformat(str(at)), str(replica), int(sequence)
        async with self._store.reading() as look:
            found = await log_pages.decisions(look, wanted, before=before, size=size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._token(look.held, question, [last.at.isoformat(), last.replica, last.sequence])
        return pb.ListDecisionsResponse(
            decisions=[values.encode_decision(decision) for decision in found[:size]], next_page_token=token
        )

    async def _list_arrivals(
        self, request: pb.ListDecisionsRequest, wanted: log_pages.DecisionFilter
    ) -> pb.ListDecisionsResponse:
        size = values.parse_size(request, values.DECISIONS)
        after = BEGINNING
        # The next page of a list that began behind ``after``.
        if token := request.page_token or request.after:
            field = "page_token" if request.page_token else "after"
            arrival, replica, first, sequence = self._cursors.read(values.BY_ARRIVAL, token, field)
            after = Place(arrival=int(arrival), replica=str(replica), first=int(first), sequence=int(sequence))
        async with self._store.reading() as look:
            found = await arrived(look, wanted, after=after, size=size)
        place = found.place
        cursor = self._cursors.write(values.BY_ARRIVAL, [place.arrival, place.replica, place.first, place.sequence])
        return pb.ListDecisionsResponse(
            decisions=[values.encode_decision(decision) for decision in found.decisions],
            next_page_token=cursor if found.more else "",
            cursor=cursor,
        )

    async def review_access(self, request: pb.ReviewAccessRequest, caller: str) -> pb.ReviewAccessResponse:  # noqa: ARG002
        """See AuditService.ReviewAccess in audit.proto."""
        subject = request.WhichOneof("subject")
        if subject is None:
            raise invalid("physician", "physician is empty, and user too: the review is of one of them")
        name = (parse_physician if subject == "physician" else parse_user)(getattr(request, subject))
        as_of, after = values.parse_point(request.as_of, "as_of"), ""
        await self._refuse_foreign(request.as_of, "as_of")
        size, question = values.parse_size(request, reviews.MEMBERS), values.question_of(request)
        if request.page_token:
            # All pages are of the first one's revision.
            revision, place = await self._place(question, request.page_token)
            as_of, after = int(revision), str(place)
        if subject == "physician":
            found = await self._reviews.of_account(
                Physician(name), as_of, after=User(after) if after else None, size=size
            )
        else:
            found = await self._reviews.of_user(User(name), as_of, after=Physician(after) if after else None, size=size)
        token = ""
        if found.more:
            last = found.access[-1]
            place = last.user if subject == "physician" else last.physician
            token = self._token(found.head.held, question, [found.point.revision, place])
        checkpoint = await self._checkpoint(found.head.revision, found.head.hash)
        return reviews.encode_review(found, checkpoint=checkpoint, next_page_token=token)

    async def review_period(self, request: pb.ReviewPeriodRequest, caller: str) -> pb.ReviewPeriodResponse:  # noqa: ARG002
        """See AuditService.ReviewPeriod in audit.proto."""
        asked = reviews.parse_period(request)
        size, question = values.parse_size(request, reviews.PEOPLE), values.question_of(request)
        after, until = "", asked.until
        if request.page_token:
            # All pages end with what was the last revision of the first.
            place, later = await self._place(question, request.page_token)
            after, until = str(place), int(later)
        found = await period(self._store, self._model, replace(asked, until=until), after=after, size=size)
        token = self._token(found.head, question, [found.next, found.later]) if found.next else ""
        return reviews.encode_period(found, next_page_token=token)

    async def diff_access(self, request: pb.DiffAccessRequest, caller: str) -> pb.DiffAccessResponse:  # noqa: ARG002
        """See AuditService.DiffAccess in audit.proto."""
        with Fields() as fields:
            earlier = fields.read(lambda point: values.parse_point(point, "earlier"), request.earlier)
            later = fields.read(lambda point: values.parse_point(point, "later"), request.later)
            physician = fields.read(parse_physician, request.physician) if request.physician else None
        await self._refuse_foreign(request.earlier, "earlier")
        await self._refuse_foreign(request.later, "later")
        size, question = values.parse_size(request, reviews.DIFFERENCES), values.question_of(request)
        after = None
        if request.page_token:
            one, other, place, user = await self._place(question, request.page_token)
            earlier, later, after = int(one), int(other), (Physician(str(place)), User(str(user)))
        async with self._store.reading() as look:
            one, other = (await table.point(look, earlier)).revision, (await table.point(look, later)).revision
        if one > other:
            raise invalid("earlier", f"earlier is revision {one}, which comes after the later one, {other}")
        asked = Interval(earlier=one, later=other, physician=physician)
        found = await compare(self._store, self._model, asked, after=after, size=size)
        return pb.DiffAccessResponse(
            earlier_revision=asked.earlier,
            later_revision=asked.later,
            differences=[reviews.encode_difference(difference) for difference in found.found],
            next_page_token=self._token(look.held, question, [one, other, *found.next]) if found.next else "",
        )

    def _token(self, held: Held, question: bytes, place: Sequence[str | int]) -> str:
        """A page token, which names the history that the page was read in."""
        return self._cursors.write(question, [held.revision, held.mark, *place])

    async def _place(self, question: bytes, token: str) -> list[str | int]:
        """Where the next page begins. Raises InvalidRequest, and ForeignHistory for a page of another history."""
        revision, mark, *place = self._cursors.read(question, token)
        async with self._store.reading() as look:
            if not await look.has_passed(Held(revision=int(revision), mark=str(mark))):
                raise ForeignHistory(revision=int(revision))
        return place

    async def _refuse_foreign(self, point: pb.Point, field: str) -> None:
        """Raise ForeignHistory for a revision of another history, and InvalidRequest for a history of no revision."""
        if not point.history:
            return
        name = digits(point.history)
        if name is None or not point.HasField("revision"):
            raise invalid(f"{field}.history", f"{field}.history goes with {field}.revision, beside which it stood")
        async with self._store.reading() as look:
            mark = await look.mark_at(point.revision)
        if mark is None or short(mark) != name:
            raise ForeignHistory(revision=point.revision)

    async def verify_log(self, request: pb.VerifyLogRequest, caller: str) -> AsyncIterator[pb.VerifyLogResponse]:  # noqa: ARG002
        """See AuditService.VerifyLog in audit.proto."""
        async with aclosing(self._verify(request)) as parts:
            async for part in parts:
                yield part
