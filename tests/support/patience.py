"""How long a test waits for what must come: minutes, so that a slow machine is never taken for a fault.

No test measures how fast this machine is. What is awaited comes as soon as it
can; a bound is there to end a test whose event never comes. What grows too fast
is told by the work that it takes, in calls or in this thread's own time on a
processor, which other programs do not lengthen.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

PATIENCE = 180.0
"""Seconds for one event: an answer, a row, a process that starts or stops."""
LONG_PATIENCE = 900.0
"""Seconds for a whole program's work: the benchmark, an installation."""

_Found = TypeVar("_Found")


def patiently() -> asyncio.Timeout:
    """A block that ends with TimeoutError only if what it awaits never comes."""
    return asyncio.timeout(PATIENCE)


async def until(look: Callable[[], Awaitable[_Found]]) -> _Found:
    """Look again and again, for what no event tells of, until it is there; what was found.

    The pauses leave the processor to whoever must make it so.
    """
    pause = 0.005
    async with patiently():
        while not (found := await look()):
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.2)
    return found


def calls_of(work: Callable[[], Any]) -> int:
    """How many functions were called, Python's and C's: the same on a fast machine and on a slow one."""
    calls = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
