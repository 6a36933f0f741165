"""How a task ends that was told to."""

import asyncio


def end_if_cancelled(fault: BaseException) -> None:
    """Raise CancelledError in a task that was told to end, where another error came in its place.

    A driver that is interrupted may find its connection unusable and say so: whoever tries again after errors would
    then go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from fault
