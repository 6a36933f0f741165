"""A measured figure with what it stands beside and its goal; a run's figures as a table or JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report. The goal is on the ratio (``at_least``, ``within``) or on the value (``at_most``)."""

    name: str
    what: str
    value: float
    unit: str
    beside: float | None = None
    beside_what: str = ""
    at_least: float | None = None
    at_most: float | None = None
    within: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value divided by what it stands beside."""
        return self.value / self.beside if self.beside else None

    @property
    def met(self) -> bool | None:
        """Was the goal met? None where there is none."""
        if self.at_least is not None:
            return self.ratio is not None and self.ratio >= self.at_least
        if self.within is not None:
            return self.ratio is not None and self.ratio <= self.within
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def goal(self) -> str:
        """The goal in words."""
        if self.at_least is not None:
            return f"ratio ≥ {self.at_least:g}"
        if self.within is not None:
            return f"ratio ≤ {self.within:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        """Everything, with ratio and goal worked out."""
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "beside": self.beside,
            "beside_what": self.beside_what,
            "ratio": self.ratio,
            "goal": self.goal,
            "met": self.met,
        }


def as_json(conditions: dict[str, str], figures: Iterable[Figure]) -> str:
    """The whole run for machines."""
    return json.dumps({"conditions": conditions, "figures": {f.name: f.as_json() for f in figures}}, indent=2)


def print_table(conditions: dict[str, str], figures: Iterable[Figure]) -> None:
    """The whole run for people, on stdout."""
    table = Table(title="Side by side, in one run", title_justify="left")
    for heading in ("figure", "measured"):
        table.add_column(heading)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("beside")
    for heading in ("its value", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("goal", no_wrap=True)
    table.add_column("met")
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        beside = "" if figure.beside is None else _number(figure.beside)
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        value = f"{_number(figure.value)} {figure.unit}"
        table.add_row(figure.name, figure.what, value, figure.beside_what, beside, ratio, figure.goal, met)
    console = Console(width=None if Console().is_terminal else 170)
    console.print(table)
    for key, value in conditions.items():
        console.print(f"{key}: {value}", highlight=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.3g}"
