"""A task that was told to end ends, whatever the driver says instead."""

import asyncio
import contextlib

import asyncpg
import pytest

from policy_service.store import StoreUnavailable
from policy_service.store.border import translated
from policy_service.tasks import end_all
from tests.support.patience import patiently


@pytest.mark.parametrize(
    "fault",
    [asyncpg.InterfaceError("another operation is in progress"), asyncpg.QueryCanceledError("stopped"), OSError()],
)
async def test_a_cancellation_is_never_taken_for_a_database_that_is_away(fault):
    started = asyncio.Event()

    async def follow_for_ever() -> None:
        while True:
            try:
                with translated():
                    started.set()
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        raise fault from None
            except StoreUnavailable:
                pass

    task = asyncio.create_task(follow_for_ever())
    await started.wait()
    task.cancel()
    async with patiently():
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_time_limit_around_it_is_still_a_time_limit():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with translated():
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    raise asyncpg.InterfaceError("cut") from None


async def test_without_a_cancellation_it_is_the_database():
    with pytest.raises(StoreUnavailable), translated():
        raise asyncpg.InterfaceError("connection is closed")


async def test_a_task_that_lost_a_cancellation_is_told_again():
    async def deaf() -> None:
        # As asyncio.wait_for did before Python 3.12, where what it waits for was done in that moment.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with patiently():
        await end_all([task])
    assert task.cancelled()
