"""Judges a seed whole and offline: every fault with its place, what is wrong and how to mend it.

Refuses nothing itself. An error is what must not reach the store, so whoever
takes a seed in, from a file or over the wire, takes it only without errors
(``policy_files.seed_rows``); a warning is what its author should look at.
"""

from policy_service.policy_text.lines import lines_of
from policy_service.policy_text.lint.findings import CODES, Code, Finding, Level, Linted
from policy_service.policy_text.lint.reading import Reader
from policy_service.policy_text.lint.spelling import Words
from policy_service.policy_text.lint.whole import judge_whole

MOST_BYTES = 512 << 10
MOST_LINES = 5_000

__all__ = ["CODES", "MOST_BYTES", "MOST_LINES", "Code", "Finding", "Level", "Linted", "is_too_large", "lint"]


def lint(text: str, *, methods: frozenset[str] | None = None) -> Linted:
    """Judge a seed's text. With ``methods``, the contract's ``Service/Method`` names, unknown ones are errors too."""
    if is_too_large(text):
        too_large = Finding(
            code=Code.TOO_LARGE,
            line=1,
            column=1,
            end_column=1,
            text="the file is larger than a seed can be",
            hint=f"a seed has at most {MOST_BYTES:,} bytes and {MOST_LINES:,} lines",
        )
        return Linted(rows=(), lines={}, findings=(too_large,))
    lines = list(lines_of(text))
    words = Words.of(lines, methods)
    reader = Reader(words)
    for line in lines:
        reader.read(line)
    findings = [*reader.findings, *judge_whole(reader.rows, words, unread=reader.unread)]
    findings.sort(key=lambda finding: (finding.line, finding.column, finding.end_column, finding.code))
    return Linted(
        rows=tuple(reader.rows),
        lines={row: line.number for row, line in reader.rows.items()},
        findings=tuple(findings),
    )


def is_too_large(text: str) -> bool:
    """No seed is as long as this: it bounds the time that a judgement takes, and what is sent."""
    if len(text) > MOST_BYTES or text.count("\n") >= MOST_LINES:
        return True
    return len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES
