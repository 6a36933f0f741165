"""Judges a seed line by line: hidden characters, layout, and each field against the grammar.

The grammar itself is ``vocabulary.row_faults``; what is added here is the
place in the line and the way to mend it.
"""

import re
from collections.abc import Iterator
from itertools import permutations
from typing import Final

from policy_service.policy_text.lines import Line, lines_of
from policy_service.policy_text.lint.findings import Code, Finding, at
from policy_service.policy_text.lint.spelling import (
    Words,
    action_hint,
    code_of_action,
    did_you_mean,
    folded,
    mend,
    method_hint,
)
from policy_service.vocabulary import (
    ANY,
    PTYPES,
    SYSTEM_DOMAIN,
    Effect,
    Row,
    is_naming,
    method_in,
    ptype_of,
    row_fault,
    row_faults,
)

MOST_IN_A_ROW: Final = 1_000
MOST_FINDINGS: Final = 1_000
_BYTE_ORDER_MARK: Final = "\ufeff"
# Python's way to keep a byte that is not UTF-8 (surrogateescape), and surrogates that came as such.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# In a comment: control characters, line ends that editors show and we do not, and what turns the reading direction.
_HIDDEN: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SEPARATORS: Final = re.compile(r"[\s,;|]+")


class Reader:
    """Reads line after line; keeps the rows with their lines, what was found, and the lines that gave no row."""

    def __init__(self, words: Words) -> None:
        """Start with nothing read."""
        self.rows: dict[Row, Line] = {}
        self.findings: list[Finding] = []
        self.unread: list[Line] = []
        self._words = words

    def read(self, line: Line) -> None:
        """Take the next line."""
        if len(self.findings) >= MOST_FINDINGS:
            if self.findings[-1].code is not Code.TOO_MANY:
                self.findings.append(_too_many(line))
            self.unread.append(line)
        elif hidden := _hidden(line):
            self.findings.append(hidden)
            self.unread.append(line)
        elif line.fields:
            faults = list(self._faults(line))
            self.findings += faults
            if faults:
                self.unread.append(line)
            else:
                self._take(line)

    def _faults(self, line: Line) -> Iterator[Finding]:
        """What keeps the line from being a row: one finding for its layout, or one for each field."""
        # A row type in the wrong case is one fault, and no reason to leave the rest unread.
        ptype = folded(line.ptype) if folded(line.ptype) in PTYPES else line.ptype
        faults = [*row_faults(line.ptype, line.values)]
        if ptype != line.ptype:
            faults += row_faults(ptype, line.values)
        if not faults:
            return
        if layout := _layout(line):
            yield layout
            return
        for fault in faults:
            code, hint = mend(fault, line, self._words)
            last = -1 if code is Code.FIELD_COUNT else None
            yield at(line, code, fault.text, hint, field=fault.field, last=last)

    def _take(self, line: Line) -> None:
        """Judge a row that can be read, by itself and beside those before it."""
        row = Row(ptype=ptype_of(line.ptype), values=line.values)
        if earlier := self.rows.get(row):
            text = f"the same row stands in line {earlier.number}"
            self.findings.append(at(line, Code.DUPLICATE_ROW, text, "remove one of the two"))
            return
        self.rows[row] = line
        self.findings += _own_faults(row, line, self._words)
        if row.ptype == "p":
            opposite = Effect.DENY if row.values[3] == Effect.ALLOW else Effect.ALLOW
            if other := self.rows.get(Row(ptype="p", values=(*row.values[:3], opposite))):
                text = f"line {other.number} says {opposite} to the same"
                hint = "keep the one that is meant; with both, deny wins"
                self.findings.append(at(line, Code.CONTRADICTION, text, hint, field=4))


def _own_faults(row: Row, line: Line, words: Words) -> Iterator[Finding]:
    """What is wrong with a row that the grammar takes, but not for a seed."""
    if row.domain not in (ANY, SYSTEM_DOMAIN):
        text = "a physician's row does not belong in the seed: its domain is * or system"
        hint = "accounts are changed through the service (policy-service users, policy-service roles)"
        yield at(line, Code.PHYSICIAN_ROW, text, hint, field=3 if row.ptype == "g" else 2)
        return
    if row.ptype == "a":
        return
    if row.ptype == "p" and row.domain == ANY and (action := row.values[2]) != ANY and action not in words.actions:
        yield at(line, code_of_action(action), f"{action!r} is not an action", action_hint(action, words), field=3)
    for place, value in enumerate(row.values, start=1):
        if value.startswith("role:custom."):
            text = f"{value!r} is the role of one user alone, whose rules belong to an account"
            yield at(line, Code.OWN_ROLE, text, "name a role that many can hold", field=place)
    if row.ptype == "p" and row.domain == SYSTEM_DOMAIN and words.contract is not None:
        method = method_in(row.values[2])
        if method != ANY and not is_naming(method) and method not in words.contract:
            yield at(line, Code.METHOD, f"{method!r} is not a method", method_hint(method, words), field=3)


def _too_many(line: Line) -> Finding:
    text = f"more than {MOST_FINDINGS:,} findings: from here on the file is not judged"
    hint = "is this a seed at all? If it is, mend these first"
    return Finding(code=Code.TOO_MANY, line=line.number, column=1, end_column=len(line.text) + 1, text=text, hint=hint)


def _hidden(line: Line) -> Finding | None:
    """A character that must not stand in the line, or a line that is too long to look at."""
    found, code = _SURROGATE.search(line.text), Code.NOT_UTF8
    if not found and line.number == 1 and line.text.startswith(_BYTE_ORDER_MARK):
        found, code = re.match(".", line.text), Code.BYTE_ORDER_MARK
    if not found:
        # In a row nothing but plain characters has a meaning; in a comment anything may be quoted that can be seen.
        found, code = _HIDDEN.search(line.text) or _unprintable(line), Code.HIDDEN_CHARACTER
    if found:
        text, hint = _told(code, found.group())
        return Finding(
            code=code, line=line.number, column=found.start() + 1, end_column=found.end() + 1, text=text, hint=hint
        )
    if line.fields and len(line.text) > MOST_IN_A_ROW:
        text = f"the row has {len(line.text):,} characters"
        return at(line, Code.LINE_TOO_LONG, text, f"no row has more than {MOST_IN_A_ROW:,}; is a line end missing?")
    return None


def _unprintable(line: Line) -> re.Match[str] | None:
    if not line.fields or line.text.replace("\t", " ").isprintable():
        return None
    return next(each for each in re.finditer("[^\t]", line.text) if not each.group().isprintable())


def _told(code: Code, character: str) -> tuple[str, str]:
    if code is Code.BYTE_ORDER_MARK:
        return "the file begins with a byte order mark", "save it as UTF-8 without one"
    if code is Code.NOT_UTF8:
        number = ord(character)
        what = f"byte 0x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"lone surrogate {character!r}"
        return f"cannot be read as UTF-8: {what}", "save the file as UTF-8"
    hint = "lines end with \\n or \\r\\n" if character in "\r\x0b\x0c\x85\u2028\u2029" else "remove it"
    return f"hidden character {character!r}", hint


def _layout(line: Line) -> Finding | None:
    """A fault of the whole line: read in another way it is a row."""
    begun = line.text.find("#")
    if begun > 0 and _sound(line.text[:begun]):
        hint = "put the comment in a line of its own, above the row"
        text = "a row ends with its line: this is read as part of it"
        return Finding(
            code=Code.TRAILING_COMMENT,
            line=line.number,
            column=begun + 1,
            end_column=len(line.text) + 1,
            text=text,
            hint=hint,
        )
    if found := _sound(re.sub("[\"'`]", "", line.text)):
        return at(
            line, Code.QUOTES, "there is no quoting: the quotes are read as part of the field", did_you_mean(found)
        )
    if found := _sound(",".join(part for part in _SEPARATORS.split(line.text) if part)):
        text = "fields are separated by one comma each"
        return at(line, Code.SEPARATOR, text, did_you_mean(found))
    # Of the right number of fields, so at most 24 orders.
    if len(line.values) == {"p": 4, "g": 3}.get(line.ptype):
        orders = {order for order in permutations(line.values) if row_fault(line.ptype, order) is None}
        if len(orders) == 1:
            hint = did_you_mean(", ".join((line.ptype, *orders.pop())))
            return at(line, Code.FIELD_ORDER, "the fields are in the wrong order", hint, field=1, last=-1)
    return None


def _sound(text: str) -> str | None:
    """The row in this text, in its usual spelling; None if it is none."""
    (line,) = lines_of(text)
    if not line.fields or row_fault(line.ptype, line.values) is not None:
        return None
    return ", ".join((line.ptype, *line.values))
