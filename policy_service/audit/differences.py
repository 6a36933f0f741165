"""Whose access is another at one revision than at an earlier one.

Only accounts whose rows changed are looked at, and all of them where a rule of
all accounts or the model changed. Casbin decides both sides, once for each shape.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from policy_service.audit.past import model_at, with_actions
from policy_service.decide import Account, Basis, Model, Shapes, UnknownPhysician, shapes_of
from policy_service.store import Reading, Span, Store, spans
from policy_service.vocabulary import Action, Physician, User, in_order, name_in

MOST_ACCOUNTS: Final = 10_000
"""Accounts looked at for one page, and …"""
MOST_SECONDS: Final = 3.0
"""… time that it takes: a page may be short, even empty, and still not be the last."""
_SLICE: Final = 250
_AFTER_ALL: Final = User("~")
"""Outside the grammar of usernames, and after all of them."""
_NOTHING: Final[frozenset[Action]] = frozenset()

Place = tuple[Physician, User]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one person gained and lost in one account, on the web."""

    physician: Physician
    user: User
    gained: tuple[Action, ...]
    lost: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """A page of differences, and the place after which the next one begins; None at the end."""

    found: tuple[Difference, ...]
    next: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two revisions, the earlier one first; of one account or of all."""

    earlier: int
    later: int
    physician: Physician | None = None


async def compare(store: Store, today: Model, asked: Interval, *, after: Place | None, size: int) -> Differences:
    """A page of the differences, in byte order of physician and user, after a place.

    ``today`` is the model of today; each side is decided under that of its
    time. Raises UnknownPhysician for one account that was not there at either
    revision, and StoreUnavailable.
    """
    start = after or (Physician(""), User(""))
    async with store.reading() as look:
        sides = _Sides(
            await model_at(look, asked.earlier, today),
            await model_at(look, asked.later, today),
            await _built_in(look, asked),
        )
        accounts, more = await _accounts(look, asked, start[0], every=not sides.are_alike)
    page = _Page(start=start, size=size, until=perf_counter() + MOST_SECONDS)
    for at in range(0, len(accounts), _SLICE):
        # A look for each slice, closed before Casbin is asked, which may take long: the rows of a revision stay as
        # they are.
        async with store.reading() as look:
            some = await spans.spans(look, accounts[at : at + _SLICE], asked.earlier, asked.later)
        if asked.physician is not None and not some:
            raise UnknownPhysician(physician=asked.physician)
        # In a thread, so that whoever else shares the loop goes on.
        if await asyncio.to_thread(page.fill, sides, some):
            return Differences(found=tuple(page.found[:size]), next=page.last)
    return Differences(found=tuple(page.found), next=(accounts[-1], _AFTER_ALL) if more else None)


async def _built_in(look: Reading, asked: Interval) -> Span:
    found = await spans.built_in_span(look, asked.earlier, asked.later)
    return replace(found, earlier=await with_actions(look, found.earlier), later=await with_actions(look, found.later))


async def _accounts(look: Reading, asked: Interval, start: Physician, *, every: bool) -> tuple[list[Physician], bool]:
    """The accounts to look at for a page, and whether there are more."""
    if asked.physician is not None:
        return [asked.physician], False
    if every:
        accounts = await spans.every_physician(look, start=start, size=MOST_ACCOUNTS + 1)
    else:
        accounts = await spans.changed_physicians(look, asked.earlier, asked.later, start=start, size=MOST_ACCOUNTS + 1)
    return accounts[:MOST_ACCOUNTS], len(accounts) > MOST_ACCOUNTS


class _Sides:
    """The model and the built-in rules of both revisions."""

    def __init__(self, earlier: Model, later: Model, built_in: Span) -> None:
        self._earlier_basis = Basis(earlier, built_in.earlier)
        self._later_basis = Basis(later, built_in.later)
        self.are_alike = earlier.text == later.text and set(built_in.earlier) == set(built_in.later)
        self._earlier = Shapes(self._earlier_basis)
        # What one side has asked need not be asked again.
        self._later = self._earlier if self.are_alike else Shapes(self._later_basis)

    def compare(self, span: Span, *, after: Place) -> Iterator[tuple[Place, Difference | None]]:
        """Every user of an account who comes after a place, in byte order, decided one by one."""
        physician = Physician(name_in(span.domain))
        before = dict(shapes_of(Account.of_rows(self._earlier_basis, physician, span.earlier)))
        now = dict(shapes_of(Account.of_rows(self._later_basis, physician, span.later)))
        for user in sorted(before.keys() | now.keys()):
            if (physician, user) <= after:
                continue
            had = self._earlier.of(before[user]) if user in before else _NOTHING
            has = self._later.of(now[user]) if user in now else _NOTHING
            gained, lost = self._ordered(has - had), self._ordered(had - has)
            found = Difference(physician=physician, user=user, gained=gained, lost=lost) if gained or lost else None
            yield (physician, user), found

    def _ordered(self, actions: frozenset[Action]) -> tuple[Action, ...]:
        """In the order of the later catalogue; what it does not know, in its place in the earlier one."""
        every = in_order(self._later_basis.catalogue, self._earlier_basis.catalogue)
        return tuple(action for action in every if action in actions)


@dataclass(slots=True, kw_only=True)
class _Page:
    """What was found so far, and when to stop."""

    start: Place
    size: int
    until: float
    found: list[Difference] = field(default_factory=list)
    last: Place | None = None
    """After which place the next page begins."""

    def fill(self, sides: _Sides, some: list[Span]) -> bool:
        """Look at some accounts; True if the page ends with them, full or out of time."""
        for span in some:
            for place, difference in sides.compare(span, after=self.start):
                if difference is not None:
                    if len(self.found) == self.size:
                        return True
                    self.found.append(difference)
                self.last = place
                if perf_counter() > self.until:
                    return True
        return False
