"""Reads policy files: ``seed.csv`` and other CSV in Casbin's form.

Stricter than Casbin's own reader, which drops rows of an unknown type without
a word and notices a short row only when a question reaches it: a file is read
whole or refused whole, every fault with its line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from policy_service.errors import StartError
from policy_service.vocabulary import ANY, OWNER, SYSTEM_DOMAIN, Row, row_fault, subject_of_role

BUILT_IN_ROLES = ("owner", "financial_viewer", "data_entry", "administrator")


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
    """Read rows of policy from CSV text; raises BrokenPolicy with every fault.

    One row a line, fields separated by commas, spaces around them ignored;
    lines that begin with ``#`` and empty lines are passed over. There is no
    quoting: no name has a character that would need it.
    """
    rows: dict[Row, int] = {}
    faults: list[Fault] = []
    # Only \n ends a line: splitlines() would also break at characters that editors do not show as line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        ptype, *values = (field.strip(" \t") for field in stripped.split(","))
        if fault := row_fault(ptype, tuple(values)):
            faults.append(Fault(line=number, text=fault))
            continue
        row = Row(ptype="p" if ptype == "p" else "g", values=tuple(values))
        if row in rows:
            faults.append(Fault(line=number, text=f"the same row stands in line {rows[row]}"))
        rows.setdefault(row, number)
    if faults:
        raise BrokenPolicy(name, faults)
    return tuple(rows)


def read_seed(path: Path) -> tuple[Row, ...]:
    """Read the built-in policy; refuses physicians' rows and a policy without its four roles."""
    rows = read_file(path)
    strays = [row for row in rows if row.domain not in (ANY, SYSTEM_DOMAIN)]
    missing = [role for role in BUILT_IN_ROLES if not any(row.values[0] == f"role:{role}" for row in rows)]
    faults = [
        Fault(line=line_of(row, path), text="a physician's row does not belong in the seed: its domain is * or system")
        for row in strays
    ]
    faults += [Fault(line=1, text=f"built-in role {role} has no rule") for role in missing]
    if not missing and Row(ptype="p", values=(subject_of_role(OWNER), ANY, ANY, "allow")) not in rows:
        faults.append(Fault(line=1, text="the owner's rule is missing: p, role:owner, *, *, allow"))
    if faults:
        raise BrokenPolicy(str(path), faults)
    return rows


def line_of(row: Row, path: Path) -> int:
    """Where a row stands in the file that it was read from."""
    wanted = [row.ptype, *row.values]
    lines = path.read_text(encoding="utf-8").split("\n")
    return next(n for n, line in enumerate(lines, start=1) if [field.strip() for field in line.split(",")] == wanted)
