"""CSV for spreadsheets (RFC 4180), in which no cell is a formula.

A spreadsheet takes a cell that begins with one of ``= + - @`` or with a tab or
line break for a formula; whoever can choose a name could have it computed on
an auditor's machine. Such a cell gets an apostrophe in front, which
spreadsheets take for "text follows". The same after a semicolon or a tab: in
many countries these are what a spreadsheet divides cells by.
"""

import csv
import re
import sys
from collections.abc import Iterable, Sequence

# Spaces before the sign, of whatever kind, quotes, and its full-width forms are no hindrance to a spreadsheet.
_FORMULA = re.compile("(^|[;\t\r\n])(?=[\\s\"'\u200b\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")

Cell = str | int | bool


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """A heading and rows on standard output, as they come."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(cell) for cell in row])


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else str(cell)
