"""A consistent look at the policy: everything read in it is of one revision."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from policy_service.store import rules
from policy_service.vocabulary import Credentials, Held, KnownToken, Physician, Row

# Every token that was ever ended too: the follower of another history must know them.
_TOKENS = "SELECT id, caller, token_hash, expires_at, ended_at_revision IS NOT NULL AS is_ended FROM caller_tokens"
_TOKENS_CHANGED = "SELECT EXISTS (SELECT FROM caller_tokens WHERE changed_at_revision > $1)"
_TITLE = "SELECT display_name FROM physicians WHERE physician = $1"


class Reading:
    """The policy as of one revision, for as long as the look lasts."""

    def __init__(self, connection: Any, held: Held) -> None:
        """Use ``reading``."""
        self.connection = connection
        self.held = held

    @property
    def revision(self) -> int:
        """The revision that everything read here is of."""
        return self.held.revision

    async def has_passed(self, point: Held) -> bool:
        """Is this point in the history that led to now?"""
        return await rules.has_passed(self.connection, point)

    async def marks(self, after: int) -> dict[int, UUID]:
        """The marks of the revisions after one, up to now."""
        return await rules.marks(self.connection, after, self.revision)

    async def mark_at(self, revision: int) -> str | None:
        """The mark of a revision, if there was such a change."""
        return await rules.mark_at(self.connection, revision)

    async def model_at(self, revision: int) -> str | None:
        """The text of the model that read the rows at a revision, if it was recorded."""
        return await rules.model_at(self.connection, revision)

    async def rows(self, domains: Sequence[str]) -> list[Row]:
        """The rows of some domains."""
        return await rules.current_of(self.connection, domains)

    async def changed_domains(self, since: int) -> set[str]:
        """Every domain of which a row began or ended after ``since``."""
        return await rules.changed_domains(self.connection, since)

    async def credentials(self) -> Credentials:
        """The tokens by which callers are known."""
        found = await self.connection.fetch(_TOKENS)
        return Credentials(
            {
                record["id"]: KnownToken(
                    caller=record["caller"], digest=record["token_hash"], expires_at=record["expires_at"]
                )
                for record in found
                if not record["is_ended"]
            },
            (record["id"] for record in found if record["is_ended"]),
        )

    async def credentials_changed(self, since: int) -> bool:
        """Was a token made, shortened or ended after ``since``?"""
        return bool(await self.connection.fetchval(_TOKENS_CHANGED, since))

    async def title_of(self, physician: Physician) -> str:
        """How the account is called in texts for people."""
        return str(await self.connection.fetchval(_TITLE, physician) or physician)

    def every_row(self) -> AsyncIterator[tuple[str, str, str, str, str, str]]:
        """All rows as (domain, ptype, v0 … v3), domain by domain."""
        return rules.stream_current(self.connection)


@asynccontextmanager
async def reading(connection: Any) -> AsyncIterator[Reading]:
    """Look through a connection."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield Reading(connection, await rules.held(connection))
