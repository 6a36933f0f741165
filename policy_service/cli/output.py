"""How the command speaks: tables for people, JSON for machines, colours only on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit statuses."""

    OK = 0
    DENIED = 1
    ERROR = 2


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> None:
    """A table with its caption below."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
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


def ask(question: str) -> bool | None:
    """The answer of the person at the terminal, on which it is no unless they say yes; None where nobody is."""
    if not somebody_there():
        return None
    return typer.confirm(question, err=True)


def somebody_there() -> bool:
    """Is standard input a terminal?"""
    return sys.stdin.isatty()
