"""Keeps background tasks going: one that fails is begun again, with growing pauses, and is known to be down meanwhile.

A task is down from its failure until it says that a round of its work went
through. What depends on it is for whoever asks; nothing is swallowed: each
failure is logged whole and counted.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from policy_service import metrics
from policy_service.tasks.endings import end_if_cancelled

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0

log = structlog.get_logger(__name__)

Sound = Callable[[], None]
"""Called by a task after each round that went through."""
Work = Callable[[Sound], Awaitable[None]]


class Supervisor:
    """Which tasks of this process are down."""

    def __init__(self, *, first_pause: float = _FIRST_PAUSE) -> None:
        """``first_pause`` is seconds; each failure in a row doubles it, up to ten."""
        self._first_pause = first_pause
        self._down: set[str] = set()
        self._moved = asyncio.Event()

    @property
    def down(self) -> frozenset[str]:
        """The tasks that failed and have not worked again since."""
        return frozenset(self._down)

    async def moved(self) -> None:
        """Wait until a task goes down or comes back."""
        await self._moved.wait()
        self._moved.clear()

    async def keep(self, task: str, work: Work, *, ends_process_after: int | None = None) -> None:
        """Run ``work`` until cancelled, and again whenever it ends otherwise.

        With ``ends_process_after`` that many failures in a row, without a sound
        round between them, are raised.
        """
        failures = 0
        metrics.tasks_down.labels(task).set(0)

        def sound() -> None:
            nonlocal failures
            failures = 0
            self._tell(task, is_down=False)

        while True:
            try:
                await work(sound)
                raise RuntimeError(f"{task} ended, and was to go on")
            except (Exception, asyncio.CancelledError) as fault:
                # A cancellation that nobody asked for is a fault too: what was waited for was cancelled, as by a driver
                # whose connection died. Taken for an order it would end the task without a word.
                end_if_cancelled(fault)
                failures += 1
                metrics.task_failures.labels(task).inc()
                self._tell(task, is_down=True)
                log.exception("a background task failed", task=task, failures=failures, exc_info=fault)
                if failures == ends_process_after:
                    raise
            pause = min(self._first_pause * 2.0 ** (failures - 1), _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, not a secret.

    def _tell(self, task: str, *, is_down: bool) -> None:
        if is_down is not (task in self._down):
            (self._down.add if is_down else self._down.discard)(task)
            metrics.tasks_down.labels(task).set(int(is_down))
            if not is_down:
                log.info("a background task works again", task=task)
            self._moved.set()
