"""What every refusal is: a kind, a stable reason, a sentence and facts. Each room declares its own.

An error's docstring is its sentence, its facts are fields.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MOST_LISTED: Final = 20
"""Things of one kind that an error names, …"""
_LISTED_LENGTH: Final = 240
"""… in so many characters."""


class Kind(StrEnum):
    """How the caller should take an error; ``rpc/status.py`` gives each its gRPC status."""

    INVALID = "invalid"
    NOT_FOUND = "not found"
    EXISTS = "exists"
    PRECONDITION = "precondition"
    NOT_ALLOWED = "not allowed"
    CHANGED = "changed"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NO_METHOD = "no method"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidField:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


@dataclass(kw_only=True)
class PolicyError(Exception):
    """The request was refused."""

    kind = Kind.PRECONDITION
    reason = "REFUSED"

    def retry_after(self) -> timedelta | None:
        """How long to wait before trying again, where that is known."""
        return None

    def __str__(self) -> str:
        """The sentence, then the facts."""
        sentence = (type(self).__doc__ or "").partition("\n")[0]
        facts = "; ".join(f"{name}: {fact}" for name, fact in self.facts().items())
        return f"{sentence} ({facts})" if facts else sentence

    def facts(self) -> dict[str, str]:
        """The fields in words, but for those that are None or name nothing."""
        found = {fact.name: getattr(self, fact.name) for fact in fields(self) if fact.metadata.get("told", True)}
        found = {name: fact for name, fact in found.items() if fact is not None and fact != ()}
        return {name: _listed(fact) if isinstance(fact, tuple) else _told(fact) for name, fact in found.items()}


@dataclass(kw_only=True)
class LimitReached(PolicyError):
    """A limit was met."""

    kind = Kind.EXHAUSTED
    limit: str
    """Which one, in words."""
    most: float
    """What it allows."""

    def retry_after(self) -> timedelta | None:
        """The next second is another, for a limit of what is in hand or of a second."""
        return timedelta(seconds=1)


def _listed(parts: tuple[object, ...]) -> str:
    """The first of many, and how many more there are."""
    told, room = list[str](), _LISTED_LENGTH
    for part in map(_told, parts[:MOST_LISTED]):
        room -= len(part)
        if told and room < 0:
            break
        told.append(part)
    more = len(parts) - len(told)
    return ", ".join(told) + (f" and {more:,} more" if more else "")


def _told(fact: object) -> str:
    return fact.isoformat(timespec="seconds") if isinstance(fact, datetime) else str(fact)


@dataclass(kw_only=True)
class InvalidRequest(PolicyError):
    """The request has fields that cannot be read."""

    kind = Kind.INVALID
    reason = "INVALID_REQUEST"
    violations: tuple[InvalidField, ...]

    def __str__(self) -> str:
        """Each fault in words."""
        told = "; ".join(violation.description for violation in self.violations[:MOST_LISTED])
        more = len(self.violations) - MOST_LISTED
        return told if more <= 0 else f"{told}; and {more:,} more"


class StartError(Exception):
    """The service cannot start as configured; the message says what to mend."""
