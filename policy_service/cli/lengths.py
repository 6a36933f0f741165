"""How long, and until when, in words of a command line: 90d, 12h, 30m, or a date."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([dhm])", re.ASCII)
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def parse_length(text: str, option: str) -> timedelta:
    """A length of time; raises ValueError that names the option."""
    found = _LENGTH.fullmatch(text)
    if not found:
        raise ValueError(f"{option} {text!r} is no length of time: write 90d, 12h or 30m")
    return timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})


def parse_until(text: str, option: str, now: datetime) -> datetime:
    """A moment: a length of time from now, or a date or time in UTC unless it has a zone. Raises ValueError."""
    if _LENGTH.fullmatch(text):
        return now + parse_length(text, option)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option} {text!r} is neither a length of time (90d, 12h, 30m) nor a date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
