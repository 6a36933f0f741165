"""A seat that one process of all on a database has at a time, for what has to be done once.

It is an advisory lock of a connection that is kept: whoever dies loses it with the connection, and another takes it.
"""

from typing import Final

import asyncpg

from policy_service.store.border import translated
from policy_service.store.connection import connect
from policy_service.store.errors import StoreUnavailable

CHECKPOINTS: Final = 4_019_715_301
"""Whose holder writes checkpoints; a number of which no other lock of ours is."""
_STILL_SECONDS: Final = 5.0


class Seat:
    """One process's hold on a seat, or none."""

    def __init__(self, dsn: str, number: int) -> None:
        """Use ``Store.seat``."""
        self._dsn = dsn
        self._number = number
        self._connection: asyncpg.Connection | None = None

    async def take(self) -> bool:
        """Is it ours, still or from now on? Raises StoreUnavailable, and it may be anybody's then."""
        if self._connection is not None and await self._is_kept(self._connection):
            return True
        with translated():
            connection = await connect(self._dsn)
            try:
                if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._number):
                    self._connection = connection
            finally:
                if self._connection is None:
                    connection.terminate()
        return self._connection is not None

    async def _is_kept(self, connection: asyncpg.Connection) -> bool:
        try:
            with translated():
                await connection.fetchval("SELECT 1", timeout=_STILL_SECONDS)
        except StoreUnavailable:
            self.leave()
            return False
        return True

    def leave(self) -> None:
        """Leave it to others."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
