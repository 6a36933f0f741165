"""A revision with the history that it is of: a number to compare, and one opaque token to keep."""

from typing import Self


class Revision(int):
    """A revision as the service answered it.

    It is the number, and knows its history besides: given as ``min_revision``,
    both go along, and a service whose database was restored meanwhile raises
    ForeignHistory in place of an answer. ``token`` is both as one text, to be
    kept in a session or a row; ``of`` reads it.
    """

    history: str

    def __new__(cls, number: int, history: str = "") -> Self:
        """``history`` as it stood beside the number; empty: of no known history."""
        made = super().__new__(cls, number)
        made.history = history
        return made

    @property
    def token(self) -> str:
        """The number and its history as one text."""
        return f"{int(self)}-{self.history}" if self.history else str(int(self))

    @classmethod
    def of(cls, token: str) -> Self:
        """Read a token, or a bare number; raises ValueError."""
        number, dash, history = token.partition("-")
        if not (number.isascii() and number.isdecimal()) or len(number) > 18 or bool(dash) != bool(history):
            raise ValueError(f"{token!r} is not a revision's token")
        return cls(int(number), history)


def revision_of(response: object) -> Revision:
    """The revision of a reply, with the history beside it."""
    return Revision(response.revision, response.history)  # type: ignore[attr-defined]


def history_of(revision: int) -> str:
    """The history that goes with a revision; empty for a bare number, which is of any."""
    return revision.history if isinstance(revision, Revision) else ""
