"""How a task ends that was told to."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.5


def end_if_cancelled(fault: BaseException) -> None:
    """Raise CancelledError in a task that was told to end, where another error came in its place.

    A driver that is interrupted may find its connection unusable and say so: whoever tries again after errors would
    then go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from fault


async def end_all(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Tell tasks to end, and wait until they have.

    They are told again until they do: ``asyncio.wait_for`` loses a cancellation that comes in the moment in which what
    it waits for is done (before Python 3.12), and whoever loops around it would go on for ever.
    """
    late = {task for task in tasks if not task.done()}
    while late:
        for task in late:
            task.cancel()
        _, late = await asyncio.wait(late, timeout=_AGAIN_SECONDS)
