"""What ops are told of a seed: findings, and what it would change, for whom."""

from dataclasses import dataclass
from typing import Any

from policy_client.revisions import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a seed that is wrong (``is_error``) or hardly meant, its place, and how to mend it."""

    is_error: bool
    code: str
    line: int
    column: int
    end_column: int
    text: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A user in a physician's account."""

    user: str
    physician: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactGroup:
    """People who hold the same and to whom the same happens; ``members`` are some of them, or all as asked."""

    roles: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    count: int
    members: tuple[Membership, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """What a seed would change: rows as lines of CSV, and who gains or loses what.

    ``digest`` stands for all of it and is given back to ``apply``; ``guarded``
    says what would be refused unless it is meant.
    """

    revision: Revision
    digest: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    groups: tuple[ImpactGroup, ...]
    users: int
    physicians: int
    guarded: tuple[str, ...]

    @property
    def changes_nothing(self) -> bool:
        """Is this the seed in force already?"""
        return not self.added and not self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTarget:
    """The seed that is wanted: its text, or the one that was in force at a revision."""

    csv: str | None = None
    to_revision: int | None = None

    def fields(self) -> dict[str, Any]:
        """As fields of a request; raises ValueError unless it is one of the two."""
        if (self.csv is None) == (self.to_revision is None):
            raise ValueError("give either csv or to_revision")
        return {"csv": self.csv} if self.to_revision is None else {"to_revision": self.to_revision}
