"""Writes a policy back as the file that people keep: its comments stay where their rows do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from policy_service.policy_text import read_rows
from policy_service.seed.lines import csv_lines, ordered
from policy_service.vocabulary import Row


@dataclass(slots=True)
class _Paragraph:
    """Comment lines and the rows right under them, each with its own line."""

    comments: list[str] = field(default_factory=list)
    rows: list[tuple[Row, str]] = field(default_factory=list)


def rewritten(text: str, rows: Iterable[Row], *, name: str = "the file to follow") -> str:
    """The rows as CSV in the manner of a text that held such rows. Raises BrokenPolicy for a text that cannot be read.

    What is the same stays as it is written, in its place. Comments go with the
    last of the rows under them. A new row comes after the last one of the same
    role and domain, else at the end.
    """
    wanted = set(rows)
    # As a whole first: a fault has its place, and no row stands there twice.
    read_rows(text, name)
    paragraphs = _paragraphs(text)
    held: set[Row] = set()
    kept: list[_Paragraph] = []
    for paragraph in paragraphs:
        stay = [(row, line) for row, line in paragraph.rows if row in wanted]
        if stay or not paragraph.rows:
            held.update(row for row, _ in stay)
            kept.append(_Paragraph(paragraph.comments, stay))
    # What has no place of its own goes to the end.
    kept.append(_Paragraph())
    for row in ordered(wanted - held, among=wanted):
        _place(kept, row)
    return "".join(f"{line}\n" for paragraph in kept for line in [*paragraph.comments, *(r[1] for r in paragraph.rows)])


def _paragraphs(text: str) -> list[_Paragraph]:
    found = [_Paragraph()]
    for line in text.removesuffix("\n").split("\n") if text else ():
        rows = read_rows(line, "seed")
        if rows:
            found[-1].rows.append((rows[0], line))
        elif not line.strip():
            # An empty line ends a paragraph and belongs to none.
            found += [_Paragraph([line]), _Paragraph()]
        else:
            if found[-1].rows:
                found.append(_Paragraph())
            found[-1].comments.append(line)
    return found


def _place(paragraphs: Sequence[_Paragraph], row: Row) -> None:
    key = _key(row)
    for paragraph in reversed(paragraphs):
        for place in reversed(range(len(paragraph.rows))):
            if _key(paragraph.rows[place][0]) == key:
                paragraph.rows.insert(place + 1, (row, csv_lines([row])[0]))
                return
    paragraphs[-1].rows.append((row, csv_lines([row])[0]))


def _key(row: Row) -> tuple[str, str, str]:
    # Each action has a row of its own: a new one stands with the others.
    return row.ptype, row.domain, "" if row.ptype == "a" else row.values[0]
