"""Whose access is another at one revision than at an earlier one.

Only accounts whose rows changed are looked at, and all of them where a rule of
all accounts or the model changed. Casbin decides both sides, once for each shape.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from policy_service.engine import Account, Basis
from policy_service.errors import UnknownPhysician
from policy_service.model import Model
from policy_service.past import model_at
from policy_service.shapes import Shapes
from policy_service.store import Reading, spans
from policy_service.store.spans import Span
from policy_service.vocabulary import Action, Physician, User, name_in

MOST_ACCOUNTS: Final = 10_000
"""Accounts looked at for one page: a page may be short, even empty, so that it never takes long."""
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

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return self.physician, self.user


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


async def differences(look: Reading, today: Model, asked: Interval, *, after: Place | None, size: int) -> Differences:
    """A page of the differences, in byte order of physician and user, after a place.

    ``today`` is the model of today; each side is decided under that of its
    time. Raises UnknownPhysician for one account that was not there at either
    revision.
    """
    start = after or (Physician(""), User(""))
    sides = _Sides(
        await model_at(look, asked.earlier, today),
        await model_at(look, asked.later, today),
        await spans.built_in_span(look, asked.earlier, asked.later),
    )
    accounts, more = await _accounts(look, asked, start[0], every=not sides.are_alike)
    found: list[Difference] = []
    for at in range(0, len(accounts), _SLICE):
        some = await spans.spans(look, accounts[at : at + _SLICE], asked.earlier, asked.later)
        if asked.physician is not None and not some:
            raise UnknownPhysician(physician=asked.physician)
        # In a thread, so that whoever else shares the loop goes on.
        found += [one for one in await asyncio.to_thread(sides.compare, some) if one.place > start]
        if len(found) > size:
            return Differences(found=tuple(found[:size]), next=found[size - 1].place)
    return Differences(found=tuple(found), next=(accounts[-1], _AFTER_ALL) if more else None)


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

    def compare(self, some: list[Span]) -> list[Difference]:
        return [difference for span in some for difference in self._compare(span)]

    def _compare(self, span: Span) -> Iterator[Difference]:
        physician = Physician(name_in(span.domain))
        before = dict(self._earlier.allowed(Account.of_rows(self._earlier_basis, physician, span.earlier)))
        after = dict(self._later.allowed(Account.of_rows(self._later_basis, physician, span.later)))
        for user in sorted(before.keys() | after.keys()):
            gained, lost = _beyond(after, before, user), _beyond(before, after, user)
            if gained or lost:
                yield Difference(physician=physician, user=user, gained=gained, lost=lost)


def _beyond(
    one: Mapping[User, frozenset[Action]], other: Mapping[User, frozenset[Action]], user: User
) -> tuple[Action, ...]:
    """What the user may on one side and not on the other, in the vocabulary's order."""
    more = one.get(user, _NOTHING) - other.get(user, _NOTHING)
    return tuple(action for action in Action if action in more)
