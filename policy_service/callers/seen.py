"""When each token was last seen: noted in memory by whoever answers, and written now and then by a task."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from policy_service.store import Store

_SECONDS: Final = 5.0

Sound = Callable[[], None]


class Seen:
    """Can be used by several threads. A token that was presented is in the store, so that what is kept is bounded."""

    def __init__(self, store: Store, *, seconds: float = _SECONDS) -> None:
        """Written every so many seconds, for all calls of that time one row for a token."""
        self._store = store
        self._seconds = seconds
        self._last: dict[str, datetime] = {}

    def note(self, token: str, now: datetime) -> None:
        """It identified a caller; its id."""
        self._last[token] = now

    async def run(self, sound: Sound) -> None:
        """Write until cancelled. Raises StoreUnavailable; what was not written then is written later."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.write()
            sound()

    async def write(self) -> None:
        """Write what was seen since the last time. Raises StoreUnavailable."""
        seen, self._last = self._last, {}
        if not seen:
            return
        try:
            await self._store.note_tokens_seen(seen)
        except BaseException:
            self._last = seen | self._last
            raise
