"""Whom a change of the built-in rows touches, and how: decided by Casbin, under the rows before and after.

Every user of every account is looked at; Casbin is asked once for each shape
(see shapes.py). Never reads the database.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from policy_service.engine import Account, Basis
from policy_service.model import Model
from policy_service.shapes import Shape, Shapes, shapes
from policy_service.snapshot import Snapshot
from policy_service.vocabulary import ANY, Action, Physician, Progress, Role, Row, User, name_in

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


async def impact(
    snapshot: Snapshot, model: Model, rows: Iterable[Row], *, most: int | None
) -> AsyncIterator[Progress | Impact]:
    """Compare the snapshot's built-in rows with others: accounts looked at, of all, then what was found.

    ``most`` is how many of a group to name; None names all.
    """
    comparison = _Comparison(model, snapshot.basis.rows, rows, most)
    if comparison.is_needed:
        names = sorted(snapshot.physicians())
        breath = perf_counter()
        for number, name in enumerate(names, start=1):
            account = snapshot.account(name)
            assert account is not None  # noqa: S101 - a snapshot never changes.
            for _ in comparison.look_at(account):
                if perf_counter() - breath > _BREATH:
                    await asyncio.sleep(0)
                    breath = perf_counter()
            if number % _SLICE == 0 or number == len(names):
                yield Progress(done=number, total=len(names))
    yield comparison.impact()


class _Comparison:
    """Two sets of built-in rows, and what was found so far."""

    def __init__(self, model: Model, before: Iterable[Row], after: Iterable[Row], most: int | None) -> None:
        old, new = ([row for row in rows if row.domain == ANY] for rows in (before, after))
        self.is_needed = set(old) != set(new)
        # Of their own, so that the serving ones' memory is left alone.
        self._before, self._after = Shapes(Basis(model, old)), Shapes(Basis(model, new))
        self._most = most
        self._by_shape: dict[Shape, Group | None] = {}
        self._groups: dict[tuple[tuple[str, ...], ...], Group] = {}
        self._users: set[User] = set()
        self._physicians = 0
        self._digest = hashlib.sha256()

    def look_at(self, account: Account) -> Iterator[None]:
        """Take an account in, in small steps."""
        touched = False
        for user, shape in shapes(account):
            try:
                group = self._by_shape[shape]
            except KeyError:
                group = self._by_shape[shape] = self._group(shape)
                yield
            if group is None:
                continue
            touched = True
            self._users.add(user)
            group.count += 1
            if self._most is None or len(group.members) < self._most:
                group.members.append((user, account.physician))
            # Neither name can have a slash, nor an action a space.
            words = f"{account.physician}/{user}/{' '.join(group.gained)}/{' '.join(group.lost)}\n"
            self._digest.update(words.encode())
        self._physicians += touched
        yield

    def _group(self, shape: Shape) -> Group | None:
        before, after = self._before.of(shape), self._after.of(shape)
        if before == after:
            return None
        roles = tuple(Role(name_in(role)) for subject, role in shape[0] if subject.startswith("user:"))
        gained, lost = (tuple(a for a in Action if a in found) for found in (after - before, before - after))
        return self._groups.setdefault((roles, gained, lost), Group(roles=roles, gained=gained, lost=lost))

    def impact(self) -> Impact:
        return Impact(
            groups=tuple(sorted(self._groups.values(), key=lambda g: (g.roles, g.gained, g.lost))),
            users=len(self._users),
            physicians=self._physicians,
            digest=self._digest.hexdigest(),
        )
