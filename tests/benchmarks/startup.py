"""Loading the whole policy from PostgreSQL at the start: time, memory, and the cost of one change afterwards."""

import asyncio
import gc
import random
import resource
import sys
import time
from collections.abc import Iterator
from statistics import median

import psutil

from policy_service.app import open_store, read_policy
from policy_service.decide import Account, Snapshot
from policy_service.replicate import Follower, Replica
from policy_service.vocabulary import Held, Physician
from tests.benchmarks import population
from tests.benchmarks.cold import p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench
from tests.conftest import settings_for

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure(bench: Workbench) -> Iterator[Figure]:
    """Each in a process of its own, so that its memory is that of the policy."""
    size, small = bench.sizes.large, bench.sizes.small
    dsn, rows = bench.database(size), population.rows_in(size)
    bench.say(f"loading {rows:,} rows")
    found = bench.fresh(load, dsn=dsn, changes=bench.sizes.changes)
    fewer = bench.fresh(load, dsn=bench.database(small), changes=bench.sizes.changes)
    alone = bench.fresh(read, dsn=dsn)
    yield Figure(
        name="load",
        what=f"loading {size:,} physicians from PostgreSQL",
        value=rows / found["seconds"],
        unit="rows/s",
        beside_what="reading the same rows and dropping them",
        beside=rows / alone,
    )
    yield Figure(name="load_seconds", what="the same, in all", value=found["seconds"], unit="s")
    yield Figure(
        name="load_memory",
        what="resident memory after loading, for each row",
        value=found["held"] / rows,
        unit="bytes",
        beside_what="at the highest, while loading",
        beside=found["peak"] / rows,
        at_most=400,
    )
    beside_what = f"with {small:,}"
    yield Figure(
        name="change",
        what=f"making the next snapshot after one change, of {size:,} physicians, median",
        value=found["change"],
        unit="ms",
        beside_what=beside_what,
        beside=fewer["change"],
    )
    yield Figure(
        name="change_p99",
        what="the same, 99th percentile",
        value=found["change_p99"],
        unit="ms",
        beside_what=beside_what,
        beside=fewer["change_p99"],
    )


def load(dsn: str, changes: int) -> dict[str, float]:
    """Start a replica as the service does: seconds, bytes held and at the peak; milliseconds for a change."""
    process = psutil.Process()
    asyncio.run(_touch(dsn))
    gc.collect()
    before = process.memory_info().rss
    replica, seconds = asyncio.run(_start(dsn))
    gc.collect()
    held = process.memory_info().rss - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT - before
    times = _changes(replica.snapshot, changes)
    return {"seconds": seconds, "held": held, "peak": peak, "change": median(times), "change_p99": p99(times)}


def read(dsn: str) -> float:
    """Seconds to read every row as the load does, keeping none."""
    return asyncio.run(_read(dsn))


async def _touch(dsn: str) -> None:
    """Do everything once that costs memory but for the policy: connect, read model and seed, prepare."""
    settings = settings_for(dsn)
    read_policy(settings)
    async with open_store(settings) as store:
        await store.revision()


async def _start(dsn: str) -> tuple[Replica, float]:
    settings = settings_for(dsn)
    model, _ = read_policy(settings)
    async with open_store(settings) as store:
        began = time.perf_counter()
        replica = await Follower(store, model).start(max_age=1e9)
        return replica, time.perf_counter() - began


async def _read(dsn: str) -> float:
    async with open_store(settings_for(dsn)) as store, store.listening(lambda: None) as listener:
        began = time.perf_counter()
        async with listener.reading() as look:
            async for _ in look.every_row():
                pass
        return time.perf_counter() - began


def _changes(snapshot: Snapshot, count: int) -> list[float]:
    """Milliseconds to put in an account with one grant more, again and again."""
    physicians = [name for shard in snapshot._accounts for name in shard]
    chance = random.Random(1)
    times = []
    for revision in range(snapshot.revision + 1, snapshot.revision + 1 + count):
        physician = Physician(chance.choice(physicians))
        account = snapshot.account(physician)
        assert account is not None
        grants = tuple(sorted({*account.grants, (f"user:new-{revision}", "role:data_entry")}))
        changed = Account(snapshot.basis, physician, grants, account.rules)
        began = time.perf_counter()
        snapshot = snapshot.after(Held(revision=revision), {physician: changed})
        times.append((time.perf_counter() - began) * 1e3)
    return times
