"""A file of a moved policy that was found sound."""

from dataclasses import dataclass
from pathlib import Path

from policy_service.vocabulary import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a file holds, found sound: where it came from, how much, and its built-in rows."""

    path: Path
    revision: int
    model: str
    counts: dict[str, int]
    lines: int
    digest: str
    rules_digest: str
    """SHA-256 of the rules alone, as ``store.strays`` takes it of what an import began."""
    seed: tuple[Row, ...]
    own_rights: tuple[Row, ...]
    """Those of single callers."""
