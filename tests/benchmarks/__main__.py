"""``python -m tests.benchmarks [NAME ...] [--quick] [--json] [--physicians N]``: ratios side by side in one run."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.benchmarks import (
    attacked,
    batch,
    beside,
    chain,
    cold,
    decisions,
    follower,
    machine,
    manage,
    overload,
    plain,
    seeds,
    startup,
    unary,
    warm,
    writes,
)
from tests.benchmarks.figures import Figure, as_json, print_table
from tests.benchmarks.load import H2LOAD
from tests.benchmarks.quiet import keep_stdout_clean
from tests.benchmarks.workbench import QUICK, Sizes, Workbench, open_workbench

BENCHMARKS: dict[str, Callable[[Workbench], Iterator[Figure]]] = {
    "unary": unary.measure,
    "batch": batch.measure,
    "decisions": decisions.measure,
    "warm": warm.measure,
    "cold": cold.measure,
    "plain": plain.measure,
    "startup": startup.measure,
    "follower": follower.measure,
    "manage": manage.measure,
    "chain": chain.measure,
    "seeds": seeds.measure,
    "beside": beside.measure,
    "attacked": attacked.measure,
    "overload": overload.measure,
    "writes": writes.measure,
}


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes: tests the benchmark, measures nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--physicians", type=int, metavar="N", help="the large size; 100,000 if not given")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.physicians:
        sizes = replace(sizes, large=arguments.physicians)

    keep_stdout_clean()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f}s] {text}", file=sys.stderr, flush=True)

    figures: list[Figure] = []
    with open_workbench(sizes, say) as bench:
        conditions = machine.conditions() | {
            "postgresql": bench.postgres_version(),
            "load generator": "h2load" if H2LOAD else "clients in Python",
        }
        for name, measure in BENCHMARKS.items():
            if not arguments.names or name in arguments.names:
                figures += measure(bench)
    if arguments.json:
        print(as_json(conditions, figures))
    else:
        print_table(conditions, figures)


if __name__ == "__main__":
    main()
