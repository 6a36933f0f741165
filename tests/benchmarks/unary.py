"""Check, one question a call, beside a handler that returns a constant."""

from collections.abc import Iterator
from statistics import median

from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import load, population
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench

CONNECTIONS = 4
IN_FLIGHT = 8


def measure(bench: Workbench) -> Iterator[Figure]:
    """Both servers alive, rounds in turn."""
    body = population.question(0, 0, "claim:submit").SerializeToString()
    with bench.serving("service", bench.sizes.small) as service, bench.serving("floor") as floor:
        rounds: dict[str, list[load.Load]] = {"service": [], "floor": []}
        for server in (service, floor):
            assert pb.CheckResponse.FromString(load.call(server, "Check", body)).allowed
            load.hammer(server, "Check", body, bench.sizes.seconds / 2, connections=CONNECTIONS, in_flight=IN_FLIGHT)
        for number in range(bench.sizes.rounds):
            for kind, server in (("service", service), ("floor", floor)):
                found = load.hammer(
                    server, "Check", body, bench.sizes.seconds, connections=CONNECTIONS, in_flight=IN_FLIGHT
                )
                rounds[kind].append(found)
                bench.say(f"check, round {number + 1}, {kind}: {found.per_second:,.0f}/s")
    ours, theirs = rounds["service"], rounds["floor"]
    yield Figure(
        name="check",
        what="Check",
        value=median(one.per_second for one in ours),
        unit="calls/s",
        beside_what="a handler that returns a constant",
        beside=median(one.per_second for one in theirs),
        at_least=0.85,
    )
    yield Figure(
        name="check_cpu",
        what="CPU time of the server for a Check",
        value=median(one.server_micros for one in ours),
        unit="µs",
        beside_what="a handler that returns a constant",
        beside=median(one.server_micros for one in theirs),
    )
    yield Figure(
        name="check_generator",
        what="share of its core that the load generator used",
        value=median(one.generator_share for one in ours + theirs),
        unit="cores",
        beside_what="the servers' share of theirs",
        beside=median(one.server_share for one in ours + theirs),
    )
