"""The database does not answer for longer than POLICY_MAX_STALENESS_SECONDS, in each way in which it may not."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc
from grpc_health.v1 import health_pb2

from tests.acceptance.conftest import BIN
from tests.faults.asking import RIGHT, Asker
from tests.faults.figures import Figures
from tests.faults.world import prepare
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.patience import PATIENCE
from tests.support.postgres import Postgres, postgres_servers
from tests.support.processes import Process, processes

# What is wrong with the database, and how it is mended.
Fault = tuple[Callable[[Postgres, FaultyProxy], None], Callable[[Postgres, FaultyProxy], None]]
FAULTS: dict[str, Fault] = {
    "frozen": (lambda database, _: database.freeze(), lambda database, _: database.thaw()),
    "killed": (lambda database, _: database.kill(), lambda database, _: database.start()),
    "cut": (lambda _, proxy: proxy.cut(), lambda _, proxy: proxy.mend()),
    "half open": (lambda _, proxy: _half_open(proxy), lambda _, proxy: proxy.mend()),
}


def _half_open(proxy: FaultyProxy) -> None:
    # What there is goes silent, what is new does not get through.
    proxy.go_silent()
    proxy._refuses = True


def _health(process: Process, plane: str) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{getattr(process, plane)}", (("grpc.use_local_subchannel_pool", 1),)) as to:
        ask = to.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        return str(
            health_pb2.HealthCheckResponse.ServingStatus.Name(
                ask(health_pb2.HealthCheckRequest(), timeout=PATIENCE).status
            )
        )


@contextmanager
def served(limit: float) -> Iterator[tuple[Postgres, FaultyProxy, Process]]:
    """A service with the demo accounts behind a proxy, that answers without its database for so long."""
    with ExitStack() as stack:
        (database,) = stack.enter_context(postgres_servers())
        dsn = prepare(database)
        proxy = stack.enter_context(faulty_proxy(database.port))
        through = dsn.replace(f":{database.port}/", f":{proxy.port}/")
        command = (str(BIN / "policy-service"), "serve", "--demo")
        settings = {"POLICY_MAX_STALENESS_SECONDS": str(limit)}
        (service,) = stack.enter_context(processes(through, **settings))
        service.command = command
        service.start()
        yield database, proxy, service


def run(faults: list[str], limit: float) -> list[Figures]:
    """Each fault once, on one service."""
    found = []
    with served(limit) as (database, proxy, service):
        for name in faults:
            found.append(_one(name, limit, database, proxy, service))
    return found


def _one(name: str, limit: float, database: Postgres, proxy: FaultyProxy, service: Process) -> Figures:
    begin, mend = FAULTS[name]
    with Asker([service.decision], RIGHT) as asker:
        asker.wait_for("right", time.monotonic())
        began = time.monotonic()
        begin(database, proxy)
        stale = asker.wait_for("UNAVAILABLE REPLICA_STALE", began)
        service.wait_until("readyz", 503)
        unready = time.monotonic()
        told = service.says("readyz")[1]
        not_serving = {plane: _health(service, plane) for plane in ("decision", "management")}
        # A while in which nothing else is answered.
        for _ in range(50):
            asker.wait_for("UNAVAILABLE REPLICA_STALE", time.monotonic())
        mending = time.monotonic()
        mend(database, proxy)
        back = asker.wait_for("right", mending)
        service.wait_until("readyz", 200)
        serving = {plane: _health(service, plane) for plane in ("decision", "management")}
    before, after = asker.between(began, stale.asked), asker.between(stale.came, mending)
    wrong = [f"{name}: before {before}, after {after}"]
    return Figures(
        name=f"database {name} for longer than {limit:g} s",
        numbers={
            "right answers before": before["right"],
            "other answers before": before.total() - before["right"],
            "UNAVAILABLE after": after["UNAVAILABLE REPLICA_STALE"],
            "other answers after": after.total() - after["UNAVAILABLE REPLICA_STALE"],
            "wrong answers": asker.counted["wrong"],
            "seconds until UNAVAILABLE": stale.came - began,
            "seconds until NOT_SERVING": unready - began,
            "readiness without the follower's state and age": int("follower: " not in told or "age: " not in told),
            "health that still says SERVING": sum(state == "SERVING" for state in not_serving.values()),
            "seconds until right again": back.came - mending,
            "health that says no afterwards": sum(state != "SERVING" for state in serving.values()),
        },
        faults=wrong,
        zero=(
            "other answers before",
            "other answers after",
            "wrong answers",
            "readiness without the follower's state and age",
            "health that still says SERVING",
            "health that says no afterwards",
        ),
    )
