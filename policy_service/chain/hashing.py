"""The change log as a chain: each entry's hash covers its content and the hash of the entry before.

docs/audit.md writes the encoding down, so that a second implementation can
verify a log. Nothing here awaits or reads the database.
"""

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

Rows = tuple[tuple[str, ...], ...]
"""Rows of policy as fields: ``("g", "user:mia", "role:data_entry", "physician:dr-osei")``."""

START: Final = bytes(32)
"""What the first entry has in place of a hash before it."""

_WRITERS: Final = 1_000
"""More than ever wrote side by side."""

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: object) -> bytes:
    """JSON in the canonical form of RFC 8785, of text, whole numbers, lists and objects with ASCII names."""
    return _encode(value).encode()


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
        return canonical(
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
        )

    def hash(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical()).digest()


def instant(moment: datetime) -> str:
    """A time in UTC to the microsecond, always of the same length: ``2026-01-31T12:00:00.000000Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A stretch in which entries do not follow one another: writers side by side each took an older head."""

    first: int
    last: int
    entries: int
    """How many of them follow another than the one before."""
    sha256: str
    """Over revision, previous hash and hash of each entry of the stretch, as it was found."""


class Walk:
    """Goes through a log from its first entry, and stops believing at the first that is broken."""

    def __init__(self, *, revision: int = 0, head: bytes = START, forks: range = range(0)) -> None:
        """Begin before the first entry, or after one that is known to be good.

        At a revision of ``forks`` an entry may follow any of the last thousand.
        """
        self.revision = revision
        self.head = head
        self.fork: Fork | None = None
        """Where they did."""
        self._forks = forks
        self._recent = deque([head], maxlen=_WRITERS)
        self._seal: Any = None

    def fault(self, entry: Entry, kept: bytes) -> str | None:
        """What is wrong with the next entry and the hash kept with it; None and one step on where nothing is."""
        if entry.revision != self.revision + 1:
            return f"revision {self.revision + 1} is missing; the next entry is {entry.revision}"
        follows = entry.previous == self.head
        if not follows and not (entry.revision in self._forks and entry.previous in self._recent):
            return "its previous hash is not the hash of the entry before"
        if entry.hash() != kept:
            return "its hash is not that of its content"
        self.revision, self.head = entry.revision, kept
        if self._forks:
            self._note(entry, kept, follows=follows)
        return None

    def _note(self, entry: Entry, kept: bytes, *, follows: bool) -> None:
        self._recent.append(kept)
        if follows and self._seal is None:
            return
        self._seal = self._seal or hashlib.sha256()
        self._seal.update(f"{entry.revision} {entry.previous.hex()} {kept.hex()}\n".encode())
        if not follows:
            before = self.fork or Fork(first=entry.revision, last=0, entries=0, sha256="")
            self.fork = replace(before, last=entry.revision, entries=before.entries + 1, sha256=self._seal.hexdigest())
