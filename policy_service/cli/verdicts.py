"""How ``seed test`` tells what it found: tables for people, JSON for machines."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape

from policy_service.cli.output import err, print_json, print_table
from policy_service.policy_text import CallerQuestion, UserQuestion
from policy_service.seed import Result, Tested
from policy_service.vocabulary import SYSTEM_DOMAIN, Row, subject_of_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a seed is reached: its rows, and those that decided nothing, with their lines if it is a file."""

    seed: str
    rows: int
    unreached: tuple[tuple[int | None, Row], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Everything to tell; ``left_out`` names files with the reason, and without a known seed there is no coverage."""

    files: tuple[Tested, ...]
    left_out: tuple[tuple[str, str], ...]
    coverage: Coverage | None

    @property
    def failed(self) -> bool:
        """Was any decision not as expected?"""
        return any(tested.failed for tested in self.files)


def print_verdict(verdict: Verdict, *, verbose: bool) -> None:
    """Tables on standard output; what was left out or never reached on standard error."""
    shown = [(t.file, r) for t in verdict.files for r in (t.results if verbose else t.failed)]
    if shown:
        _print_results(shown, "Every decision." if verbose else "Decisions that are not as expected.")
    total = sum(len(tested.results) for tested in verdict.files)
    wrong = sum(len(tested.failed) for tested in verdict.files)
    print_table(
        ["file", "decisions", "as expected", "not as expected", "at revision"],
        [
            (
                _cell(tested.file),
                str(len(tested.results)),
                str(len(tested.results) - len(tested.failed)),
                f"[red]{len(tested.failed)}[/red]" if tested.failed else "0",
                ", ".join(str(revision) for revision in tested.revisions),
            )
            for tested in verdict.files
        ],
        caption=f"{total} decisions, {f'{wrong} not as expected' if wrong else 'all as expected'}{_reach(verdict)}.",
    )
    for file, reason in verdict.left_out:
        err.print(f"[bold]left out:[/bold] {_cell(file)}: {reason}")
    if verdict.coverage:
        for line, row in verdict.coverage.unreached:
            place = f"{verdict.coverage.seed}:{line}" if line else verdict.coverage.seed
            err.print(f"[yellow]never reached:[/yellow] {_cell(place)}: {_csv(row)}")


def print_verdict_as_json(verdict: Verdict, *, verbose: bool) -> None:
    """The same as one document."""
    coverage = verdict.coverage
    document: dict[str, Any] = {
        "decisions": sum(len(tested.results) for tested in verdict.files),
        "failed": [_plain(tested.file, result) for tested in verdict.files for result in tested.failed],
        "files": [
            {
                "file": tested.file,
                "decisions": len(tested.results),
                "failed": len(tested.failed),
                "revisions": tested.revisions,
            }
            for tested in verdict.files
        ],
        "left_out": [{"file": file, "reason": reason} for file, reason in verdict.left_out],
        "coverage": coverage
        and {
            "seed": coverage.seed,
            "rows": coverage.rows,
            "unreached": [{"line": line, "row": _csv(row)} for line, row in coverage.unreached],
        },
    }
    if verbose:
        document["results"] = [_plain(tested.file, result) for tested in verdict.files for result in tested.results]
    print_json(document)


def cells(question: UserQuestion | CallerQuestion) -> tuple[str, str, str, str]:
    """Who, where, what, and by which channel."""
    if isinstance(question, UserQuestion):
        return question.user, question.physician, question.action, question.channel
    return subject_of_service(question.caller), SYSTEM_DOMAIN, question.method, ""


def word(allowed: bool) -> str:  # noqa: FBT001 - the one thing it tells.
    """A decision in a word."""
    return "allowed" if allowed else "denied"


def _print_results(results: Iterable[tuple[str, Result]], caption: str) -> None:
    columns = ["file", "who", "where", "what", "channel", "expected", "found", "reason", "why"]
    rows = [
        (
            _cell(f"{file}:{result.line}"),
            *cells(result.question),
            word(result.expected),
            f"[{'green' if result.passed else 'red'}]{word(result.found)}[/]",
            result.reason,
            _cell(result.why),
        )
        for file, result in results
    ]
    print_table(columns, rows, caption=caption)


def _reach(verdict: Verdict) -> str:
    coverage = verdict.coverage
    if coverage is None:
        return ""
    return f"; {coverage.rows - len(coverage.unreached)} of {coverage.rows} rows of {coverage.seed} reached"


def _plain(file: str, result: Result) -> dict[str, Any]:
    place = {"file": file, "line": result.line, "why": result.why}
    decision = {"expected": result.expected, "found": result.found, "reason": result.reason}
    return {**place, **asdict(result.question), **decision}


def _csv(row: Row) -> str:
    return ", ".join([row.ptype, *row.values])


def _cell(text: str) -> str:
    """Text from a file in one line, without what a terminal would obey."""
    words = " ".join(text.split())
    return escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words))
