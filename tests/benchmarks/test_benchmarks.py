"""The benchmark itself works; how fast anything is, is not tested here."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.patience import LONG_PATIENCE, PATIENCE

ROOT = Path(__file__).parents[2]

FIGURES = {
    *("check", "check_cpu", "check_generator", "batch", "batch_cpu", "batch_generator"),
    *(
        "warm_check",
        "warm_batch",
        "warm_lookup",
        "warm_longest",
        "warm_worst",
        "cold_median",
        "cold_p99",
        "warm_latency",
    ),
    *("plain_first", "plain_warm", "load", "load_seconds", "load_memory", "change", "change_p99"),
    *("logged", "logged_cpu", "logged_batch", "logged_batch_cpu"),
    *("verify", "verify_rate"),
    *("plan_seconds", "plan_again", "plan_check"),
    *("follow", "follow_p99"),
    *("invite", "invite_check", "invite_check_p99"),
    *("beside_explain", "beside_lists", "beside_empties", "beside_roles"),
    *("overload", "overload_refused", "overload_good", "overload_good_p99", "overload_memory", "names_memory"),
    *(f"writes_{kind}_4_on_{replicas}" for kind in ("apart", "one", "invite") for replicas in (1, 3)),
    *(f"attacked_{attack}" for attack in ("checks", "reflection", "health", "management", "connections")),
}


def test_every_benchmark_gives_its_figures():
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONG_PATIENCE)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)["figures"]
    assert set(found) == FIGURES
    for name, figure in found.items():
        assert figure["value"] > 0, name
        assert figure["beside"] is None or figure["beside"] > 0, name


def test_an_unknown_benchmark_is_named():
    command = [sys.executable, "-m", "tests.benchmarks", "nonsense"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 2
    assert "no benchmark named nonsense" in run.stderr
