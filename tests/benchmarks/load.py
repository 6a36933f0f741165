"""Load from a process of its own, with the share of a core that it and the server used.

h2load where there is one: it costs far less than a server in Python. It sends
one body only and cannot see gRPC's status, which comes in trailers; so a call
that is refused shows by its missing data, and is looked for.
"""

import json
import pickle
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from tests.benchmarks.workbench import Server

H2LOAD = shutil.which("h2load")
_CLIENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a round came to. Shares are of one core."""

    per_second: float
    calls: int
    server_share: float
    generator_share: float
    server_micros: float
    """CPU time of the server for one call, in microseconds."""
    longest: float | None = None
    """Milliseconds of the slowest call, where the generator tells."""


def call(server: Server, method: str, body: bytes) -> bytes:
    """One call by gRPC itself; raises if it is refused."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        return channel.unary_unary(f"/policy.v1.DecisionService/{method}")(body, wait_for_ready=True, timeout=60)


def hammer(server: Server, method: str, body: bytes, seconds: float, *, connections: int, in_flight: int) -> Load:
    """The same call again and again, as fast as the server goes."""
    answer = call(server, method, body)
    if H2LOAD is None:
        # A quick round measures nothing, and starting three clients would take longer than it.
        clients = _CLIENTS if seconds >= 1 else 1
        return spread(server, method, [body], seconds, in_flight=connections * in_flight, clients=clients)

    def run() -> tuple[int, float, None]:
        report = h2load(server, method, body, seconds, connections=connections, in_flight=in_flight)
        return *_read(report, len(answer)), None

    return _watched(server, run)


def h2load(server: Server, method: str, body: bytes, seconds: float, *, connections: int, in_flight: int) -> str:
    """What it reports of the same call again and again."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0" + len(body).to_bytes(4, "big") + body)
        file.flush()
        url = f"http://127.0.0.1:{server.port}/policy.v1.DecisionService/{method}"
        shape = ["-t1", f"-c{connections}", f"-m{in_flight}", f"-D{round(seconds * 1_000)}ms"]
        headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command = [str(H2LOAD), *shape, *headers, "-d", file.name, url]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read(output: str, answer_size: int) -> tuple[int, float]:
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", output)
    took = re.search(r"finished in ([\d.]+)(ms|s)", output)
    data = re.search(r"\((\d+)\) data", output)
    if counts is None or took is None or data is None:
        raise RuntimeError(f"h2load's report is not understood:\n{output}")
    done, succeeded, failed, errored = map(int, counts.groups())
    # Decision ids grow by a digit or two; an answer that is missing is far shorter.
    if failed or errored or done != succeeded or int(data[1]) < 0.9 * succeeded * (answer_size + 5):
        raise RuntimeError(f"not every call was answered:\n{output}")
    return succeeded, float(took[1]) / (1_000 if took[2] == "ms" else 1)


def spread(
    server: Server, method: str, bodies: Sequence[bytes], seconds: float, *, in_flight: int, clients: int = 1
) -> Load:
    """Different calls in turn, from clients in Python."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bodies"
        file.write_bytes(pickle.dumps(list(bodies)))
        each = max(1, in_flight // clients)
        command = [sys.executable, "-m", "tests.benchmarks.client"]
        command += [str(server.port), method, str(file), str(seconds), str(each)]

        def run() -> tuple[int, float, float]:
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(clients)]
            reports = [json.loads(process.communicate()[0]) for process in running]
            calls, took, longest = zip(*reports, strict=True)
            return sum(calls), statistics.mean(took), max(longest) * 1e3

        return _watched(server, run)


def _watched(server: Server, run: Callable[[], tuple[int, float, float | None]]) -> Load:
    own, its, began = _children(), server.cpu_seconds(), time.perf_counter()
    calls, seconds, longest = run()
    own, its, wall = _children() - own, server.cpu_seconds() - its, time.perf_counter() - began
    return Load(
        per_second=calls / seconds,
        calls=calls,
        server_share=its / wall,
        generator_share=own / wall,
        server_micros=its / calls * 1e6,
        longest=longest,
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
