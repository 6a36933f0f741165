"""The corpus of broken seeds, and what must hold of any text that is taken for a seed."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from policy_service.policy_text import BrokenPolicy, lint, seed_rows
from policy_service.settings import policies_dir
from policy_service.vocabulary import row_fault

SEED_FILE = policies_dir() / "seed.csv"
SEED = SEED_FILE.read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A broken seed and what must be found in it: (code, line, column, end column)."""

    why: str
    text: str
    found: list[tuple[str, int, int, int]]
    hint: str


def broken_seeds(level: str) -> list[Case]:
    table = yaml.safe_load((Path(__file__).with_name("broken_seeds.yaml")).read_text())
    return [_case(**entry) for entry in table[level]]


def _case(why: str, put: str, code: str | list[str], instead: str = "", at: str = "", hint: str = "") -> Case:
    put = put.removesuffix("\n")
    marked = SEED.replace(f"{instead}\n", f"{put}\n", 1) if instead else f"{SEED}{put}\n"
    assert marked != SEED, f"{why}: the seed has no such line"
    if at:
        marked = marked.replace(f"{at}\n", f"«{at}»\n", 1)
    codes = [code] if isinstance(code, str) else code
    places = [
        (number, column, end) for number, line in enumerate(marked.split("\n"), start=1) for column, end in _marks(line)
    ]
    found = [(each, *place) for each, place in zip(codes, places or [(1, 1, 1)], strict=True)]
    return Case(why=why, text=marked.replace("«", "").replace("»", ""), found=found, hint=hint)


def _marks(line: str) -> list[tuple[int, int]]:
    pieces = line.split("«")
    column, found = len(pieces[0]) + 1, []
    for piece in pieces[1:]:
        inner, _, rest = piece.partition("»")
        found.append((column, column + len(inner)))
        column += len(inner) + len(rest)
    return found


def hold_promises(text: str, methods: frozenset[str] | None = None) -> None:
    """Fails if a promise about any text does not hold of this one."""
    linted = lint(text, methods=methods)
    lines = text.split("\n")
    places = [(each.line, each.column) for each in linted.findings]
    assert places == sorted(places)
    for each in linted.findings:
        assert 1 <= each.line <= len(lines)
        assert 1 <= each.column <= each.end_column <= len(lines[each.line - 1]) + 1
        assert each.text.isprintable()
        assert each.hint.isprintable()
    try:
        rows = seed_rows(text, "f", methods=methods)
    except BrokenPolicy as refused:
        assert [fault.line for fault in refused.faults] == [each.line for each in linted.errors]
        assert linted.errors
    else:
        assert not linted.errors
        assert rows == linted.rows
        assert len(set(rows)) == len(rows)
        assert all(row_fault(row.ptype, row.values) is None for row in rows)
        assert {row.domain for row in rows} <= {"*", "system"}
