"""Reads times and revisions as people write them. What cannot be read raises ValueError, with the forms there are."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_REVISION = re.compile(r"\d{1,18}", re.ASCII)
_FORMS = "2026-01-31 (its start, UTC), 2026-01-31T14:30 or with a zone, or 7d ago as 7d (m, h, d, w)"


def read_time(text: str | None, option: str, now: datetime) -> datetime | None:
    """A time: a date is its start in UTC, and what names no zone is UTC too."""
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago.group(1)) * _UNITS[ago.group(2)]
        moment = datetime.fromisoformat(text)
        # At the ends of the calendar another zone's time may have none in UTC.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as fault:
        raise ValueError(f"{option} {text!r} is not a time: {_FORMS}") from fault


def read_point(text: str | None, option: str, now: datetime) -> int | datetime | None:
    """A revision by its number, or a time."""
    if text and _REVISION.fullmatch(text):
        return int(text)
    try:
        moment = read_time(text, option, now)
    except ValueError as fault:
        raise ValueError(f"{option} {text!r} is neither a revision's number nor a time: {_FORMS}") from fault
    if moment and moment > now:
        raise ValueError(f"{option} {text} is still to come")
    return moment
