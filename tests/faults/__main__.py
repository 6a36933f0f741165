"""``make faults``: each kind of fault for long, and what was counted as a table; status 1 where a promise was broken."""

import argparse
import sys
import warnings
from collections.abc import Callable

from tests.faults import failover, kills, replicas, rolling, staleness, upgrade
from tests.faults.figures import Figures, table

_RUNS: dict[str, Callable[[int], list[Figures]]] = {
    "kills": lambda rounds: [kills.run(rounds)],
    "failover": lambda rounds: [failover.run(max(1, rounds // 5))],
    "staleness": lambda _: staleness.run([*staleness.FAULTS], 10.0),
    "replicas": lambda rounds: [replicas.run(max(1, rounds // 5))],
    "rolling": lambda rounds: [rolling.run(max(1, rounds // 10))],
    "upgrade": lambda _: [upgrade.run(2)],
}


def main() -> int:
    asked = argparse.ArgumentParser(prog="make faults", description=__doc__)
    asked.add_argument("--rounds", type=int, default=15, help="kills; the others are fewer (default: 15)")
    asked.add_argument("--only", nargs="+", choices=[*_RUNS], default=[*_RUNS], help="kinds of faults (default: all)")
    given = asked.parse_args()
    # The embedded server's library says where it keeps its lock.
    warnings.simplefilter("ignore", RuntimeWarning)
    found: list[Figures] = []
    broken = []
    for name in given.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            more = _RUNS[name](given.rounds)
            found += more
            for figures in more:
                figures.refuse()
        except AssertionError as fault:
            broken.append(f"{name}: {fault}")
    print(table(found))
    for fault in broken:
        print(f"\nBROKEN {fault}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
