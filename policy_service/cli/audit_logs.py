"""``audit changes`` and ``audit decisions``: both logs, newest first, or decisions as they arrived."""

from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Annotated, TypedDict

import typer
from policy_client import AuditClient

from policy_service.cli import audit_words as words
from policy_service.cli.audit_arrivals import Reading
from policy_service.cli.audit_forms import (
    ON_A_SCREEN,
    AsCsv,
    Every,
    Form,
    Limit,
    OfPhysician,
    OfUser,
    Since,
    Until,
    Zone,
    form_of,
    print_list,
)
from policy_service.cli.calling import AsJson, auditing, complete_action, plain
from policy_service.cli.kinds import KINDS
from policy_service.cli.output import print_json_items, print_json_lines
from policy_service.cli.points import read_time, read_zone
from policy_service.cli.sheets import print_csv


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(changes)
    app.command()(decisions)


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
    print_list(
        found,
        form=form_of(as_json=as_json, as_csv=as_csv),
        limit=limit,
        every=every,
        columns=words.CHANGE_COLUMNS,
        json=words.change_json,
        cells=words.change_cells,
        table=partial(words.print_changes, about=f"user:{user}" if user else ""),
    )


@auditing
def decisions(
    client: AuditClient,
    *,
    user: OfUser = "",
    physician: OfPhysician = "",
    action: Annotated[
        str, typer.Option(help="Only this action.", show_default=False, autocompletion=complete_action)
    ] = "",
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
    form = form_of(as_json=as_json, as_csv=as_csv)
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
    print_list(
        client.decisions(**wanted),
        form=form,
        limit=limit,
        every=every,
        columns=words.DECISION_COLUMNS,
        cells=words.decision_cells,
        table=words.print_decisions,
    )


def _period(since: str, until: str, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    begin, end = read_time(since, "--since", now, zone), read_time(until, "--until", now, zone, end=True)
    if begin and begin > now:
        raise ValueError(f"--since {since} is still to come")
    if begin and end and begin >= end:
        raise ValueError(f"nothing is both since {since} and before --until {until}: the one is not before the other")
    return begin, end


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
