"""A connection of its own that hears of each commit by anyone, and looks at the policy."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from policy_service.store import motion, rules
from policy_service.store.border import translated
from policy_service.store.connection import connect
from policy_service.store.motion import Motion
from policy_service.store.reading import Reading, reading
from policy_service.vocabulary import Held

CHANNEL: Final = "policy_revision"
HEARTBEAT_SECONDS: Final = 5.0
"""For how long the smallest question may go without an answer. Nothing tells of a peer that went without a word, and a
new connection may be answered at once."""


class Listener:
    """A listening connection, and looks at the policy through it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Use ``Store.listening``."""
        self._connection = connection

    async def held(self) -> Held:
        """The revision that holds now. Raises StoreUnavailable, also where no answer comes soon: half open, perhaps."""
        with translated():
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                return await rules.held(self._connection)

    async def since(self, point: Held) -> Motion:
        """What moved since a point in the history, which can be much. Raises StoreUnavailable."""
        with translated():
            return await motion.since(self._connection, point)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """A consistent look at the policy. Raises StoreUnavailable."""
        with translated():
            async with reading(self._connection) as look:
                yield look


@asynccontextmanager
async def listening(dsn: str, wake: Callable[[], None]) -> AsyncIterator[Listener]:
    """Call ``wake`` after each commit. Raises StoreUnavailable."""
    with translated():
        connection = await connect(dsn)
        try:
            # NOTIFY fires at commit, so no follower sees half a change.
            await connection.add_listener(CHANNEL, lambda *_: wake())
            connection.add_termination_listener(lambda *_: wake())
            yield Listener(connection)
        finally:
            connection.terminate()
