"""How reviews, periods and differences of access are put: tables, and rows for spreadsheets."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from policy_client import (
    AccessDiff,
    AccessPeriod,
    AccessReview,
    Reason,
    ReviewedAccess,
    ReviewedAction,
)
from rich.markup import escape
from rich.table import Column

from policy_service.cli.audit_words import moment
from policy_service.cli.output import out, print_table
from policy_service.cli.sheets import Cell

REVIEW_COLUMNS = (
    "physician", "user", "action", "shown", "mobile", "why", "role", "since", "granted_by", "by", "revision",
)  # fmt: skip
PERIOD_COLUMNS = ("physician", "user", "action", "from", "until", "from_revision", "until_revision")
DIFF_COLUMNS = ("physician", "user", "gained", "lost", "earlier_revision", "later_revision")


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


def _heading(action: str) -> str:
    return action.replace(":", "\n").replace("_", "\n")


def _who(access: ReviewedAccess, *, by_user: bool) -> str:
    name = escape(access.physician if by_user else access.user)
    return name if access.has_access else f"{name} [dim](no access)[/dim]"


def _mark(action: ReviewedAction) -> str:
    if action.shown:
        return "[green]✓m[/green]" if action.mobile else "[green]✓[/green]"
    return "[red]✗[/red]" if action.reason is Reason.DENIED_BY_RULE else "[dim]·[/dim]"
