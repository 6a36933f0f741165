"""The machine: which cores the measured process and its load get, and what all of this ran on."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

_CAN_PIN = hasattr(os, "sched_setaffinity")


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if _CAN_PIN else list(range(os.cpu_count() or 1))


CORES = _cores()
IS_SPLIT = _CAN_PIN and len(CORES) > 1
MEASURED = {CORES[0]}
"""Where servers and in-process measurements run; everything else runs on the other cores."""


def leave_the_measured_core() -> None:
    """Keep this process, and what it starts from now on, off the measured core."""
    if IS_SPLIT:
        os.sched_setaffinity(0, set(CORES) - MEASURED)


@contextmanager
def on_the_measured_core() -> Iterator[None]:
    """Processes started in the block run on the measured core: a child inherits its parent's."""
    if not IS_SPLIT:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, MEASURED)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def on_every_core() -> Iterator[None]:
    """This process and what it starts in the block may run anywhere: where many processes are measured together."""
    if not IS_SPLIT:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(CORES))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def conditions() -> dict[str, str]:
    """What the figures hold for."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "machine": f"{len(CORES)} cores, {model}, {platform.system()}",
        "pinned": "server on one core, load on the others" if IS_SPLIT else "no",
        "python": sys.version.split()[0],
        "versions": ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf", "asyncpg", "pycasbin")),
    }
