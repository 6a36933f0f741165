"""Reads policy files: ``seed.csv``, which ``seed_lint`` judges, and other CSV in Casbin's form.

Stricter than Casbin's own reader, which drops rows of an unknown type without
a word and notices a short row only when a question reaches it: a file is read
whole or refused whole, every fault with its line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policy_service.errors import StartError
from policy_service.policy_text.lines import lines_of
from policy_service.policy_text.lint import MOST_BYTES, lint
from policy_service.vocabulary import Row, ptype_of, row_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a policy file."""

    line: int
    text: str


class BrokenPolicy(StartError):
    """A policy file cannot be used; ``faults`` names every line."""

    def __init__(self, name: str, faults: Iterable[Fault]) -> None:
        """Keep the facts, and say each in one line."""
        self.name = name
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{name}:{fault.line}: {fault.text}" for fault in self.faults))


def read_file(path: Path) -> tuple[Row, ...]:
    """Read a policy file; raises BrokenPolicy, also for a file that cannot be read at all."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    return read_rows(text, str(path))


def read_rows(text: str, name: str) -> tuple[Row, ...]:
    """Read rows of policy in the form of ``policy_lines``; raises BrokenPolicy with every fault."""
    rows: dict[Row, int] = {}
    faults: list[Fault] = []
    for line in lines_of(text):
        if not line.fields:
            continue
        if fault := row_fault(line.ptype, line.values):
            faults.append(Fault(line=line.number, text=fault.text))
            continue
        row = Row(ptype=ptype_of(line.ptype), values=line.values)
        if row in rows:
            faults.append(Fault(line=line.number, text=f"the same row stands in line {rows[row]}"))
        rows.setdefault(row, line.number)
    if faults:
        raise BrokenPolicy(name, faults)
    return tuple(rows)


def seed_text(source: BinaryIO) -> str:
    """The text of a seed as ``lint`` judges it: whatever the bytes are, and no more of them than a seed can have."""
    # A byte that is not UTF-8 stays as a surrogate, so that it is found with its place.
    return source.read(MOST_BYTES + 1).decode("utf-8", "surrogateescape")


def seed_rows(text: str, name: str, *, methods: frozenset[str] | None = None) -> tuple[Row, ...]:
    """The built-in policy in a text; raises BrokenPolicy with every finding of ``lint`` that is an error."""
    linted = lint(text, methods=methods)
    if linted.errors:
        raise BrokenPolicy(
            name, [Fault(line=found.line, text=f"{found.text} ({found.hint})") for found in linted.errors]
        )
    return linted.rows


def read_seed(path: Path, *, methods: frozenset[str] | None = None) -> tuple[Row, ...]:
    """Read the built-in policy from a file; raises BrokenPolicy as ``seed_rows``, or if it cannot be read at all."""
    try:
        with path.open("rb") as source:
            text = seed_text(source)
    except OSError as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    return seed_rows(text, str(path), methods=methods)
