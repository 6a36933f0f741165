"""Cuts policy text into lines and fields, each with its place. Judges nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_FIELDS_OF_AN_ACTION: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a row without the spaces around it; columns count characters from 1, the end excluded."""

    text: str
    column: int
    end_column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line without its end; a comment or an empty line has no fields."""

    number: int
    text: str
    fields: tuple[Field, ...]

    @property
    def ptype(self) -> str:
        """The row's type, as written."""
        return self.fields[0].text

    @property
    def values(self) -> tuple[str, ...]:
        """The fields after the row's type."""
        return tuple(field.text for field in self.fields[1:])


def lines_of(text: str) -> Iterator[Line]:
    """Every line, in order.

    One row a line, fields separated by commas, spaces and tabs around them
    ignored; a line that begins with ``#`` is a comment. There is no quoting:
    no name has a character that would need it, and what people read of an
    action, the last field of its row, goes on to the line's end.
    """
    # Only \n ends a line: splitlines() would also break at characters that editors do not show as line ends.
    for number, ended in enumerate(text.split("\n"), start=1):
        line = ended.removesuffix("\r")
        begun = line.lstrip(" \t")
        yield Line(number=number, text=line, fields=() if begun[:1] in ("", "#") else tuple(_fields(line)))


def _fields(line: str) -> Iterator[Field]:
    start = 0
    most = _FIELDS_OF_AN_ACTION if line.partition(",")[0].strip(" \t") == "a" else -1
    for part in line.split(",", most):
        field = part.strip(" \t")
        column = start + 1 + len(part) - len(part.lstrip(" \t"))
        yield Field(text=field, column=column, end_column=column + len(field))
        start += len(part) + 1
