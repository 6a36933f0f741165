"""Planning a change of the seed on many accounts, and what it does to checks meanwhile."""

import asyncio
import threading
import time
from collections.abc import Iterator
from statistics import median

from policy_service.pb import seeds_pb2 as pb
from policy_service.settings import policies_dir
from tests.benchmarks import population
from tests.benchmarks.cold import latencies
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench
from tests.support.people import Page
from tests.support.rpc import Wire

_PAY = "p, role:financial_viewer, *, invoice:pay, allow\n"


def measure(bench: Workbench) -> Iterator[Figure]:
    """Checks alone, then checks while a plan is made that touches most accounts."""
    size = bench.sizes.large
    warm = [population.question(0, 0, "claim:view")]
    with bench.serving("service", size) as server:
        quiet = latencies(server, warm * bench.sizes.changes * 4)
        bench.say(f"planning a change of the seed on {size:,} physicians")
        busy: list[float] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                busy.extend(latencies(server, warm * 50))

        asking = threading.Thread(target=ask)
        asking.start()
        began = time.perf_counter()
        try:
            plan = asyncio.run(_plan(server.management_port))
            seconds = time.perf_counter() - began
        finally:
            done.set()
            asking.join()
        again = asyncio.run(_again(server.management_port))
    # Three financial viewers in each account without roles of its own.
    assert sum(group.count for group in plan.groups) == 3 * (size - len(range(0, size, 10)))
    yield Figure(
        name="plan_seconds",
        what=f"planning a change of the seed on {size:,} physicians, everyone looked at",
        value=seconds,
        unit="s",
        at_most=10,
    )
    yield Figure(
        name="plan_again",
        what="planning the same again, after another account was changed",
        value=again,
        unit="s",
        beside_what="the first time",
        beside=seconds,
    )
    yield Figure(
        name="plan_check",
        what="Check meanwhile, median",
        value=median(busy),
        unit="ms",
        beside_what="with nothing planned",
        beside=median(quiet),
    )


async def _again(port: int) -> float:
    async with Wire(port) as wire:
        await Page(wire, "bench-planner", "bench-planned").register()
    began = time.perf_counter()
    await _plan(port)
    return time.perf_counter() - began


async def _plan(port: int) -> pb.Plan:
    seed = (policies_dir() / "seed.csv").read_text()
    async with Wire(port) as wire:
        parts = await wire.parts("PlanSeed", pb.PlanSeedRequest(csv=seed.replace(_PAY, "")))
    return parts[-1].plan
