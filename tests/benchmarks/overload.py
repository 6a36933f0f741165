"""Far more calls at once than can be worked on: how many are answered all the same, what a good caller gets, memory.

h2load where there is one, as it makes more calls than a server in Python can take; it asks again at once whatever was
refused. Clients in Python, where it is not there, are themselves what is too slow.
"""

import json
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import grpc

from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import load, population
from tests.benchmarks.cold import p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench

_CHECK = "/policy.v1.DecisionService/Check"
_FITTING = (8, 16)
"""Connections, and calls at once on each: as many as keep the server busy."""
_TOO_MANY = (64, 100)
_PATIENCE_SECONDS = 5.0
_BATCH = 1_000


@dataclass(slots=True)
class Good:
    """A caller that asks one question after another, and waits a while for each answer."""

    asked: int = 0
    milliseconds: list[float] = field(default_factory=list)
    """Of each answer."""


def measure(bench: Workbench) -> Iterator[Figure]:
    """As many as fit, and far too many, in turn, in one process; then made-up names."""
    body = population.question(0, 0, "claim:submit").SerializeToString()
    with bench.serving("service", bench.sizes.small) as server:
        answer = load.call(server, "Check", body)
        fitting, answered, turned_away, good = list[float](), list[float](), list[float](), Good()
        _hammered(server, body, answer, bench.sizes.seconds, *_FITTING)
        before = server.megabytes()
        for number in range(bench.sizes.rounds):
            fitting.append(_hammered(server, body, answer, bench.sizes.seconds, *_FITTING)[0])
            with _asking(server, body, good):
                useful, useless = _hammered(server, body, answer, 2 * bench.sizes.seconds, *_TOO_MANY)
            answered.append(useful)
            turned_away.append(useless)
            bench.say(f"overload, round {number + 1}: {fitting[-1]:,.0f}/s fit, {useful:,.0f}/s answered of too many")
        flooded = server.megabytes()
        yield from _answers(fitting, answered, turned_away, good)
        yield Figure(
            name="overload_memory",
            what="memory after all of that",
            value=flooded,
            unit="MB",
            beside_what="before",
            beside=before,
        )
        _made_up(server, bench.sizes.names // 10, "before")
        before = server.megabytes()
        _made_up(server, bench.sizes.names, "name")
        yield Figure(
            name="names_memory",
            what=f"memory after questions about {bench.sizes.names:,} made-up users and accounts",
            value=server.megabytes(),
            unit="MB",
            beside_what="before",
            beside=before,
            within=1.05,
        )


def _answers(fitting: list[float], answered: list[float], turned_away: list[float], good: Good) -> Iterator[Figure]:
    connections, in_flight = _TOO_MANY
    yield Figure(
        name="overload",
        what=f"Checks answered with {connections * in_flight:,} at once",
        value=median(answered),
        unit="calls/s",
        beside_what=f"with {_FITTING[0] * _FITTING[1]}",
        beside=median(fitting),
        at_least=0.8,
    )
    yield Figure(
        name="overload_refused",
        what="those that were turned away meanwhile",
        value=max(1.0, median(turned_away)),
        unit="calls/s",
    )
    yield Figure(
        name="overload_good",
        what="answers to a good caller beside them",
        value=len(good.milliseconds),
        unit="calls",
        beside_what="its questions",
        beside=good.asked,
        at_least=1.0,
    )
    yield Figure(
        name="overload_good_p99",
        what="the time they took, 99th percentile",
        # Of a few there is no hundredth.
        value=p99([*good.milliseconds, max(good.milliseconds)]),
        unit="ms",
    )


@contextmanager
def _asking(server: Server, body: bytes, good: Good) -> Iterator[None]:
    ended = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call = channel.unary_unary(_CHECK)
            while not ended.is_set():
                good.asked += 1
                began = time.perf_counter()
                try:
                    call(body, timeout=_PATIENCE_SECONDS)
                except grpc.RpcError:
                    continue
                good.milliseconds.append((time.perf_counter() - began) * 1e3)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


def _hammered(
    server: Server, body: bytes, answer: bytes, seconds: float, connections: int, in_flight: int
) -> tuple[float, float]:
    """Answers a second, and calls a second that came back without one."""
    if load.H2LOAD is None:
        return _flooded(server, body, seconds, connections // 8, in_flight)
    report = load.h2load(server, "Check", body, seconds, connections=connections, in_flight=in_flight)
    counts = re.search(r"requests: .* (\d+) done", report)
    took = re.search(r"finished in ([\d.]+)(ms|s)", report)
    data = re.search(r"\((\d+)\) data", report)
    if counts is None or took is None or data is None:
        raise RuntimeError(f"h2load's report is not understood:\n{report}")
    passed = float(took[1]) / (1_000 if took[2] == "ms" else 1)
    # What was refused came without data. Decision ids grow by a digit or two, which is no more than a few in a hundred.
    answered = int(data[1]) / (len(answer) + 5)
    return answered / passed, max(0.0, int(counts[1]) - answered) / passed


def _flooded(server: Server, body: bytes, seconds: float, clients: int, in_flight: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bodies"
        file.write_bytes(pickle.dumps([body]))
        command = [sys.executable, "-m", "tests.benchmarks.flood", str(server.port), _CHECK, str(file), str(in_flight)]
        pipe = subprocess.PIPE
        running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(clients)]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        began = time.perf_counter()
        time.sleep(seconds)
        found = [json.loads(process.communicate()[0]) for process in running]
        passed = time.perf_counter() - began
    return sum(answered for answered, _ in found) / passed, sum(refused for _, refused in found) / passed


def _made_up(server: Server, names: int, word: str) -> None:
    """Ask about users and accounts that nobody has heard of, each once."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary("/policy.v1.DecisionService/BatchCheck")
        for start in range(0, names, _BATCH):
            checks = [
                pb.CheckRequest(user=f"{word}-{number}", physician=f"dr-{word}-{number}", action="claim:view")
                for number in range(start, start + _BATCH)
            ]
            call(pb.BatchCheckRequest(checks=checks).SerializeToString(), wait_for_ready=True, timeout=60)
