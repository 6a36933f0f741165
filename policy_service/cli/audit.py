"""The ``audit`` commands: what was changed and decided, who could do what, whose access changed."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, TypeVar

import typer
from policy_client import AccessPeriod, AuditClient

from policy_service.cli import audit_verify, collisions
from policy_service.cli import audit_words as words
from policy_service.cli.audit_arrivals import Reading
from policy_service.cli.calling import AsJson, auditing, plain
from policy_service.cli.kinds import KINDS, POLICY_KINDS
from policy_service.cli.output import STANDARD, print_done, print_json, print_json_items, print_json_lines, written
from policy_service.cli.points import read_point, read_time, read_zone
from policy_service.cli.sheets import Cell, print_csv

_PERIOD = "90d"
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
Instant = "a revision's number, 2026-01-31 (its end), 2026-01-31T14:30, or 7d (ago)"
Beginning = Instant.replace("end", "start")

Found = TypeVar("Found")

app = typer.Typer(help="For auditors: what was changed and decided, who could do what and when.", no_args_is_help=True)
audit_verify.add_to(app)
collisions.add_to(app)


@app.command()
@auditing
def changes(
    client: AuditClient,
    *,
    physician: OfPhysician = "",
    user: OfUser = "",
    actor: Annotated[str, typer.Option(help="Only done by this person.", show_default=False)] = "",
    kind: Annotated[str, typer.Option(help=f"Only of this kind: {', '.join(KINDS)}.", show_default=False)] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = None,
    every: Every = False,
    zone: Zone = "UTC",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The change log, newest first: who changed what, when, for whom."""
    if kind and kind not in KINDS:
        raise ValueError(f"--kind {kind!r} is none of {', '.join(KINDS)}")
    begin, end = _period(since, until, read_zone(zone))
    found = client.changes(physician=physician, user=user, actor=actor, kind=kind, since=begin, until=end)
    _print_list(
        found,
        form=_form(as_json=as_json, as_csv=as_csv),
        limit=limit,
        every=every,
        columns=words.CHANGE_COLUMNS,
        json=words.change_json,
        cells=words.change_cells,
        table=partial(words.print_changes, about=f"user:{user}" if user else ""),
    )


@app.command()
@auditing
def decisions(
    client: AuditClient,
    *,
    user: OfUser = "",
    physician: OfPhysician = "",
    action: Annotated[str, typer.Option(help='Only this action, as "claim:submit".', show_default=False)] = "",
    caller: Annotated[str, typer.Option(help="Only asked by this service.", show_default=False)] = "",
    decision_id: Annotated[str, typer.Option("--id", help="The decision with this id.", show_default=False)] = "",
    correlation_id: Annotated[
        str, typer.Option("--correlation", help="Only asked under this correlation id.", show_default=False)
    ] = "",
    allowed: Annotated[
        bool | None, typer.Option("--allowed/--denied", help="Only the ones or the others.", show_default=False)
    ] = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = None,
    every: Every = False,
    by_arrival: Annotated[
        bool, typer.Option("--by-arrival", help="In the order in which they reached the database, oldest first.")
    ] = False,
    after: Annotated[
        str, typer.Option(help="By arrival, behind this place: a cursor of an earlier call.", show_default=False)
    ] = "",
    cursor_file: Annotated[
        Path | None,
        typer.Option(help="By arrival, behind the place kept in this file; keep the new one.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="By arrival, and wait for more; with --json a document in each line.")
    ] = False,
    zone: Zone = "UTC",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Recorded decisions, newest first: who asked what, and the answer with its reason.

    An export that goes on where the last one ended goes by arrival: a process that was cut off brings its own late.
    """
    begin, end = _period(since, until, read_zone(zone))
    wanted = _Wanted(
        user=user,
        physician=physician,
        action=action,
        # As seed.csv calls it, or without its prefix, as the log does.
        caller=caller.removeprefix("service:"),
        decision_id=decision_id,
        correlation_id=correlation_id,
        allowed=allowed,
        since=begin,
        until=end,
    )
    form = _form(as_json=as_json, as_csv=as_csv)
    if by_arrival or after or cursor_file or follow:
        if form == "table" and (cursor_file or follow):
            raise ValueError("--cursor-file and --follow are for --json and --csv")
        if form == "table":
            limit = None if every else limit or ON_A_SCREEN
        reading = Reading(
            lambda place, size: client.arrivals(place, page_size=size, **wanted),
            after=after,
            kept_in=cursor_file,
            limit=limit,
            follow=follow,
        )
        _print_arrivals(reading, form=form, follow=follow)
        return
    _print_list(
        client.decisions(**wanted),
        form=form,
        limit=limit,
        every=every,
        columns=words.DECISION_COLUMNS,
        cells=words.decision_cells,
        table=words.print_decisions,
    )


@app.command()
@auditing
def review(
    client: AuditClient,
    physician: Annotated[
        str, typer.Argument(metavar="PHYSICIAN", help="A physician account.", show_default=False)
    ] = "",
    *,
    user: Annotated[
        str, typer.Option("--user", help="Instead of an account: everywhere this user can act.", show_default=False)
    ] = "",
    at: Annotated[str, typer.Option(help=f"As it was then: {Instant}.", show_default="now")] = "",
    period_from: Annotated[
        str,
        typer.Option(
            "--from",
            help="Instead of --at: everyone who could at any time from then on, and when: 2026-01-31, or 7d (ago).",
            show_default=False,
        ),
    ] = "",
    period_until: Annotated[
        str, typer.Option("--until", help="With --from: to then; a date is all of that day.", show_default="now")
    ] = "",
    action: Annotated[str, typer.Option(help="With --from: only who could do this.", show_default=False)] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page to read, print and file.", show_default=False)] = None,
    since: Annotated[
        str,
        typer.Option(help="With --html: show the changes from this time on; 90d is before --at.", show_default="90d"),
    ] = "",
    zone: Zone = "UTC",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Who could do what in PHYSICIAN's account, since when and granted by whom."""
    if bool(physician) == bool(user):
        raise ValueError("a review is of one account or of one user: audit review PHYSICIAN, or audit review --user U")
    if since and not html:
        raise ValueError("--since is the period of changes in the page: give --html too")
    if as_csv and html:
        raise ValueError("--html or --csv: the answer has one form")
    if not period_from and (period_until or action):
        raise ValueError("--until and --action are of a period: give its beginning too, --from")
    if period_from:
        if at or html or since:
            raise ValueError("--from reviews a period, as a table, JSON or CSV: leave --at, --html and --since out")
        now = datetime.now(UTC)
        begin, end = (
            read_time(period_from, "--from", now, read_zone(zone)),
            read_time(period_until, "--until", now, read_zone(zone), end=True),
        )
        assert begin is not None  # noqa: S101 - it is not empty.
        if end and begin >= end:
            raise ValueError(f"nothing is both from {period_from} on and until {period_until}")
        could = client.period(physician=physician, user=user, action=action, since=begin, until=end)
        _print_period(could, begin, end, form=_form(as_json=as_json, as_csv=as_csv))
        return
    now = datetime.now(UTC)
    form, point = _form(as_json=as_json, as_csv=as_csv), read_point(at, "--at", now, read_zone(zone), end=True)
    begin = _begin(since or _PERIOD, point if isinstance(point, datetime) else now, read_zone(zone)) if html else None
    found = client.review_account(physician, at=point) if physician else client.review_user(user, at=point)
    if html:
        # Late: the other commands need no templates.
        from policy_service.cli.report import render

        if isinstance(point, int):
            begin = _begin(since or _PERIOD, found.at, read_zone(zone))
        changes = list(client.changes(physician=physician, user=user, since=begin))
        for kind in POLICY_KINDS:
            changes += client.changes(kind=kind, since=begin)
        told = {change.revision: change for change in changes}
        with written(html, private=True) as file:
            file.write(render(found, list(told.values()), since=begin, made_at=now))
        if html != STANDARD:
            print_done(f"{html} is written", found.revision, as_json=as_json)
    elif form == "json":
        print_json(plain(found))
    elif form == "csv":
        print_csv(words.REVIEW_COLUMNS, words.review_cells(found))
    else:
        words.print_review(found)


@app.command()
@auditing
def diff(
    client: AuditClient,
    *,
    earlier: Annotated[str, typer.Option("--from", help=f"The earlier point: {Beginning}.", show_default=False)],
    later: Annotated[str, typer.Option("--to", help=f"The later point: {Instant}.", show_default="now")] = "",
    physician: OfPhysician = "",
    zone: Zone = "UTC",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Whose access is another at the later point than at the earlier one, and what they gained and lost."""
    form, now = _form(as_json=as_json, as_csv=as_csv), datetime.now(UTC)
    found = client.diff(
        read_point(earlier, "--from", now, read_zone(zone)),
        read_point(later, "--to", now, read_zone(zone), end=True),
        physician=physician,
    )
    if form == "json":
        print_json(plain(found))
    elif form == "csv":
        print_csv(words.DIFF_COLUMNS, words.diff_cells(found))
    else:
        words.print_diff(found)


def _print_period(could: AccessPeriod, begin: datetime, end: datetime | None, *, form: "Form") -> None:
    if form == "json":
        print_json(plain(could))
    elif form == "csv":
        print_csv(words.PERIOD_COLUMNS, words.period_cells(could))
    else:
        words.print_period(could, begin, end)


def _begin(since: str, end: datetime, zone: tzinfo) -> datetime | None:
    """The beginning of a report's period, which ends with what is reviewed, whenever that was."""
    begin = read_time(since, "--since", end, zone)
    if begin and begin > end:
        raise ValueError(f"--since {since} is after what is reviewed, {end:%Y-%m-%d %H:%M} UTC")
    return begin


def _period(since: str, until: str, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    begin, end = read_time(since, "--since", now, zone), read_time(until, "--until", now, zone, end=True)
    if begin and begin > now:
        raise ValueError(f"--since {since} is still to come")
    if begin and end and begin >= end:
        raise ValueError(f"nothing is both since {since} and before --until {until}: the one is not before the other")
    return begin, end


class _Wanted(TypedDict):
    """Which decisions."""

    user: str
    physician: str
    action: str
    caller: str
    decision_id: str
    correlation_id: str
    allowed: bool | None
    since: datetime | None
    until: datetime | None


Form = Literal["table", "json", "csv"]


def _form(*, as_json: bool, as_csv: bool) -> Form:
    if as_json and as_csv:
        raise ValueError("--json or --csv: the answer has one form")
    return "json" if as_json else "csv" if as_csv else "table"


def _print_arrivals(reading: Reading, *, form: Form, follow: bool) -> None:
    found = reading.decisions()
    if form == "csv":
        print_csv(words.DECISION_COLUMNS, words.decision_cells(found))
    elif form == "json" and follow:
        print_json_lines(plain(one) for one in found)
    elif form == "json":
        print_json_items(plain(one) for one in found)
    else:
        words.print_decisions(list(found), more=False, order="by arrival")
    reading.say_where()


def _print_list(
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
