"""Judges a seed whole and offline: every fault with its place, what is wrong and how to mend it.

Refuses nothing itself. An error is what must not reach the store, so whoever
takes a seed in, from a file or over the wire, takes it only without errors
(``policy_files.seed_rows``); a warning is what its author should look at.
"""

from policy_service.policy_lines import lines_of
from policy_service.seed_lint.findings import CODES, Code, Finding, Level, Linted
from policy_service.seed_lint.reading import Reader
from policy_service.seed_lint.spelling import Words
from policy_service.seed_lint.whole import judge_whole

MOST_CHARACTERS = 1 << 20
MOST_LINES = 5_000

__all__ = ["CODES", "MOST_CHARACTERS", "MOST_LINES", "Code", "Finding", "Level", "Linted", "lint"]


def lint(text: str, *, methods: frozenset[str] | None = None) -> Linted:
    """Judge a seed's text. With ``methods``, the contract's ``Service/Method`` names, unknown ones are errors too."""
    # Bounds the time: a text as long as this is no seed.
    if len(text) > MOST_CHARACTERS or text.count("\n") >= MOST_LINES:
        size = f"{len(text):,} characters in {text.count(chr(10)) + 1:,} lines"
        too_large = Finding(
            code=Code.TOO_LARGE,
            line=1,
            column=1,
            end_column=1,
            text=f"the file has {size}: more than a seed can have",
            hint=f"a seed has at most {MOST_CHARACTERS:,} characters and {MOST_LINES:,} lines",
        )
        return Linted(rows=(), lines={}, findings=(too_large,))
    lines = list(lines_of(text))
    reader = Reader(Words.of(lines, methods))
    for line in lines:
        reader.read(line)
    findings = [*reader.findings, *judge_whole(reader.rows, unread=reader.unread)]
    findings.sort(key=lambda finding: (finding.line, finding.column, finding.end_column, finding.code))
    return Linted(
        rows=tuple(reader.rows),
        lines={row: line.number for row, line in reader.rows.items()},
        findings=tuple(findings),
    )
