"""How both logs are put: rows of policy in words, tables, rows for spreadsheets."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from policy_client import (
    Change,
    LoggedDecision,
)
from rich.markup import escape
from rich.table import Column

from policy_service.cli.calling import plain
from policy_service.cli.kinds import EVIDENCE
from policy_service.cli.output import print_table, yes_no
from policy_service.cli.sheets import Cell
from policy_service.vocabulary import is_in_named, is_naming, method_in

_MOST_LINES = 12

CHANGE_COLUMNS = (
    "revision", "at", "caller", "actor", "reason", "kind", "physician", "removed", "added", "detail", "hash",
)  # fmt: skip
DECISION_COLUMNS = (
    "decision_id", "at", "caller", "user", "physician", "action", "channel", "allowed", "why", "role", "revision",
    "resource", "correlation_id",
)  # fmt: skip


def moment(at: datetime) -> str:
    """A time for people, in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def change_json(change: Change) -> dict[str, Any]:
    """An entry as JSON, its time spelt as in the hash: docs/audit.md recomputes the chain from this."""
    # Only here: it brings along what checks signatures.
    from policy_service.chain import instant

    return {**plain(change), "at": instant(change.at)}


def change_cells(changes: Iterable[Change]) -> Iterator[Sequence[Cell]]:
    """A row for each entry; rows of policy stand in one cell, as in a policy file."""
    for change in changes:
        removed, added = ("\n".join(", ".join(row) for row in rows) for rows in (change.before, change.after))
        detail = json.dumps(change.detail, ensure_ascii=False) if change.detail else ""
        yield (
            change.revision, change.at.isoformat(), change.caller, change.actor, change.reason, change.kind,
            change.physician, removed, added, detail, change.hash,
        )  # fmt: skip


def print_changes(changes: Sequence[Change], *, more: bool, about: str = "") -> None:
    """Entries with what began and what ended, in words; ``about`` is the subject that was asked about."""
    print_table(
        [Column("revision", justify="right"), "when (UTC)", "who, through what", "what", "physician", "change"],
        [
            (
                str(change.revision),
                moment(change.at),
                escape(f"{change.actor} ({change.caller})" + (f"\n{change.reason}" if change.reason else "")),
                escape(change.kind),
                escape(change.physician),
                "\n".join(_change_lines(change, about)),
            )
            for change in changes
        ],
        caption=_counted("entries", len(changes), more=more),
    )


def decision_cells(decisions: Iterable[LoggedDecision]) -> Iterator[Sequence[Cell]]:
    """A row for each decision."""
    for found in decisions:
        yield (
            found.decision_id, found.at.isoformat(), found.caller, found.user, found.physician, found.action,
            found.channel.value, found.allowed, found.reason.value, found.role or "", found.revision, found.resource,
            found.correlation_id,
        )  # fmt: skip


def print_decisions(decisions: Sequence[LoggedDecision], *, more: bool, order: str = "newest first") -> None:
    """Decisions as they were recorded."""
    print_table(
        ["when (UTC)", "user", "physician", "action", "allowed", "because", "asked by", "decision"],
        [
            (
                moment(found.at),
                escape(found.user),
                escape(found.physician),
                escape(found.action if found.channel.value == "web" else f"{found.action} ({found.channel.value})"),
                yes_no(found.allowed),
                escape(found.role or found.reason.value),
                escape(found.caller),
                escape(found.decision_id),
            )
            for found in decisions
        ],
        caption=_counted("decisions", len(decisions), more=more, order=order),
    )


def row_in_words(row: Sequence[str], *, with_place: bool) -> str:
    """A row of policy as a sentence: ``mia has data_entry for dr-osei``."""
    match row:
        case "g", subject, role, domain:
            verb = "includes" if subject.startswith("role:") else "has"
            words = f"{_name(subject)} {verb} {_name(role)}"
        case "p", subject, "system", right, effect if is_naming(right):
            return f"{_name(subject)} is {'' if effect == 'allow' else 'not '}named for {_name(right)}"
        case "p", subject, "system", right, effect if is_in_named(right):
            words = f"{_name(subject)} {'may' if effect == 'allow' else 'may not'} {method_in(right)}"
            return f"{words} for the physicians that it is named for"
        case "p", subject, domain, action, effect:
            words = f"{_name(subject)} {'may' if effect == 'allow' else 'may not'} {action}"
        case _:
            # No row at all: somebody wrote it past the service, and 'audit verify' names it.
            return f"not a row: {', '.join(row)}"
    return f"{words} for {_name(domain)}" if with_place and domain.startswith("physician:") else words


def _change_lines(change: Change, about: str) -> list[str]:
    """What a change did. Where it is too much, the rows of those who were asked about come first."""
    if change.kind == "policy.import":
        # Its entry names the rows that went, and of those that came their number only.
        counts = change.detail.get("counts")
        kinds = counts.items() if isinstance(counts, dict) else ()
        words = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in kinds)
        came_from = change.detail.get("from_revision", "?")
        return [f"[green]+ everything of another database's revision {came_from}: {escape(words)}[/green]"]
    with_place = not change.physician
    rows = [("red", "-", row) for row in change.before] + [("green", "+", row) for row in change.after]
    if len(rows) > _MOST_LINES and about:
        rows.sort(key=lambda told: about not in told[2])
    lines = [
        f"[{colour}]{sign} {escape(row_in_words(row, with_place=with_place))}[/{colour}]" for colour, sign, row in rows
    ]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"[dim]… {len(lines) - _MOST_LINES + 1} more rows: see --json[/dim]"]
    return lines + [
        f"[dim]{escape(f'{name}: {_plain(value)}')}[/dim]"
        for name, value in change.detail.items()
        if value and name not in EVIDENCE
    ]


def _plain(value: object) -> str:
    if isinstance(value, str) and "\n" in value:
        return f"{len(value.splitlines())} lines: see --json"
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _name(prefixed: str) -> str:
    kind, _, name = prefixed.partition(":")
    return f"service {name}" if kind == "service" else name


def _counted(things: str, count: int, *, more: bool, order: str = "newest first") -> str:
    return f"{things}, {order}: {count}" + ("; there are more: --limit N or --all" if more else "")
