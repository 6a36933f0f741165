"""What the audit commands share: of whom and when, how much of it, and in which form."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

import typer

from policy_service.cli.calling import plain
from policy_service.cli.output import print_json_items
from policy_service.cli.sheets import Cell, print_csv

ON_A_SCREEN = 50
"""Entries of a table, unless told otherwise; JSON and CSV hold all."""

OfPhysician = Annotated[str, typer.Option("--physician", help="Only this account.", show_default=False)]
OfUser = Annotated[str, typer.Option("--user", help="Only about this user.", show_default=False)]
Since = Annotated[
    str, typer.Option(help="From this time on: 2026-01-31, 2026-01-31T14:30, or 7d (ago).", show_default=False)
]
Until = Annotated[
    str, typer.Option(help="Before this time; as --since, but a date is the whole day.", show_default=False)
]
Limit = Annotated[
    int | None, typer.Option(min=1, help=f"At most so many. [default: {ON_A_SCREEN} in a table, else all]")
]
Every = Annotated[bool, typer.Option("--all", help="All there are, in a table too.")]
Zone = Annotated[
    str, typer.Option("--zone", envvar="POLICY_ZONE", help="Of dates and times that name none: America/Toronto.")
]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="Print CSV for a spreadsheet; what it would compute gets a ' in front.")
]

Found = TypeVar("Found")

Form = Literal["table", "json", "csv"]


def form_of(*, as_json: bool, as_csv: bool) -> Form:
    """The one form that is wanted; raises ValueError for two."""
    if as_json and as_csv:
        raise ValueError("--json or --csv: the answer has one form")
    return "json" if as_json else "csv" if as_csv else "table"


def print_list(
    found: Iterable[Found],
    *,
    form: Form,
    limit: int | None,
    every: bool,
    columns: Sequence[str],
    json: Callable[[Any], Any] = plain,
    cells: Callable[[Iterable[Found]], Iterable[Sequence[Cell]]],
    table: Callable[..., Any],
) -> None:
    """Print a list as it comes, or its beginning as a table that says if there is more."""
    if limit and every:
        raise ValueError("--limit or --all: not both")
    if form == "json":
        print_json_items(json(one) for one in islice(found, limit))
    elif form == "csv":
        print_csv(columns, cells(islice(found, limit)))
    else:
        most = None if every else limit or ON_A_SCREEN
        shown = list(islice(found, most + 1 if most else None))
        table(shown[:most], more=most is not None and len(shown) > most)
