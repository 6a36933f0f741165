"""A process that asks: many calls in flight on one connection, bodies given ready encoded.

    python -m tests.benchmarks.client PORT METHOD FILE SECONDS IN_FLIGHT

FILE holds the bodies, pickled; they are asked in turn from a random place on.
Writes ``[calls, seconds, longest]`` as a line of JSON; ``longest`` is the time of the slowest call.
"""

import asyncio
import itertools
import json
import pickle
import random
import sys
import time
from pathlib import Path

import grpc


async def ask(port: int, method: str, bodies: list[bytes], seconds: float, in_flight: int) -> tuple[int, float, float]:
    """How many calls were answered, in how many seconds, the slowest in how many. Raises if one is not."""
    start = random.randrange(len(bodies))
    supply = itertools.cycle(itertools.chain(bodies[start:], bodies[:start]))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/policy.v1.DecisionService/{method}")
        await call(bodies[0])
        began = time.perf_counter()
        end = began + seconds

        async def worker() -> tuple[int, float]:
            calls, longest = 0, 0.0
            while (asked := time.perf_counter()) < end:
                await call(next(supply))
                longest = max(longest, time.perf_counter() - asked)
                calls += 1
            return calls, longest

        found = await asyncio.gather(*[worker() for _ in range(in_flight)])
        took = time.perf_counter() - began
        return sum(calls for calls, _ in found), took, max(longest for _, longest in found)


def main() -> None:
    """Read the arguments, ask, report."""
    port, method, file, seconds, in_flight = sys.argv[1:]
    bodies = pickle.loads(Path(file).read_bytes())  # noqa: S301 - written by the benchmark itself.
    print(json.dumps(asyncio.run(ask(int(port), method, bodies, float(seconds), int(in_flight)))))


if __name__ == "__main__":
    main()
