"""The change log as a chain: each entry's hash covers its content and the hash of the entry before.

docs/audit.md writes the encoding down, so that a second implementation can
verify a log. Nothing here awaits or reads the database.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

Rows = tuple[tuple[str, ...], ...]
"""Rows of policy as fields: ``("g", "user:mia", "role:data_entry", "physician:dr-osei")``."""

START: Final = bytes(32)
"""What the first entry has in place of a hash before it."""

# For what stands in an entry (text, whole numbers, lists, objects with ASCII names) this is RFC 8785.
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the change log, without its own hash."""

    revision: int
    at: datetime
    caller: str
    actor: str
    reason: str
    kind: str
    physician: str | None
    before: Rows
    after: Rows
    detail: Mapping[str, object]
    mark: str
    previous: bytes

    def canonical(self) -> bytes:
        """The bytes that are hashed: this entry as JSON in the canonical form of RFC 8785."""
        return _encode(
            {
                "actor": self.actor,
                "after": self.after,
                "at": instant(self.at),
                "before": self.before,
                "caller": self.caller,
                "detail": self.detail,
                "kind": self.kind,
                "mark": self.mark,
                "physician": self.physician,
                "previous": self.previous.hex(),
                "reason": self.reason,
                "revision": self.revision,
            }
        ).encode()

    def hash(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical()).digest()


def instant(moment: datetime) -> str:
    """A time in UTC to the microsecond, always of the same length: ``2026-01-31T12:00:00.000000Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class Walk:
    """Goes through a log from its first entry, and stops believing at the first that is broken."""

    def __init__(self, *, revision: int = 0, head: bytes = START) -> None:
        """Begin before the first entry, or after one that is known to be good."""
        self.revision = revision
        self.head = head

    def fault(self, entry: Entry, kept: bytes) -> str | None:
        """What is wrong with the next entry and the hash kept with it; None and one step on where nothing is."""
        if entry.revision != self.revision + 1:
            return f"revision {self.revision + 1} is missing; the next entry is {entry.revision}"
        if entry.previous != self.head:
            return "its previous hash is not the hash of the entry before"
        if entry.hash() != kept:
            return "its hash is not that of its content"
        self.revision, self.head = entry.revision, kept
        return None
