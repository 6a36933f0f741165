"""BatchCheck of 1,000 remembered answers, beside a handler that decodes and encodes without deciding; no decision log."""

from collections.abc import Iterator
from statistics import median

from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import load, population
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench

CONNECTIONS = 2
IN_FLIGHT = 2


def measure(bench: Workbench) -> Iterator[Figure]:
    """Both servers alive, rounds in turn; the batch is asked once before, so every answer is remembered."""
    [body] = population.batches(population.questions(bench.sizes.small, population.BATCH))
    with bench.serving("unlogged", bench.sizes.small) as service, bench.serving("floor") as floor:
        rounds: dict[str, list[load.Load]] = {"service": [], "floor": []}
        for server in (service, floor):
            answered = pb.BatchCheckResponse.FromString(load.call(server, "BatchCheck", body))
            assert len(answered.answers) == population.BATCH
        for number in range(bench.sizes.rounds):
            for kind, server in (("service", service), ("floor", floor)):
                found = load.hammer(
                    server, "BatchCheck", body, bench.sizes.seconds, connections=CONNECTIONS, in_flight=IN_FLIGHT
                )
                rounds[kind].append(found)
                bench.say(f"batch, round {number + 1}, {kind}: {found.per_second * population.BATCH:,.0f} decisions/s")
    ours, theirs = rounds["service"], rounds["floor"]
    yield Figure(
        name="batch",
        what="BatchCheck of 1,000",
        value=median(one.per_second for one in ours) * population.BATCH,
        unit="decisions/s",
        beside_what="decoding and encoding alone",
        beside=median(one.per_second for one in theirs) * population.BATCH,
        at_least=0.6,
    )
    yield Figure(
        name="batch_cpu",
        what="CPU time of the server for one decision of a batch",
        value=median(one.server_micros for one in ours) / population.BATCH,
        unit="µs",
        beside_what="decoding and encoding alone",
        beside=median(one.server_micros for one in theirs) / population.BATCH,
    )
    yield Figure(
        name="batch_generator",
        what="share of its core that the load generator used",
        value=median(one.generator_share for one in ours + theirs),
        unit="cores",
        beside_what="the servers' share of theirs",
        beside=median(one.server_share for one in ours + theirs),
    )
