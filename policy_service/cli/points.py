"""Reads times and revisions as people write them. What cannot be read raises ValueError, with the forms there are."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_AGO = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_REVISION = re.compile(r"\d{1,18}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FORMS = "2026-01-31 (its start), 2026-01-31T14:30, or 7d ago as 7d (m, h, d, w); in --zone, or with one"


def read_zone(name: str) -> tzinfo:
    """A zone by its IANA name; raises ValueError."""
    try:
        # Known without a database of zones too.
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise ValueError(f"--zone {name!r} is no zone's name, as America/Toronto or UTC") from fault


def read_time(text: str | None, option: str, now: datetime, zone: tzinfo = UTC) -> datetime | None:
    """A time: a date is its start, and what names no zone is of ``zone``."""
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago.group(1)) * _UNITS[ago.group(2)]
        moment = datetime.fromisoformat(text)
        # At the ends of the calendar another zone's time may have none in UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise ValueError(f"{option} {text!r} is not a time: {_FORMS}") from fault


def read_end(text: str | None, option: str, now: datetime, zone: tzinfo = UTC) -> datetime | None:
    """The end of a period, which a day named belongs to: a date is the start of the day after."""
    if text and _DATE.fullmatch(text):
        begin = read_time(text, option, now)
        assert begin is not None  # noqa: S101 - there is a text.
        return (begin.replace(tzinfo=zone) + timedelta(days=1)).astimezone(UTC)
    return read_time(text, option, now, zone)


def read_point(text: str | None, option: str, now: datetime, zone: tzinfo = UTC) -> int | datetime | None:
    """A revision by its number, or a time."""
    if text and _REVISION.fullmatch(text):
        return int(text)
    try:
        moment = read_time(text, option, now, zone)
    except ValueError as fault:
        raise ValueError(f"{option} {text!r} is neither a revision's number nor a time: {_FORMS}") from fault
    if moment and moment > now:
        raise ValueError(f"{option} {text} is still to come")
    return moment
