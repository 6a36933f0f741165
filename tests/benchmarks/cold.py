"""The first check in a physician's account, for which Casbin's enforcer must be made, as a caller sees it."""

import random
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles

import grpc

from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import population
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench


def measure(bench: Workbench) -> Iterator[Figure]:
    """One call after another, each in an account not asked about before; then the same again, warm."""
    first: dict[int, list[float]] = {}
    again: dict[int, list[float]] = {}
    sizes = (bench.sizes.large, bench.sizes.small)
    for size in sizes:
        numbers = random.Random(1).sample(range(size), min(bench.sizes.colds, size))
        asked = [population.question(number, number % population.USERS, "claim:view") for number in numbers]
        with bench.serving("service", size) as server:
            bench.say(f"cold, {len(asked):,} of {size:,} physicians")
            first[size] = latencies(server, asked)
            again[size] = latencies(server, asked)
    beside_what = f"with {sizes[1]:,}"
    yield Figure(
        name="cold_median",
        what=f"first Check in an account, of {sizes[0]:,} physicians, median",
        value=median(first[sizes[0]]),
        unit="ms",
        beside_what=beside_what,
        beside=median(first[sizes[1]]),
        at_most=2.0,
    )
    yield Figure(
        name="cold_p99",
        what="the same, 99th percentile",
        value=p99(first[sizes[0]]),
        unit="ms",
        beside_what=beside_what,
        beside=p99(first[sizes[1]]),
    )
    yield Figure(
        name="warm_latency",
        what="the same questions again, median",
        value=median(again[sizes[0]]),
        unit="ms",
        beside_what=beside_what,
        beside=median(again[sizes[1]]),
    )


def latencies(server: Server, asked: Sequence[pb.CheckRequest]) -> list[float]:
    """Milliseconds for each call, one after another on one connection."""
    found = []
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary("/policy.v1.DecisionService/Check")
        # Opens the connection; nobody's account.
        call(population.question(999_999, 0, "claim:view").SerializeToString(), wait_for_ready=True)
        for body in [check.SerializeToString() for check in asked]:
            began = time.perf_counter()
            call(body)
            found.append((time.perf_counter() - began) * 1e3)
    return found


def p99(figures: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(figures, n=100, method="inclusive")[-1]
