"""A warm check with few and with many physicians, the questions spread evenly over all of them.

Three ways, from what a caller sees to what is most sensitive: Check and
BatchCheck over gRPC, and the look into the snapshot alone, in process.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from statistics import median

from policy_service.app import open_store, read_policy
from policy_service.decide import Snapshot
from policy_service.pb import decision_pb2 as pb
from policy_service.replicate import Follower
from policy_service.vocabulary import Channel, Physician, User
from tests.benchmarks import load, population
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench
from tests.conftest import settings_for
from tests.support.actions import ACTIONS


def measure(bench: Workbench) -> Iterator[Figure]:
    """Both sizes alive at once, rounds in turn."""
    sizes = (bench.sizes.large, bench.sizes.small)
    asked = {size: population.questions(size, bench.sizes.questions) for size in sizes}
    singles = {size: [check.SerializeToString() for check in asked[size]] for size in sizes}
    batches = {size: population.batches(asked[size]) for size in sizes}
    unary: dict[int, list[load.Load]] = {size: [] for size in sizes}
    batch: dict[int, list[load.Load]] = {size: [] for size in sizes}
    with bench.serving("unlogged", sizes[0]) as large, bench.serving("unlogged", sizes[1]) as small:
        servers = dict(zip(sizes, (large, small), strict=True))
        for size, server in servers.items():
            bench.say(f"asking {len(asked[size]):,} questions for the first time, of {size:,} physicians")
            for body in batches[size]:
                load.call(server, "BatchCheck", body)
        for number in range(bench.sizes.rounds):
            for size, server in servers.items():
                batch[size].append(load.spread(server, "BatchCheck", batches[size], bench.sizes.seconds, in_flight=4))
                unary[size].append(load.spread(server, "Check", singles[size], bench.sizes.seconds, in_flight=32))
                bench.say(
                    f"warm, round {number + 1}, {size:,} physicians: {unary[size][-1].per_second:,.0f} checks/s, "
                    f"{batch[size][-1].per_second * population.BATCH:,.0f} decisions/s in batches"
                )
    beside_what = f"with {sizes[1]:,}"
    yield Figure(
        name="warm_check",
        what=f"warm Check with {sizes[0]:,} physicians, per CPU second of the server",
        value=median(1e6 / one.server_micros for one in unary[sizes[0]]),
        unit="calls/s",
        beside_what=beside_what,
        beside=median(1e6 / one.server_micros for one in unary[sizes[1]]),
        at_least=0.95,
    )
    yield Figure(
        name="warm_batch",
        what=f"warm BatchCheck with {sizes[0]:,} physicians",
        value=median(one.per_second for one in batch[sizes[0]]) * population.BATCH,
        unit="decisions/s",
        beside_what=beside_what,
        beside=median(one.per_second for one in batch[sizes[1]]) * population.BATCH,
        at_least=0.95,
    )
    yield Figure(
        name="warm_longest",
        what=f"the slowest warm Check of a round, 32 at once, with {sizes[0]:,} physicians, median of rounds",
        value=median(one.longest or 0 for one in unary[sizes[0]]),
        unit="ms",
        beside_what=beside_what,
        beside=median(one.longest or 0 for one in unary[sizes[1]]),
    )
    yield Figure(
        name="warm_worst",
        what="the same, worst of all rounds",
        value=max(one.longest or 0 for one in unary[sizes[0]]),
        unit="ms",
        beside_what=beside_what,
        beside=max(one.longest or 0 for one in unary[sizes[1]]),
    )
    bench.say("warm, in process")
    found = bench.fresh(
        lookups,
        places={str(size): bench.database(size) for size in sizes},
        questions=bench.sizes.questions,
        rounds=bench.sizes.rounds,
    )
    yield Figure(
        name="warm_lookup",
        what=f"looks into the snapshot alone, with {sizes[0]:,} physicians",
        value=found[str(sizes[0])],
        unit="looks/s",
        beside_what=beside_what,
        beside=found[str(sizes[1])],
        at_least=0.95,
    )


def lookups(places: dict[str, str], questions: int, rounds: int) -> dict[str, float]:
    """Looks a second for each number of physicians, medians of rounds in turn."""
    asked = {size: population.questions(int(size), questions) for size in places}
    snapshots = {size: asyncio.run(_snapshot(dsn)) for size, dsn in places.items()}
    for size, snapshot in snapshots.items():
        for check in asked[size]:
            snapshot.check(User(check.user), Physician(check.physician), ACTIONS[check.action], Channel.WEB)
    found: dict[str, list[float]] = {size: [] for size in places}
    for _ in range(rounds):
        for size, snapshot in snapshots.items():
            random.shuffle(asked[size])
            found[size].append(len(asked[size]) / _look(snapshot, asked[size]))
    return {size: median(figures) for size, figures in found.items()}


def _look(snapshot: Snapshot, asked: list[pb.CheckRequest]) -> float:
    look = snapshot.check
    began = time.perf_counter()
    for check in asked:
        # The names are made anew from the message, as on every call.
        look(User(check.user), Physician(check.physician), ACTIONS[check.action], Channel.WEB)
    return time.perf_counter() - began


async def _snapshot(dsn: str) -> Snapshot:
    settings = settings_for(dsn)
    model, _ = read_policy(settings)
    async with open_store(settings) as store:
        replica = await Follower(store, model, most_enforcers=settings.max_warm_physicians).start(max_age=1e9)
    return replica.snapshot
