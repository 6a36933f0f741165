"""Reads times and revisions as people write them. What cannot be read raises ValueError, with the forms there are."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_AGO = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_REVISION = re.compile(r"\d{1,18}", re.ASCII)
_DAY = timedelta(days=1)
_MOMENT = timedelta(microseconds=1)
_FORMS = "2026-01-31, 2026-01-31T14:30, or 7d ago as 7d (m, h, d, w); in --zone, or with one"


def read_zone(name: str) -> tzinfo:
    """A zone by its IANA name; raises ValueError."""
    try:
        # Known without a database of zones too.
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise ValueError(f"--zone {name!r} is no zone's name, as America/Toronto or UTC") from fault


def read_time(
    text: str | None, option: str, now: datetime, zone: tzinfo = UTC, *, end: bool = False
) -> datetime | None:
    """A time; what names no zone is of ``zone``. A date is its start, or as an ``end`` the start of the day after."""
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago.group(1)) * _UNITS[ago.group(2)]
        moment = datetime.fromisoformat(text)
        if end and _is_date(text):
            # Before it is put into its zone: a day there may have 23 or 25 hours.
            moment += _DAY
        # At the ends of the calendar another zone's time may have none in UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise ValueError(f"{option} {text!r} is not a time: {_FORMS}") from fault


def read_point(
    text: str | None, option: str, now: datetime, zone: tzinfo = UTC, *, end: bool = False
) -> int | datetime | None:
    """A revision by its number, or a time; as an ``end``, a date is the last moment of its day, or now on that day."""
    if text and _REVISION.fullmatch(text):
        return int(text)
    try:
        moment = read_time(text, option, now, zone)
        after = read_time(text, option, now, zone, end=end)
    except ValueError as fault:
        raise ValueError(f"{option} {text!r} is neither a revision's number nor a time: {_FORMS}") from fault
    if moment and moment > now:
        raise ValueError(f"{option} {text} is still to come")
    if moment == after or after is None:
        return moment
    return after - _MOMENT if after <= now else None


def _is_date(text: str) -> bool:
    """Does it name a day, and no time of it?"""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
