"""From the acknowledgement of a write to the answer of a Check that asks for its revision."""

import random
import time
from collections.abc import Iterator
from statistics import median

import grpc

from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.benchmarks import population
from tests.benchmarks.cold import latencies, p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench

_MANY_SECONDS = 10.0


def measure(bench: Workbench) -> Iterator[Figure]:
    """Physicians are registered one after another, each asked about at once at the revision of its write."""
    size = bench.sizes.large
    with bench.serving("service", size) as server:
        bench.say(f"following {bench.sizes.changes:,} writes")
        waits = _waits(server, bench.sizes.changes)
        plain = latencies(server, [population.question(0, 0, "claim:view")] * bench.sizes.changes)
    beside_what = "a warm Check that waits for nothing"
    what = f"write acknowledged to Check at its revision, with {size:,} physicians"
    yield Figure(
        name="follow",
        what=f"{what}, median",
        value=median(waits),
        unit="ms",
        beside_what=f"{beside_what}, median",
        beside=median(plain),
    )
    yield Figure(
        name="follow_p99",
        what="the same, 99th percentile",
        value=p99(waits),
        unit="ms",
        beside_what=f"{beside_what}, 99th percentile",
        beside=p99(plain),
    )


def _waits(server: Server, count: int) -> list[float]:
    """Milliseconds from each acknowledgement to the first answer."""
    found = []
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.management_port}") as management,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as decisions,
    ):
        register = management.unary_unary(
            "/policy.v1.ManageUsersService/RegisterPhysician",
            request_serializer=mu.RegisterPhysicianRequest.SerializeToString,
            response_deserializer=mu.RegisterPhysicianResponse.FromString,
        )
        check = decisions.unary_unary(
            "/policy.v1.DecisionService/Check",
            request_serializer=pb.CheckRequest.SerializeToString,
            response_deserializer=pb.CheckResponse.FromString,
        )
        check(population.question(0, 0, "claim:view"), wait_for_ready=True)
        for number in range(count):
            name = f"new-{number}-{random.getrandbits(48):012x}"
            written = register(mu.RegisterPhysicianRequest(actor=name, physician=name, owner=name), wait_for_ready=True)
            acknowledged = time.perf_counter()
            question = pb.CheckRequest(user=name, physician=name, action="claim:view", min_revision=written.revision)
            while True:
                try:
                    answer = check(question)
                except grpc.RpcError as error:
                    late = time.perf_counter() - acknowledged > _MANY_SECONDS
                    if error.code() is not grpc.StatusCode.UNAVAILABLE or late:
                        raise
                else:
                    break
            found.append((time.perf_counter() - acknowledged) * 1e3)
            assert answer.allowed
            # The writes keep no step with the follower's looks.
            time.sleep(random.uniform(0, 0.02))
    return found
