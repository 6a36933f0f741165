"""Whom a change of the built-in rows touches, and how: decided by Casbin, under the rows before and after.

Every user of every account is looked at; Casbin is asked once for each shape
(see shapes.py). Never reads the database.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from policy_service.decide import Account, Basis, Model, Shape, Shapes, Snapshot, shapes_of
from policy_service.vocabulary import ANY, Action, Physician, Progress, Role, Row, User, in_order, name_in

_BREATH: Final = 0.0005
"""Seconds between two breaths, in which the process's other threads wait for Python's lock."""
_SLICE: Final = 1_000
"""Accounts between two words of progress."""

Membership = tuple[User, Physician]


@dataclass(slots=True, kw_only=True)
class Group:
    """People who hold the same and to whom the same happens."""

    roles: tuple[Role, ...]
    gained: tuple[Action, ...]
    lost: tuple[Action, ...]
    count: int = 0
    members: list[Membership] = field(default_factory=list)
    """The first of them, or all, as asked; by physician, then user, in byte order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Everyone affected."""

    groups: tuple[Group, ...]
    users: int
    """Different people."""
    physicians: int
    """Accounts in which anyone is affected."""
    digest: str
    """Stands for each single one and what happens to them."""


_Change = tuple[tuple[Role, ...], tuple[Action, ...], tuple[Action, ...]]
"""Roles held, actions gained, actions lost."""


class Comparison:
    """Two sets of built-in rows, and everybody's answers under both.

    What was found in an account is kept until its rows change, so looking again
    after a few changes takes a small part of the first look's time.
    """

    def __init__(self, model: Model, before: Iterable[Row], after: Iterable[Row]) -> None:
        """Rows of the snapshots to come, and those wanted in their place."""
        self.before, self.after = frozenset(before), frozenset(after)
        old, new = ([row for row in rows if row.domain == ANY] for rows in (self.before, self.after))
        self._is_needed = set(old) != set(new)
        # Of their own, so that the serving ones' memory is left alone.
        self._old, self._new = Shapes(Basis(model, old)), Shapes(Basis(model, new))
        self._order = in_order(self._new.basis.catalogue, self._old.basis.catalogue)
        self._places: dict[Shape, int | None] = {}
        self._changes: list[_Change] = []
        self._accounts: dict[Physician, Account] = {}
        self._found: dict[Physician, str] = {}
        """Text, as strings cost the garbage collector nothing."""

    async def impact(self, snapshot: Snapshot, *, most: int | None) -> AsyncIterator[Progress | Impact]:
        """Look at all accounts of a snapshot on the rows before: how far it is, then what was found.

        ``most`` is how many of a group to name; None names all.
        """
        tally = _Tally(self._changes, most)
        names = sorted(snapshot.physicians()) if self._is_needed else []
        breath = perf_counter()
        for number, name in enumerate(names, start=1):
            account = snapshot.account(name)
            assert account is not None  # noqa: S101 - a snapshot never changes.
            # The very same: whatever changes an account makes a new one.
            if self._accounts.get(name) is not account:
                for step in self._look_at(account):
                    found = step
                    if perf_counter() - breath > _BREATH:
                        await asyncio.sleep(0)
                        breath = perf_counter()
                self._accounts[name], self._found[name] = account, found
            tally.add(name, self._found[name])
            if perf_counter() - breath > _BREATH:
                await asyncio.sleep(0)
                breath = perf_counter()
            if number % _SLICE == 0 or number == len(names):
                yield Progress(done=number, total=len(names))
        if len(self._accounts) > len(names):
            for name in self._accounts.keys() - set(names):
                del self._accounts[name], self._found[name]
        yield tally.impact()

    async def is_same(self, before: Snapshot, after: Snapshot) -> bool:
        """Would the impact be the same at both? Only what is another in them is looked at."""
        for name in after.changed_since(before) if self._is_needed else ():
            told = []
            for account in (before.account(name), after.account(name)):
                found = ""
                for step in self._look_at(account) if account else ():
                    found = step
                    await asyncio.sleep(0)
                # Of its three parts the one that goes into the digest.
                told.append(found.split("\n", 2)[-1])
            if told[0] != told[1]:
                return False
        return True

    def _look_at(self, account: Account) -> Iterator[str]:
        """Take an account in, in small steps; the last one is what was found.

        Three parts on lines of their own: the places of what happens to those
        affected, their names, and words for the digest. No name can have a slash, no
        action a space.
        """
        places, users, words = [], [], []
        for user, shape in shapes_of(account):
            try:
                place = self._places[shape]
            except KeyError:
                place = self._places[shape] = self._place(shape)
                yield ""
            if place is not None:
                _, gained, lost = self._changes[place]
                places.append(str(place))
                users.append(user)
                words.append(f"{account.physician}/{user}/{' '.join(gained)}/{' '.join(lost)}\n")
        yield "\n".join(("/".join(places), "/".join(users), "".join(words))) if users else ""

    def _place(self, shape: Shape) -> int | None:
        before, after = self._old.of(shape), self._new.of(shape)
        if before == after:
            return None
        roles = tuple(Role(name_in(role)) for subject, role in shape[0] if subject.startswith("user:"))
        gained, lost = (
            tuple(action for action in self._order if action in found) for found in (after - before, before - after)
        )
        self._changes.append((roles, gained, lost))
        return len(self._changes) - 1


class _Tally:
    """Everyone affected, counted up."""

    def __init__(self, changes: Sequence[_Change], most: int | None) -> None:
        self._changes = changes
        self._most = most
        self._groups: dict[_Change, Group] = {}
        self._by_place: dict[str, Group] = {}
        self._users: set[str] = set()
        self._physicians = 0
        self._digest = hashlib.sha256()

    def add(self, physician: Physician, found: str) -> None:
        """Take in what was found in an account."""
        if not found:
            return
        places, users, words = found.split("\n", 2)
        self._digest.update(words.encode())
        self._physicians += 1
        names = users.split("/")
        self._users.update(names)
        for user, place in zip(names, places.split("/"), strict=True):
            group = self._by_place.get(place) or self._group(place)
            group.count += 1
            if self._most is None or len(group.members) < self._most:
                group.members.append((User(user), physician))

    def _group(self, place: str) -> Group:
        roles, gained, lost = change = self._changes[int(place)]
        group = self._groups.setdefault(change, Group(roles=roles, gained=gained, lost=lost))
        self._by_place[place] = group
        return group

    def impact(self) -> Impact:
        """All of it."""
        return Impact(
            groups=tuple(sorted(self._groups.values(), key=lambda g: (g.roles, g.gained, g.lost))),
            users=len(self._users),
            physicians=self._physicians,
            digest=self._digest.hexdigest(),
        )
