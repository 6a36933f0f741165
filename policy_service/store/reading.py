"""A consistent look at the policy: everything read in it is of one revision."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from policy_service.store import motion, rules
from policy_service.store.known import KnownRows, Rows
from policy_service.store.motion import Motion
from policy_service.vocabulary import Credentials, Held, KnownToken, Physician, Row

# Every token that was ever ended too: the follower of another history must know them.
_TOKENS = "SELECT id, caller, token_hash, expires_at, ended_at_revision IS NOT NULL AS is_ended FROM caller_tokens"
_TITLE = "SELECT display_name FROM physicians WHERE physician = $1"


class Reading:
    """The policy as of one revision, for as long as the look lasts."""

    def __init__(self, connection: Any, held: Held, known: KnownRows) -> None:
        """Use ``reading``."""
        self.connection = connection
        self.held = held
        self._known = known

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

    async def held_rows(self, *domains: str) -> list[Rows]:
        """The same, each domain's as a set that is the very same one as long as nothing changed there."""
        return await self._known.of(self.connection, domains, self.held)

    async def since(self, point: Held) -> Motion:
        """What moved since a point in the history."""
        return await motion.since(self.connection, point)

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

    async def title_of(self, physician: Physician) -> str:
        """How the account is called in texts for people."""
        return str(await self.connection.fetchval(_TITLE, physician) or physician)

    def every_row(self) -> AsyncIterator[tuple[str, str, str, str, str, str]]:
        """All rows as (domain, ptype, v0 … v3), domain by domain."""
        return rules.stream_current(self.connection)


@asynccontextmanager
async def reading(connection: Any, known: KnownRows | None = None) -> AsyncIterator[Reading]:
    """Look through a connection; what was ``known`` before need not be read."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield Reading(connection, await rules.held(connection), known or KnownRows())
