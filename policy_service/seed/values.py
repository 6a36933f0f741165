"""What is wanted of a seed, what it would do, and what of that is agreed to."""

from dataclasses import dataclass

from policy_service.errors import PolicyError
from policy_service.seed.impact import Impact
from policy_service.vocabulary import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The seed that is wanted: a text, or the rows that held at a revision."""

    csv: str = ""
    to_revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change of the seed would do."""

    revision: int
    digest: str
    """Stands for the rows and for everyone affected, at whatever revision."""
    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    impact: Impact
    guards: tuple[PolicyError, ...]
    """What refuses it, where nothing else is said."""
    history: str
    """Of which history the revision is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What must still be true of a plan when it is applied, and what it may do nevertheless."""

    revision: int
    digest: str
    allow_mass_removal: bool = False
    allow_emptied_role: bool = False
    allow_widened_callers: bool = False
    at_any_revision: bool = False
    """Is the same digest enough, whatever else was changed?"""
    history: int | None = None
    """Of which history the revision is, where that is to be looked at."""
