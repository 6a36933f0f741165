"""Which history a revision is of: two may reach one number, after a backup was restored, but not one mark.

A revision's name is 64 bits of its mark, and stands beside every revision that
leaves the service. The names of the latest revisions are kept in memory, eight
bytes each, so that a question can be refused that comes from a history which
this one does not go on from. What is older than they reach is refused too:
nothing here could tell it from a foreign one, and a bound that old binds nobody
who dropped it. Nothing here awaits or reads the database.
"""

from array import array
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from policy_service.vocabulary.answers import Held
from policy_service.vocabulary.errors import ForeignHistory

MOST_REMEMBERED: Final = 1 << 17
"""Revisions whose names are kept: a megabyte, and years of an installation's changes."""
_UNKNOWN: Final = 0
_LOW: Final = (1 << 64) - 1
_DIGITS: Final = 16


def short(mark: UUID | str) -> int:
    """A mark's 64 bits: its halves, one over the other, so that the fixed bits of a UUID take nothing away."""
    whole = UUID(str(mark)).int
    return (whole >> 64) ^ (whole & _LOW)


def name_of(mark: UUID | str) -> str:
    """A revision's name as it leaves the service: 16 hexadecimal digits."""
    return f"{short(mark):016x}"


class History:
    """The names of the latest revisions up to ``last``. Never changes; the next one shares its memory."""

    __slots__ = ("_names", "_start", "last", "name")

    def __init__(self, names: "array[int]", start: int, last: int) -> None:
        """Use ``of``, ``ending`` or ``after``."""
        self._names = names
        self._start = start
        self.last = last
        self.name = f"{names[last - start]:016x}"
        """That of ``last``."""

    @classmethod
    def of(cls, last: int, marks: Mapping[int, UUID | str]) -> "History":
        """A history from the marks of its latest revisions; one that is missing is never found."""
        start = min(marks, default=last)
        names = array("Q", bytes(8 * (last - start + 1)))
        for revision, mark in marks.items():
            names[revision - start] = short(mark)
        return cls(names, start, last)

    @classmethod
    def ending(cls, held: Held) -> "History":
        """The history of which nothing but its end is known."""
        return cls.of(held.revision, {held.revision: held.mark} if held.mark else {})

    def after(self, last: int, marks: Mapping[int, UUID | str]) -> "History":
        """The history gone on to a later revision."""
        begun = self.last - self._start + 1
        if len(self._names) == begun < 2 * MOST_REMEMBERED:
            # What is added behind the end of earlier histories is not theirs to see.
            names, start = self._names, self._start
        else:
            kept = min(begun, MOST_REMEMBERED)
            names, start = self._names[begun - kept : begun], self.last - kept + 1
        names.extend(short(marks[r]) if r in marks else _UNKNOWN for r in range(self.last + 1, last + 1))
        return History(names, start, last)

    def at(self, revision: int) -> int:
        """A revision's short mark; 0 where it is not remembered, or never was."""
        return self._names[revision - self._start] if self._start <= revision <= self.last else _UNKNOWN

    def name_at(self, revision: int) -> str:
        """A revision's name; empty where it is not remembered."""
        found = self.at(revision)
        return f"{found:016x}" if found else ""

    def refuse_foreign(self, revision: int, name: int) -> None:
        """Raise ForeignHistory unless this revision, reached already, is the one of that name."""
        if name == _UNKNOWN or self.at(revision) != name:
            raise ForeignHistory(revision=revision, remembered_from=self._start)


def digits(text: str) -> int | None:
    """A name's 64 bits; None for what is no name."""
    if len(text) != _DIGITS or set(text) - set("0123456789abcdef"):
        return None
    return int(text, 16)
