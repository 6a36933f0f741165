"""The decision log's far end: lines from this machine's files into the database, in order, by COPY.

While the database is away the files grow up to their bound; afterwards it
catches up. What a killed process left in the folder is brought in first.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from policy_service import metrics
from policy_service.decision_log.leftovers import Left, left_behind
from policy_service.decision_log.recorder import DecisionLog
from policy_service.decision_log.spool import Segment, sorted_out
from policy_service.settings import Settings
from policy_service.store import ReplicaEvent, Store, StoreUnavailable
from policy_service.tasks import Sound, Supervisor, end_all, end_if_cancelled
from policy_service.vocabulary import DecisionLogMode

_PAUSE: Final = 0.5
"""Seconds between two looks: lines wait so long at most, and a COPY takes many at once."""
_SHORT_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 5.0
_TIDY_SECONDS: Final = 3_600.0
_LOOK_SECONDS: Final = 30.0
"""Between two looks at what killed processes left. One may still have been ending, with its files locked, at the last;
another on this machine may have been killed since; and what could not be brought in is tried again."""
_LAST_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def recording(store: Store, folder: Path, settings: Settings, tasks: Supervisor) -> AsyncIterator[DecisionLog]:
    """A decision log that is brought to the database until the block ends, and whole then; ``tasks`` keeps it going.

    Nothing may be answered any more when the block ends. Raises StartError and StoreUnavailable.
    """
    # Each database's own folder: what waits here for one must never end up in another.
    folder = folder / await store.log_name()
    decisions = DecisionLog(
        folder,
        secrets.token_hex(6),
        mode=settings.decision_log,
        most_bytes=settings.decision_log_spool_mb << 20,
        # The other half of the threads answers whoever need not wait.
        most_waiting=settings.decision_threads // 2,
    )
    shipper = Shipper(store, decisions, folder, keep_days=settings.decision_log_days)
    await shipper.start()
    running = asyncio.create_task(tasks.keep("decision shipping", shipper.run))
    try:
        yield decisions
    finally:
        await end_all([running])
        await shipper.finish()


class Shipper:
    """Brings one process's decisions, and those left behind on this machine, to the database."""

    def __init__(self, store: Store, decisions: DecisionLog, folder: Path, *, keep_days: int) -> None:
        """``folder`` is the log's own."""
        self._store = store
        self._log = decisions
        self._folder = folder
        self._keep = timedelta(days=keep_days)
        # Where nothing is recorded, what others left and what is too old is still looked after.
        self._records = decisions.mode is not DecisionLogMode.OFF
        self._said_full = False
        self._left: list[Left] = []

    async def start(self) -> None:
        """Say that this process records from now on, if it does. Raises StoreUnavailable."""
        if self._records:
            await self._store.note_start(self._log.replica)

    async def run(self, sound: Sound = lambda: None) -> None:
        """Ship until cancelled, through any fault of the database; ``sound`` is told of each round that went through.

        What fails here each time by itself is logged each time and tried again.
        """
        pause, looked, tidied = _PAUSE, -_LOOK_SECONDS, -_TIDY_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            shipped = await self._tried("decision log waits", self.ship)
            self._log.say_shipping(shipped)
            self._say_whether_full()
            # Each by itself: what is wrong with one keeps nobody from the others.
            if loop.time() - looked > _LOOK_SECONDS and await self._tried("recovery waits", self._recover):
                looked = loop.time()
                if looked - tidied > _TIDY_SECONDS:
                    tidied = looked
                    await self._tried("old days of the decision log stay for another hour", self._forget_old)
            if shipped:
                sound()
            if shipped and self._log.is_wanted:
                # Somebody waits for room.
                await asyncio.sleep(_SHORT_PAUSE)
                continue
            pause = _PAUSE if shipped else min(pause * 2, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter.
            await asyncio.sleep(pause)

    async def _tried(self, or_else: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Was it done? What is in files stays there, and is tried again; ``or_else`` goes into the log."""
        try:
            await work()
        except (StoreUnavailable, TimeoutError) as fault:
            cause = fault.__cause__ if isinstance(fault, StoreUnavailable) else fault
            log.warning(or_else, cause=type(cause).__name__, bytes=self._waiting())
            return False
        except Exception as fault:
            end_if_cancelled(fault)
            log.exception(or_else, exc_info=fault, bytes=self._waiting())
            return False
        return True

    async def ship(self) -> None:
        """Everything that waits now. Raises StoreUnavailable."""
        # First, as the database may be away for long, and the machine lose power then.
        await asyncio.to_thread(self._log.sync)
        for segment in self._log.waiting():
            await self._ship_segment(segment)
        await self._say_lost()
        self._log.look_for_room()

    async def finish(self) -> None:
        """The last lines, when nothing is answered any more; what cannot be shipped stays for the next start."""
        whole = False
        last = asyncio.create_task(self._tried("decisions stay in the spool until the next start", self._ship_last))
        try:
            _, late = await asyncio.wait([last], timeout=_LAST_SECONDS)
            if late:
                # Not by a time limit around it: a driver that is interrupted once tells the database so, and that may
                # be what does not answer.
                await end_all(late)
                log.warning(
                    "decisions stay in the spool until the next start", cause="TimeoutError", bytes=self._waiting()
                )
            else:
                whole = last.result()
        finally:
            self._log.close(whole=whole)
            for left in self._left:
                left.close()

    async def _ship_last(self) -> None:
        await self.ship()
        if self._records:
            await self._note(ReplicaEvent.ENDED)

    async def _forget_old(self) -> None:
        await self._store.forget_decisions((datetime.now(UTC) - self._keep).date())

    async def _recover(self) -> None:
        """What killed processes left; one that cannot be brought in is no reason to leave the others."""
        self._left += await asyncio.to_thread(left_behind, self._folder)
        self._count_left()
        for left in tuple(self._left):
            try:
                await self._bring_in(left)
            except StoreUnavailable:
                raise
            except Exception as fault:
                end_if_cancelled(fault)
                log.exception("decisions of a process that was killed wait", exc_info=fault, replica=left.replica)
                continue
            self._left.remove(left)
            left.remove()
            self._count_left()
            log.info("decisions of a process that was killed are recorded", replica=left.replica, last=left.sequence)

    async def _bring_in(self, left: Left) -> None:
        await self._store.note_start(left.replica)
        for segment in left.segments:
            await self._recover_segment(left, segment)
        if left.losses is not None and (losses := left.losses.untold()):
            await self._store.note_losses(left.replica, losses, sequence=left.sequence, lost=left.lost)
        await self._store.note_replica(left.replica, ReplicaEvent.RECOVERED, sequence=left.sequence, lost=left.lost)

    async def _recover_segment(self, left: Left, segment: Segment) -> None:
        lines, broken = sorted_out(segment.waiting())
        if lines:
            await self._store.append_decisions(lines)
        if broken:
            path = left.put_aside(broken)
            log.error("decisions of a process that was killed are damaged", bytes=len(broken), kept=str(path))
        segment.shipped(segment.size)

    async def _ship_segment(self, segment: Segment) -> None:
        shipment = self._log.shipment(segment)
        if shipment.lines:
            # The database may have been restored from a backup of before this process: known again, then.
            await self._store.note_start(self._log.replica)
            # Before what comes after the gap, so that no gap is ever there without its count.
            await self._say_lost()
            await self._store.append_decisions(shipment.lines)
        self._log.shipped(segment, shipment)

    async def _say_lost(self) -> None:
        losses, sequence, lost = self._log.untold_losses()
        if losses:
            await self._store.note_losses(self._log.replica, losses, sequence=sequence, lost=lost)
            self._log.told_losses(losses)
            log.error("decisions were not recorded: no room", lost=lost, folder=str(self._folder))

    def _say_whether_full(self) -> None:
        full = self._log.is_full
        metrics.decision_log_full.set(full)
        if full != self._said_full:
            self._said_full = full
            if full:
                log.error("no room to record decisions", bytes=self._waiting(), folder=str(self._folder))
            else:
                log.warning("there is room to record decisions again", bytes=self._waiting())

    async def _note(self, event: ReplicaEvent) -> None:
        await self._store.note_replica(self._log.replica, event, sequence=self._log.sequence, lost=self._log.lost)

    def _count_left(self) -> None:
        self._log.left_bytes = sum(segment.size for left in self._left for segment in left.segments)

    def _waiting(self) -> int:
        return self._log.waiting_bytes
