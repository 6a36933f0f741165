"""Calling services as administrators are told of them: what each may call, and its tokens."""

from dataclasses import dataclass, field
from datetime import datetime

from policy_client.revisions import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerToken:
    """A token that was not ended; ``last_used_at`` is None where it was never seen. Its text is not here."""

    id: str
    made_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRight:
    """A method that a caller may call: only in the accounts that it is named for (``limited``), or in every one."""

    method: str
    limited: bool
    by_seed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerInfo:
    """A caller. ``rights`` and ``physicians``, those that it is named for by itself, are told of one at a time."""

    caller: str
    in_seed: bool
    own_methods: int
    physicians: tuple[str, ...]
    tokens: tuple[CallerToken, ...]
    rights: tuple[CallerRight, ...]
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What a caller was given: ``token`` is told here and never again; empty for one known by its certificate.

    ``before`` is the token that goes on beside a rotated one for a while.
    """

    token: str = field(repr=False)
    token_id: str
    expires_at: datetime | None
    revision: Revision
    before: CallerToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRemoved:
    """A caller that has no tokens and no rights of its own any more; the seed may still name it."""

    revision: Revision
    seed_rights: bool
