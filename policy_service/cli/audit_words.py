"""How the audit commands put what they found: rows of policy in words, tables, rows for spreadsheets."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from policy_client import (
    AccessDiff,
    AccessPeriod,
    AccessReview,
    Change,
    LoggedDecision,
    Reason,
    ReviewedAccess,
    ReviewedAction,
)
from rich.markup import escape
from rich.table import Column

from policy_service.cli.calling import plain
from policy_service.cli.kinds import EVIDENCE
from policy_service.cli.output import out, print_table, yes_no
from policy_service.cli.sheets import Cell

_MOST_LINES = 12

CHANGE_COLUMNS = (
    "revision", "at", "caller", "actor", "reason", "kind", "physician", "removed", "added", "detail", "hash",
)  # fmt: skip
DECISION_COLUMNS = (
    "decision_id", "at", "caller", "user", "physician", "action", "channel", "allowed", "why", "role", "revision",
    "resource", "correlation_id",
)  # fmt: skip
REVIEW_COLUMNS = (
    "physician", "user", "action", "shown", "mobile", "why", "role", "since", "granted_by", "by", "revision",
)  # fmt: skip
PERIOD_COLUMNS = ("physician", "user", "action", "from", "until", "from_revision", "until_revision")
DIFF_COLUMNS = ("physician", "user", "gained", "lost", "earlier_revision", "later_revision")


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


def review_cells(review: AccessReview) -> Iterator[Sequence[Cell]]:
    """A row for each person, account and action, with the role that decided and its beginning."""
    for access in review.access:
        held = {role.role: role for role in access.roles}
        for action in access.actions:
            through = held.get(action.role or "")
            yield (
                access.physician, access.user, action.action, action.shown, action.mobile, action.reason.value,
                action.role or "", through.since.isoformat() if through else "", through.granted_by if through else "",
                through.kind if through else "", review.revision,
            )  # fmt: skip


def print_review(review: AccessReview) -> None:
    """Who by what, then since when and by whom, then the account's own roles and open invitations."""
    by_user = bool(review.user)
    subject = review.user or f"{review.physician} {f'({review.display_name})' if review.display_name else ''}".strip()
    out.print(
        f"[bold]{escape(subject)}[/bold] at revision {review.revision}, made {moment(review.at)} UTC "
        f"[dim](entry {review.hash[:16]}…)[/dim]"
    )
    if review.access:
        _print_access(review, by_user=by_user)
    else:
        out.print("Held nothing anywhere then.")
    if review.pending:
        print_table(
            ["physician" if by_user else "invited", "e-mail", "to hold", "by", "since (UTC)", "until (UTC)"],
            [
                (
                    escape(one.physician if by_user else one.username), escape(one.email),
                    escape(", ".join((*one.roles, *one.actions))), escape(one.invited_by), moment(one.invited_at),
                    moment(one.expires_at),
                )
                for one in review.pending
            ],
            caption="Open invitations, which grant nothing",
        )  # fmt: skip


def _print_access(review: AccessReview, *, by_user: bool) -> None:
    actions = [action.action for action in review.access[0].actions]
    print_table(
        ["physician" if by_user else "user", *(Column(_heading(action), justify="center") for action in actions)],
        [(_who(access, by_user=by_user), *(_mark(action) for action in access.actions)) for access in review.access],
        caption=f"{sum(access.has_access for access in review.access)} with access. ✓ shown, ✓m in the mobile app too, "
        "· hidden, ✗ denied by a rule",
    )
    print_table(
        ["physician" if by_user else "user", "role", "since (UTC)", "granted by", "how", "revision"],
        [
            (
                _who(access, by_user=by_user), escape(held.role), moment(held.since), escape(held.granted_by),
                escape(held.kind), str(held.since_revision),
            )
            for access in review.access
            for held in access.roles
        ],
        caption="Roles that are held directly",
    )  # fmt: skip
    if review.custom_roles:
        print_table(
            ["role", "allows in the end", "denies", "includes", "held by"],
            [
                tuple(escape(", ".join(part)) for part in ((r.role,), r.allowed, r.deny, r.includes, r.holders))
                for r in review.custom_roles
            ],
            caption="Roles of this account's own",
        )


def period_cells(could: AccessPeriod) -> Iterator[Sequence[Cell]]:
    """A row for each person, account, action and stretch of time."""
    for span in could.spans:
        yield (
            span.physician, span.user, span.action, span.begun.isoformat() if span.begun else "",
            span.ended.isoformat() if span.ended else "", span.begun_revision or "", span.ended_revision or "",
        )  # fmt: skip


def print_period(could: AccessPeriod, begin: datetime, end: datetime | None) -> None:
    """Who could what from when to when; actions that came and went together stand in one line."""
    lines: dict[tuple[str, str, str, str], list[str]] = {}
    for span in could.spans:
        begun = moment(span.begun) if span.begun else "before"
        ended = moment(span.ended) if span.ended else "still at the end"
        lines.setdefault((span.user, span.physician, begun, ended), []).append(span.action)
    print_table(
        ["user", "physician", "could", "from (UTC)", "until (UTC)"],
        [
            (escape(user), escape(physician), escape(" ".join(actions)), begun, ended)
            for (user, physician, begun, ended), actions in lines.items()
        ],
        caption=f"{len(could.users)} could at some time from {moment(begin)} to {moment(end) if end else 'now'} UTC; "
        f"revisions {could.earlier_revision} to {could.later_revision}",
    )


def diff_cells(diff: AccessDiff) -> Iterator[Sequence[Cell]]:
    """A row for each person and account."""
    for found in diff.differences:
        yield (
            found.physician, found.user, " ".join(found.gained), " ".join(found.lost), diff.earlier_revision,
            diff.later_revision,
        )  # fmt: skip


def print_diff(diff: AccessDiff) -> None:
    """Who gained and lost what."""
    print_table(
        ["physician", "user", "gained", "lost"],
        [
            (
                escape(found.physician),
                escape(found.user),
                f"[green]{escape(' '.join(found.gained))}[/green]",
                f"[red]{escape(' '.join(found.lost))}[/red]",
            )
            for found in diff.differences
        ],
        caption=f"changed from revision {diff.earlier_revision} to {diff.later_revision}: {len(diff.differences)}",
    )


def row_in_words(row: Sequence[str], *, with_place: bool) -> str:
    """A row of policy as a sentence: ``mia has data_entry for dr-osei``."""
    match row:
        case "g", subject, role, domain:
            verb = "includes" if subject.startswith("role:") else "has"
            words = f"{_name(subject)} {verb} {_name(role)}"
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


def _heading(action: str) -> str:
    return action.replace(":", "\n").replace("_", "\n")


def _who(access: ReviewedAccess, *, by_user: bool) -> str:
    name = escape(access.physician if by_user else access.user)
    return name if access.has_access else f"{name} [dim](no access)[/dim]"


def _mark(action: ReviewedAction) -> str:
    if action.shown:
        return "[green]✓m[/green]" if action.mobile else "[green]✓[/green]"
    return "[red]✗[/red]" if action.reason is Reason.DENIED_BY_RULE else "[dim]·[/dim]"


def _counted(things: str, count: int, *, more: bool, order: str = "newest first") -> str:
    return f"{things}, {order}: {count}" + ("; there are more: --limit N or --all" if more else "")
