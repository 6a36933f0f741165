"""Writes a signed checkpoint of the change log at an interval, when there is something new."""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from policy_service.checkpoints import Signer
from policy_service.errors import StoreUnavailable
from policy_service.store import Store

STANDARD_OUTPUT = "-"

log = structlog.get_logger(__name__)


class Checkpointer:
    """One process's writer of checkpoints; their place should be collected from, and kept elsewhere."""

    def __init__(
        self, store: Store, signer: Signer, place: str, *, seconds: float, clock: Callable[[], datetime]
    ) -> None:
        """``place`` is a file that lines are added to, or ``-`` for standard output."""
        self._store = store
        self._signer = signer
        self._place = place
        self._seconds = seconds
        self._clock = clock
        self._last = 0

    async def run(self) -> None:
        """Write until cancelled, through any fault of the database or the place."""
        while True:
            try:
                await self.write()
            except StoreUnavailable as fault:
                log.warning("no checkpoint", cause=type(fault.__cause__).__name__)
            except OSError as fault:
                log.warning("no checkpoint: its place cannot be written to", place=self._place, cause=fault.strerror)
            await asyncio.sleep(self._seconds)

    async def write(self) -> None:
        """Write a checkpoint if the log has grown. Raises StoreUnavailable and OSError."""
        head = await self._store.log_head()
        if head.revision > self._last:
            line = await self.sign(head.revision, head.hash)
            await asyncio.to_thread(_add, self._place, line)
            self._last = head.revision

    async def sign(self, revision: int, hash: bytes) -> str:  # noqa: A002 - its name everywhere.
        """A checkpoint of a point of the log. Raises StoreUnavailable."""
        return self._signer.sign(log=await self._store.log_name(), revision=revision, hash=hash, at=self._clock())


def _add(place: str, line: str) -> None:
    if place == STANDARD_OUTPUT:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    with Path(place).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
