"""``audit review`` and ``audit diff``: who could do what at a time or over a period, and whose access changed."""

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer
from policy_client import AccessPeriod, AuditClient

from policy_service.cli import review_words as words
from policy_service.cli.audit_forms import AsCsv, Form, OfPhysician, Zone, form_of
from policy_service.cli.calling import AsJson, auditing, plain
from policy_service.cli.kinds import POLICY_KINDS
from policy_service.cli.output import STANDARD, print_done, print_json, written
from policy_service.cli.points import read_point, read_time, read_zone
from policy_service.cli.sheets import print_csv

_PERIOD = "90d"
Instant = "a revision's number, 2026-01-31 (its end), 2026-01-31T14:30, or 7d (ago)"
Beginning = Instant.replace("end", "start")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(review)
    app.command()(diff)


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
        _print_period(could, begin, end, form=form_of(as_json=as_json, as_csv=as_csv))
        return
    now = datetime.now(UTC)
    form, point = form_of(as_json=as_json, as_csv=as_csv), read_point(at, "--at", now, read_zone(zone), end=True)
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
    form, now = form_of(as_json=as_json, as_csv=as_csv), datetime.now(UTC)
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


def _print_period(could: AccessPeriod, begin: datetime, end: datetime | None, *, form: Form) -> None:
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
