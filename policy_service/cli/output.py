"""How the command speaks: tables for people, JSON for machines, colours only on a terminal."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import IO, Any, Final

import typer
from policy_client import Revision
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column, Table

_UNFOLDED: Final = 10_000


def columns() -> int | None:
    """How wide a table may be: as COLUMNS says, wherever it goes; else as the terminal is, which None stands for.

    Into a file or another program nothing is folded then: a line is a row.
    """
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), _UNFOLDED)
    return None if sys.stdout.isatty() else _UNFOLDED


# No emoji: a place like seed.csv:100: is one of them.
out = Console(highlight=False, soft_wrap=True, emoji=False, width=columns())
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


STANDARD: Final = Path("-")
"""As a file's name: standard input or output."""

Moved = Callable[[int, int], None]
"""Told how much is done, of how much."""


class Exit(IntEnum):
    """Exit statuses."""

    OK = 0
    DENIED = 1
    ERROR = 2
    INCOMPLETE = 3


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_json_items(items: Iterable[Any]) -> None:
    """A JSON list on standard output, item by item as they come."""
    between = "["
    for item in items:
        sys.stdout.write(f"{between}\n{json.dumps(item, indent=2, ensure_ascii=False)}")
        between = ","
    sys.stdout.write("[]\n" if between == "[" else "\n]\n")


def print_json_lines(items: Iterable[Any]) -> None:
    """A JSON document in each line of standard output, as they come."""
    for item in items:
        sys.stdout.write(f"{json.dumps(item, ensure_ascii=False)}\n")


def print_table(columns: Sequence[str | Column], rows: Iterable[Sequence[str]], *, caption: str) -> None:
    """A table with its caption below. What does not fit goes on in the next line; nothing is cut off."""
    whole = (Column(column, overflow="fold") if isinstance(column, str) else column for column in columns)
    table = Table(*whole, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(f"[dim]{escape(caption)}[/dim]")


def print_error(words: str) -> None:
    """An error for a person, on standard error."""
    err.print(f"[bold red]error:[/bold red] {escape(words)}")


def yes_no(yes: bool) -> str:  # noqa: FBT001 - the one thing it shows.
    """A coloured yes or no."""
    return "[green]yes[/green]" if yes else "[red]no[/red]"


def print_done(words: str, revision: int, *, as_json: bool = False, **more: object) -> None:
    """What was done, and the revision that shows it; as JSON, with what ``more`` there is for programs."""
    if as_json:
        token = {"token": revision.token} if isinstance(revision, Revision) else {}
        print_json({"revision": revision, **token, **more})
    else:
        out.print(f"[green]done[/green]: {escape(words)} [dim](revision {revision})[/dim]")


@contextmanager
def progress_bar(words: str) -> Iterator[Moved]:
    """A bar on standard error, where somebody looks at it; called with how much is done, of how much."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def written(output: Path | None, *, private: bool = False) -> Iterator[IO[str]]:
    """A file that is there whole or not at all, or standard output; a ``private`` one is for its owner's eyes only."""
    if output is None or output == STANDARD:
        yield sys.stdout
        return
    if output.exists() and not output.is_file():
        # A device or a pipe is written to, never replaced.
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    if not output.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(output.parent))
    beside = output.with_name(output.name + ".part")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600 if private else 0o666)
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """A file's text, or that of standard input (-). Raises ValueError, naming a file that is no text, and OSError."""
    try:
        return sys.stdin.buffer.read().decode() if path == STANDARD else path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise ValueError(f"{path} is not UTF-8 text: see byte {fault.start + 1:,}") from fault


def when(moment: datetime | None) -> str:
    """A time for people, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""


def ask(question: str) -> bool | None:
    """What the person at the terminal answers, no unless they say yes; None where nobody is."""
    return typer.confirm(question, err=True) if somebody_there() else None


def somebody_there() -> bool:
    """Is standard input a terminal?"""
    return sys.stdin.isatty()
