"""Writes a signed checkpoint of the change log at an interval, when there is something new."""

import asyncio
import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from io import FileIO
from pathlib import Path

import structlog

from policy_service import metrics
from policy_service.chain import Signer
from policy_service.store import CHECKPOINTS, Store, StoreUnavailable
from policy_service.tasks import Sound

STANDARD_OUTPUT = "-"
_AGAIN_SECONDS = 30.0
"""Until one that could not be written is tried again."""
_TAIL_BYTES = 4_096
"""More than any line that a checkpoint takes."""

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
        self._seat = store.seat(CHECKPOINTS)

    async def run(self, sound: Sound = lambda: None) -> None:
        """Write until cancelled, through any fault of the database or the place; ``sound`` is told of each round.

        Of all processes on a database one writes; if it ends, another does from its own next round on.
        """
        try:
            while True:
                pause = await self._round(sound)
                await asyncio.sleep(pause)
        finally:
            self._seat.leave()

    async def _round(self, sound: Sound) -> float:
        """Seconds until the next."""
        try:
            if await self._seat.take():
                await self.write()
        except StoreUnavailable as fault:
            log.warning("no checkpoint", cause=type(fault.__cause__).__name__)
        except OSError as fault:
            log.warning("no checkpoint: its place cannot be written to", place=self._place, cause=fault.strerror)
        else:
            # Also where another process does it: nothing was left undone.
            metrics.checkpointed()
            sound()
            return self._seconds
        return min(self._seconds, _AGAIN_SECONDS)

    async def write(self) -> None:
        """Write a checkpoint if the log has grown. Raises StoreUnavailable and OSError."""
        head = await self._store.log_head()
        if head.revision > self._last:
            line = await self.sign(head.revision, head.hash)
            await asyncio.to_thread(add_line, self._place, line)
            self._last = head.revision
            metrics.checkpoint_revision.set(head.revision)

    async def sign(self, revision: int, hash: bytes) -> str:  # noqa: A002 - its name everywhere.
        """A checkpoint of a point of the log. Raises StoreUnavailable."""
        return self._signer.sign(log=await self._store.log_name(), revision=revision, hash=hash, at=self._clock())


def add_line(place: str, line: str) -> None:
    """Add a line to a file, on the disk and whole, or not at all; ``-`` is standard output. Raises OSError."""
    if place == STANDARD_OUTPUT:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    content = (line + "\n").encode()
    with Path(place).open("a+b", buffering=0) as file:
        # Replicas may share the file.
        fcntl.flock(file, fcntl.LOCK_EX)
        end = _end_of_whole_lines(file)
        file.truncate(end)
        if _stands_last(file, line):
            return
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            # Half a line would spoil the next one, and the file for whoever verifies with it.
            file.truncate(end)
            raise


def _stands_last(file: FileIO, line: str) -> bool:
    """Is the last line a checkpoint of the same point? Whoever wrote it has just died, and another took its place."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    points = [json.loads(text) for text in (last or b"{}", line)]
    return all(points[0].get(name) == points[1][name] for name in ("log", "revision", "hash"))


def _end_of_whole_lines(file: FileIO) -> int:
    """Where to go on; a last line that a crash cut short was never a checkpoint, and one that is whole gets its end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    last = file.read().rpartition(b"\n")[2]
    if not last:
        return size
    try:
        json.loads(last)
    except ValueError:
        return size - len(last)
    file.write(b"\n")
    return size + 1
