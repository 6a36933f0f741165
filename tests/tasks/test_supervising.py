"""A background task that fails is begun again, is known to be down meanwhile, and comes back."""

import asyncio

import pytest

from policy_service import metrics
from policy_service.tasks import Supervisor


def failures(task: str) -> float:
    return metrics.registry.get_sample_value("policy_task_failures_total", {"task": task}) or 0


def is_down(task: str) -> float:
    return metrics.registry.get_sample_value("policy_tasks_down", {"task": task})


async def ended(task: asyncio.Task) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_is_down_from_its_failure_until_a_round_goes_through():
    tasks, may_work, worked, starts = Supervisor(first_pause=0.001), asyncio.Event(), asyncio.Event(), 0

    async def work(sound):
        nonlocal starts
        starts += 1
        if starts <= 3:
            raise KeyError("poison")
        await may_work.wait()
        sound()
        worked.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(tasks.keep("unit", work))
    async with asyncio.timeout(20):
        await tasks.moved()
        assert (tasks.down, is_down("unit")) == ({"unit"}, 1)
        may_work.set()
        await worked.wait()
        await tasks.moved()
    # Begun again three times; down until it said that it works, not merely begun again.
    assert (starts, failures("unit"), tasks.down, is_down("unit")) == (4, 3, frozenset(), 0)
    await ended(running)


async def test_one_that_ends_without_a_word_is_a_failure_too():
    tasks = Supervisor(first_pause=0.001)

    async def work(sound):
        sound()

    running = asyncio.create_task(tasks.keep("short", work))
    async with asyncio.timeout(20):
        while failures("short") < 2:
            await tasks.moved()
    await ended(running)


async def test_the_process_ends_only_after_so_many_failures_in_a_row():
    tasks, starts = Supervisor(first_pause=0.0001), 0

    async def work(sound):
        nonlocal starts
        starts += 1
        if starts == 2:
            sound()
        raise KeyError("poison")

    with pytest.raises(KeyError):
        await tasks.keep("watch", work, ends_process_after=3)
    # The round that went through began the count anew.
    assert starts == 4


async def test_told_to_end_it_ends_though_its_last_breath_is_an_error():
    tasks, begun = Supervisor(), asyncio.Event()

    async def work(sound):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("the driver found its connection unusable")

    running = asyncio.create_task(tasks.keep("unit", work))
    await begun.wait()
    await ended(running)


async def test_a_cancellation_that_nobody_asked_for_is_a_fault_and_not_an_end():
    """As when what a driver waits for is cancelled with its connection."""
    tasks, starts, again = Supervisor(first_pause=0.0001), 0, asyncio.Event()

    async def work(sound):
        nonlocal starts
        starts += 1
        if starts == 1:
            waited_for = asyncio.get_running_loop().create_future()
            waited_for.cancel()
            await waited_for
        again.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(tasks.keep("interrupted", work))
    async with asyncio.timeout(20):
        await again.wait()
    assert failures("interrupted") == 1
    await ended(running)
