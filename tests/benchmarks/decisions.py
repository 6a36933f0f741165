"""Check and BatchCheck with every decision recorded, beside the same service with its decision log off."""

from collections.abc import Iterator
from statistics import median

from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import load, population
from tests.benchmarks.figures import Figure
from tests.benchmarks.unary import CONNECTIONS, IN_FLIGHT
from tests.benchmarks.workbench import Workbench

KINDS = ("service", "unlogged")


def measure(bench: Workbench) -> Iterator[Figure]:
    """Both services alive, on one database, rounds in turn."""
    asked = [population.question(0, place, "claim:submit") for place in range(population.USERS)] * 100
    bodies = {
        "Check": asked[0].SerializeToString(),
        "BatchCheck": pb.BatchCheckRequest(checks=asked).SerializeToString(),
    }
    size = bench.sizes.small
    with bench.serving("service", size) as logged, bench.serving("unlogged", size) as unlogged:
        servers = dict(zip(KINDS, (logged, unlogged), strict=True))
        for method, body in bodies.items():
            rounds: dict[str, list[load.Load]] = {kind: [] for kind in KINDS}
            for server in servers.values():
                load.hammer(server, method, body, bench.sizes.seconds / 2, connections=CONNECTIONS, in_flight=IN_FLIGHT)
            for number in range(bench.sizes.rounds):
                for kind, server in servers.items():
                    found = load.hammer(
                        server, method, body, bench.sizes.seconds, connections=CONNECTIONS, in_flight=IN_FLIGHT
                    )
                    rounds[kind].append(found)
                    bench.say(f"{method}, round {number + 1}, {kind}: {found.per_second:,.0f}/s")
            yield from _figures(method, rounds)


def _figures(method: str, rounds: dict[str, list[load.Load]]) -> Iterator[Figure]:
    each = 1 if method == "Check" else population.BATCH
    name = "logged" if method == "Check" else "logged_batch"
    yield Figure(
        name=name,
        what=f"{method} with every decision recorded",
        value=median(one.per_second for one in rounds["service"]) * each,
        unit="calls/s" if each == 1 else "decisions/s",
        beside_what="the same with the decision log off",
        beside=median(one.per_second for one in rounds["unlogged"]) * each,
        at_least=0.9 if each == 1 else None,
    )
    yield Figure(
        name=f"{name}_cpu",
        what=f"CPU time of the server for a decision by {method}",
        value=median(one.server_micros for one in rounds["service"]) / each,
        unit="µs",
        beside_what="the same with the decision log off",
        beside=median(one.server_micros for one in rounds["unlogged"]) / each,
    )
