"""Who could do what at any time in a period, and from when to when.

Between two changes of an account's rows, of the rules of all accounts or of the
model nothing changes: Casbin decides each such stretch once for each shape, in a
thread of its own. What would take too long is refused before it is begun.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from itertools import groupby
from typing import Final

from policy_service.audit.errors import PeriodTooLong
from policy_service.audit.past import model_at
from policy_service.decide import Account, Basis, Model, Shapes, UnknownAction, UnknownPhysician, shapes_of
from policy_service.members import UnknownUser
from policy_service.store import Ranged, Store, periods, rules
from policy_service.store import audit as table
from policy_service.vocabulary import ANY, Action, Held, Physician, User, domain_of, in_order, name_in, subject_of_user

_MOST_ROWS: Final = 1_000_000
"""Rows looked at for one page, at all of its changes together: some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What is asked: of one account or of one user, of one action or of all, from a time on and before another.

    ``until`` as a number is the last revision that counts.
    """

    physician: Physician | None = None
    user: User | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A change at which something began or ended."""

    revision: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when somebody could do something; None where that is the period's own beginning or end."""

    user: User
    physician: Physician
    action: Action
    begun: Edge | None
    ended: Edge | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """A page: whole people, or accounts; ``next`` is the last of them where more follow."""

    earlier: int
    later: int
    found: tuple[Span, ...]
    next: str
    head: Held


async def period(store: Store, today: Model, asked: Period, *, after: str, size: int) -> Spans:
    """A page of who could, after somebody, or after an account.

    Raises UnknownPhysician for an account that was not there in the period,
    UnknownUser for a name that never was anybody's, and PeriodTooLong.
    """
    subject = subject_of_user(asked.user) if asked.user else None
    async with store.reading() as look:
        earlier = await periods.revision_before(look, asked.since, at_it_too=True) if asked.since else 0
        if isinstance(asked.until, datetime):
            later = await periods.revision_before(look, asked.until, at_it_too=False)
        else:
            later = look.revision if asked.until is None else asked.until
        if asked.user and not await table.is_known(look, asked.user):
            raise UnknownUser(user=asked.user)
        if asked.physician:
            places = [asked.physician]
        else:
            assert subject is not None  # noqa: S101 - it is of one or of the other.
            places = await periods.physicians_of(look, subject, earlier, later, after=after, size=size + 1)
        domains = [domain_of(place) for place in places[:size]]
        rows = await periods.ranged(look, domains, earlier, later, subject=subject)
        if asked.physician and not rows:
            raise UnknownPhysician(physician=asked.physician, at_revision=later)
        built_in = await periods.ranged(look, [ANY], earlier, later)
        begin = min((one.begun for one in built_in if one.row.ptype == "a"), default=later + 1)
        if begin > earlier:
            # Until they were told, the actions were the release's own: those that were told first.
            built_in += [Ranged(row, 0, begin) for row in await rules.first_actions(look.connection)]
        turns = [earlier, *await periods.models_between(look, earlier, later)]
        models = {turn: await model_at(look, max(turn, 1), today) for turn in turns}
        times = await periods.times_of(look, sorted(_edges([*rows, *built_in], earlier, later) | {*turns}))
        head = look.held

    def decide() -> Spans:
        walk = _Walk(models, built_in, times, earlier=earlier, later=later)
        found = list[Span]()
        for domain, group in groupby(rows, key=lambda one: one.row.domain):
            found += walk.spans(Physician(name_in(domain)), list(group), asked)
        following = str(places[size - 1]) if len(places) > size else ""
        if asked.physician:
            people = sorted({span.user for span in found if span.user > after})
            following = people[size - 1] if len(people) > size else ""
            found = [span for span in found if after < span.user and (not following or span.user <= following)]
        return Spans(earlier=earlier, later=later, found=tuple(found), next=following, head=head)

    return await asyncio.to_thread(decide)


def _edges(rows: Sequence[Ranged], earlier: int, later: int) -> set[int]:
    """The revisions in a period at which a row began or ended."""
    edges = {edge for one in rows for edge in (one.begun, one.ended) if edge is not None}
    return {edge for edge in edges if earlier < edge <= later}


class _Walk:
    """Goes through a period from change to change."""

    def __init__(
        self, models: dict[int, Model], built_in: list[Ranged], times: dict[int, datetime], *, earlier: int, later: int
    ) -> None:
        self._models = models
        self._built_in = built_in
        self._times = times
        self._earlier = earlier
        self._later = later
        self._edges = _edges(built_in, earlier, later) | {turn for turn in models if turn > earlier}
        self._left = _MOST_ROWS
        self._judges: dict[int, tuple[Basis, Shapes]] = {}

    def spans(self, physician: Physician, rows: list[Ranged], asked: Period) -> Iterator[Span]:
        """What one account's people could do, person by person. Raises PeriodTooLong."""
        edges = sorted(self._edges | _edges(rows, self._earlier, self._later))
        self._left -= (len(edges) + 1) * (len(rows) + len(self._built_in))
        if self._left < 0:
            raise PeriodTooLong(changes=len(edges))
        # In the last order that there was.
        catalogues = [self._judge(revision)[0].catalogue for revision in sorted((self._earlier, *edges), reverse=True)]
        places = {action: place for place, action in enumerate(in_order(*catalogues))}
        if asked.action is not None and asked.action not in places:
            like = get_close_matches(asked.action, places, n=1)
            raise UnknownAction(action=asked.action, did_you_mean=like[0] if like else None)
        wanted = [asked.action] if asked.action else list(places)
        begun: dict[tuple[User, Action], Edge | None] = {}
        done: list[Span] = []
        able: set[tuple[User, Action]] = set()
        for revision in (self._earlier, *edges):
            basis, judge = self._judge(revision)
            account = Account.of_rows(basis, physician, (one.row for one in rows if one.held_at(revision)))
            now = {
                (user, action)
                for user, shape in shapes_of(account)
                if asked.user in (None, user)
                for action in judge.of(shape).intersection(wanted)
            }
            edge = None if revision == self._earlier else Edge(revision=revision, at=self._times[revision])
            for gained in now - able:
                begun[gained] = edge
            for user, action in able - now:
                done.append(
                    Span(user=user, physician=physician, action=action, begun=begun.pop((user, action)), ended=edge)
                )
            able = now
        done += [
            Span(user=user, physician=physician, action=action, begun=edge, ended=None)
            for (user, action), edge in begun.items()
        ]
        return iter(sorted(done, key=partial(_order, places=places)))

    def _judge(self, revision: int) -> tuple[Basis, Shapes]:
        """Built anew only where the rules of all accounts or the model are others than at the change before."""
        turn = max((edge for edge in self._edges if edge <= revision), default=self._earlier)
        if turn not in self._judges:
            model = self._models[max(at for at in self._models if at <= turn)]
            basis = Basis(model, (one.row for one in self._built_in if one.held_at(turn)))
            self._judges[turn] = basis, Shapes(basis)
        return self._judges[turn]


def _order(span: Span, places: dict[Action, int]) -> tuple[User, int, int]:
    return span.user, places[span.action], span.begun.revision if span.begun else 0
