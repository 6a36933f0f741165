"""What stands in a line of a moved policy: are these its types, and is this a time?"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from policy_service.vocabulary import ActionInfo, Row, info_of

HEADER: Final = {"format": str, "revision": int, "counts": dict, "model": str}
# In the order in which they stand in the file: each refers only to what came before.
FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "user": (str, str | None, bool),
    "physician": (str,) * 3,
    "rule": (str,) * 6,
    "invitation": (str, str, str, str, list, list, str, str, str, int, str, str, str),
}
MAIL: Final = ("queued", "delayed", "sent", "bounced", "dropped", "failed")
# As it goes into a header, where it must not begin another one.
MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9._-]{1,200}@[A-Za-z0-9.-]{1,200}>", re.ASCII)


def are(found: Any, wanted: tuple[Any, ...] | None) -> bool:
    """Is this a list of values of these types? A bool is no number."""
    if wanted is None or not isinstance(found, list) or len(found) != len(wanted):
        return False
    return all(
        isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        for value, kind in zip(found, wanted, strict=True)
    )


def is_moment(text: str) -> bool:
    """Is this a time that the database can keep?"""
    try:
        moment = datetime.fromisoformat(text)
        # The database keeps it in UTC.
        return moment.tzinfo is not None and moment.astimezone(UTC) is not None
    except (ValueError, OverflowError):
        return False


def infos_of(rows: Iterable[Row]) -> dict[str, ActionInfo]:
    """What rows say of actions, by their ids."""
    return {row.values[0]: info_of(row.values) for row in rows}
