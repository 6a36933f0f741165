"""CSV for spreadsheets (RFC 4180), in which no cell is a formula.

A spreadsheet takes a cell that begins with one of ``= + - @`` or with a tab or
line break for a formula; whoever can choose a name could have it computed on
an auditor's machine. Such a cell gets an apostrophe in front, which
spreadsheets take for "text follows". The same after a semicolon or a tab: in
many countries these are what a spreadsheet divides cells by.

It begins with a byte order mark: without one, spreadsheets take UTF-8 for the
old character set of the country, and names come out wrong.
"""

import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence

# What stands before the sign and is no hindrance to a spreadsheet: spaces of whatever kind, quotes, controls, and
# characters that nobody sees. Then the signs, also in their full-width and small forms, and the minus of typesetters.
_BEFORE = (
    "\\s\"'`\u2018\u2019\u201c\u201d\x00-\x1f\x7f-\x9f\xad"
    "\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
)
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
_FORMULA = re.compile(f"(^|[;\t\r\n])(?=[{_BEFORE}]*[{_SIGNS}])|^(?=[\t\r\n])")
_BYTE_ORDER_MARK = "\ufeff"

Cell = str | int | bool


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """A heading and rows on standard output, as they come, in UTF-8 whatever the terminal's encoding is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(_BYTE_ORDER_MARK)
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(cell) for cell in row])


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else str(cell)
