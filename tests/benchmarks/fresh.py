"""Runs one function of a benchmark in a process of its own: ``python -m tests.benchmarks.fresh MODULE:NAME ARGUMENTS``."""

import importlib
import json
import sys

from tests.benchmarks.quiet import keep_stdout_clean


def main() -> None:
    """Call it with the JSON arguments; its answer goes to stdout as JSON."""
    keep_stdout_clean()
    module, _, name = sys.argv[1].partition(":")
    print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()
