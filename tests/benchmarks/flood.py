"""A process that floods: the same calls again and again, answered or refused, until its standard input ends.

    python -m tests.benchmarks.flood PORT PATH FILE IN_FLIGHT

FILE holds the bodies, pickled; they are asked in turn. Writes a line when the
first call came back, and at the end ``[answered, refused]`` as JSON.
"""

import asyncio
import itertools
import json
import pickle
import sys
from pathlib import Path

import grpc


async def flood(port: int, path: str, bodies: list[bytes], in_flight: int) -> tuple[int, int]:
    """How many calls were answered and how many refused."""
    supply, counts = itertools.cycle(bodies), [0, 0]
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(path)

        async def one() -> None:
            try:
                await call(next(supply))
                counts[0] += 1
            except grpc.aio.AioRpcError:
                counts[1] += 1

        async def worker() -> None:
            while not ended.done():
                await one()

        await one()
        print("flooding", flush=True)
        await asyncio.gather(*(worker() for _ in range(in_flight)))
    return counts[0], counts[1]


def main() -> None:
    """Read the arguments, flood, report."""
    port, path, file, in_flight = sys.argv[1:]
    bodies = pickle.loads(Path(file).read_bytes())  # noqa: S301 - written by the benchmark itself.
    print(json.dumps(asyncio.run(flood(int(port), path, bodies, int(in_flight)))))


if __name__ == "__main__":
    main()
