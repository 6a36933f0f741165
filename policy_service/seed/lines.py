"""Rows as the lines of a seed.csv, in the one order that they are shown in."""

from collections.abc import Iterable

from policy_service.vocabulary import PTYPES, Row, info_of


def ordered(rows: Iterable[Row], *, among: Iterable[Row] | None = None) -> tuple[Row, ...]:
    """Rows in the one order that they are shown in: actions, rules by domain, role and action, grants.

    ``among`` are the rows that tell of the actions' places, where these do not.
    """
    wanted = tuple(rows)
    places = {row.values[0]: info_of(row.values).place for row in among or wanted if row.ptype == "a"}

    def place(row: Row) -> tuple[int, str, str, int, tuple[str, ...]]:
        if row.ptype == "a":
            return 0, row.domain, "", places[row.values[0]], row.values
        action = row.values[2] if row.ptype == "p" else ""
        return PTYPES.index(row.ptype) + 1, row.domain, row.values[0], places.get(action, -1), row.values

    return tuple(sorted(wanted, key=place))


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as lines of a seed.csv, in order."""
    return "".join(f"{line}\n" for line in csv_lines(ordered(rows)))


def csv_lines(rows: Iterable[Row]) -> list[str]:
    """Rows as lines of a seed.csv, as they come."""
    return [", ".join((row.ptype, *row.values)) for row in rows]
