"""A good caller's slowest checks beside whatever is opened and says nothing: at most five times those undisturbed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.benchmarks import population
from tests.benchmarks.cold import latencies, p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench
from tests.support.silence import connections, silent_calls

_CALLS = 1_200
_REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

_ATTACKS: dict[str, tuple[str, Callable[[Server], AbstractContextManager[object]]]] = {
    "checks": (
        f"{_CALLS:,} Checks that are not sent",
        lambda server: silent_calls(server.port, "/policy.v1.DecisionService/Check", _CALLS),
    ),
    "reflection": (
        f"{_CALLS:,} streams of reflection",
        lambda server: silent_calls(server.port, _REFLECTION, _CALLS),
    ),
    "health": (
        f"{_CALLS:,} health checks that are not sent",
        lambda server: silent_calls(server.port, "/grpc.health.v1.Health/Check", _CALLS),
    ),
    "management": (
        f"{_CALLS:,} calls of the management plane that are not sent",
        lambda server: silent_calls(server.management_port, "/policy.v1.ManageUsersService/ListMembers", _CALLS),
    ),
    "connections": (
        f"{_CALLS:,} connections that say nothing",
        lambda server: connections(server.port, _CALLS),
    ),
}


def measure(bench: Workbench) -> Iterator[Figure]:
    """Undisturbed and beside an attack in turn, in one process, so that both meet the same machine."""
    warm = [population.question(0, 0, "claim:view")] * (bench.sizes.changes * 4)
    with bench.serving("service", bench.sizes.small) as server:
        latencies(server, warm)
        for name, (what, attack) in _ATTACKS.items():
            bench.say(f"checks beside {what}")
            quiet, beside = list[float](), list[float]()
            for _ in range(bench.sizes.rounds):
                quiet += latencies(server, warm)
                with attack(server):
                    beside += latencies(server, warm)
            yield Figure(
                name=f"attacked_{name}",
                what="Check undisturbed, 99th percentile",
                value=p99(quiet),
                unit="ms",
                beside_what=f"beside {what}",
                beside=p99(beside),
                at_least=0.2,
            )
