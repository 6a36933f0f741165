"""Writes an access review as one page of HTML that a privacy officer can read, print and file.

The page needs nothing else: no script, no font, no picture from elsewhere. It says
nothing that is not in the review or in the changes given, and the same about the
same, byte for byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from policy_client.answers import Reason
from policy_client.reviews import AccessReview, Change, ReviewedAccess, ReviewedAction

from policy_service.cli.report_changes import kind_words, tell
from policy_service.cli.report_timeline import timeline_of
from policy_service.cli.report_words import (
    Marks,
    able_to,
    action_label,
    areas_of,
    legend,
    marks_of,
    minute,
    role_name,
    role_title,
)

_DASH: Final = "–"  # noqa: RUF001 - typeset, for people.

# The template is HTML throughout, so all that is put into it is escaped.
_environment = Environment(
    loader=PackageLoader("policy_service.cli", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    minute=minute, role_name=role_name, role_title=role_title, kind_words=kind_words, action_label=action_label
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One action of one person: what is seen, and what it means in words."""

    sign: str
    tone: str
    words: str
    mobile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One person, or one account in the review of a person."""

    name: str
    roles: tuple[str, ...]
    cells: tuple[Cell, ...]
    shown: int


def render(review: AccessReview, changes: Sequence[Change], *, since: datetime | None, made_at: datetime) -> str:
    """The page. Of the changes it tells those since then, up to the review's revision; ``since`` None: all of them."""
    told = [
        told_change
        for change in sorted(changes, key=lambda change: change.revision)
        if change.revision <= review.revision and (since is None or change.at >= since)
        if (told_change := tell(change, review)).concerns
    ]
    marks = marks_of(review)
    areas = areas_of(review.catalogue, (action.action for access in review.access for action in access.actions))
    actions = [action for _, within in areas for action, _ in within]
    return _environment.get_template("review.html").render(
        review=review,
        subject=review.user or review.physician,
        areas=areas,
        actions=actions,
        rows=[_row(access, actions, marks, by_account=bool(review.user)) for access in review.access],
        totals=[_count(review, action) for action in actions],
        legend=legend(marks),
        numbers=list(_numbers(review)),
        changes=told,
        timeline=timeline_of(told, since, review.at),
        since=since,
        made_at=made_at,
    )


def _row(access: ReviewedAccess, actions: Sequence[str], marks: Marks, *, by_account: bool) -> MatrixRow:
    by_name = {action.action: action for action in access.actions}
    return MatrixRow(
        name=access.physician if by_account else access.user,
        roles=tuple(role_name(held.role) for held in access.roles),
        cells=tuple(_cell(by_name.get(action), access.physician, marks) for action in actions),
        shown=sum(action.shown for action in access.actions),
    )


def _cell(action: ReviewedAction | None, physician: str, marks: Marks) -> Cell:
    if action is None:
        return Cell(sign="?", tone="hidden", words="not in this review", mobile=False)
    mark = marks.get((physician, action.role or ""))
    through = f" through {mark.name}" if mark else ""
    if action.shown:
        mobile = ", also in the mobile app" if action.mobile else ""
        return Cell(
            sign=mark.letter if mark else "✓",
            tone=mark.tone if mark else "custom",
            words=f"shown{through}{mobile}",
            mobile=action.mobile,
        )
    if action.reason is Reason.DENIED_BY_RULE:
        letter = mark.letter if mark else ""
        return Cell(sign=f"✗{letter}", tone="denied", words=f"hidden: denied by rule{through}", mobile=False)
    return Cell(sign=_DASH, tone="hidden", words=f"hidden: {action.reason.value}", mobile=False)


def _count(review: AccessReview, wanted: str) -> int:
    return sum(action.shown for access in review.access for action in access.actions if action.action == wanted)


def _numbers(review: AccessReview) -> Iterator[tuple[int, str]]:
    yield (
        sum(access.has_access for access in review.access),
        "accounts with access" if review.user else "people with access",
    )
    for info in review.catalogue:
        if info.headline:
            words = able_to(info.title)
            yield _count(review, info.action), f"where they can {words}" if review.user else f"can {words}"
