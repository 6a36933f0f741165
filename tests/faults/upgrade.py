"""The release before goes on answering while the schema is brought up to date under it, and beside this release."""

import asyncio
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc

from policy_service.store import SERVICE_ROLE, as_role
from tests.faults.asking import RIGHT, Asker
from tests.faults.figures import Figures
from tests.faults.world import make_role
from tests.support.patience import LONG_PATIENCE, PATIENCE
from tests.support.postgres import postgres_servers
from tests.support.processes import Process, processes

ROOT = Path(__file__).parents[2]
BEFORE = "77f3cfb0749c42f665c53def0c4cff84f3f8a7e6"
"""The last commit whose schema was another: actions were no rows yet."""


@contextmanager
def release(commit: str) -> Iterator[Path]:
    """Its files, out of this repository's history. Raises AssertionError where the clone does not reach so far."""
    folder = Path(tempfile.mkdtemp(prefix="policy-release-"))
    try:
        with (folder / "tar").open("wb") as file:
            made = subprocess.run(
                ["git", "-C", ROOT, "archive", commit], stdout=file, stderr=subprocess.PIPE, text=True
            )
        assert made.returncode == 0, (
            f"The release before is commit {commit[:7]} of this repository, which this clone does not have: clone it with "
            f"its history (git fetch --unshallow). git said: {made.stderr.strip()}"
        )
        with tarfile.open(folder / "tar") as tar:
            tar.extractall(folder, filter="data")
        yield folder
    finally:
        shutil.rmtree(folder)


def _run(process: Process, *arguments: str, dsn: str) -> None:
    """A command of a process's release, as whoever ``dsn`` says."""
    done = subprocess.run(
        [*process.command[:-1], *arguments], env={**process.env, "POLICY_DATABASE_URL": dsn}, capture_output=True,
        text=True, timeout=LONG_PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def run(olds: int = 1) -> Figures:
    """Replicas of the release before, the migration by this one, then this one's replica beside them."""
    with ExitStack() as stack:
        (database,) = stack.enter_context(postgres_servers())
        database.make()
        database.start()
        asyncio.run(make_role(database))
        dsn = as_role(database.dsn, SERVICE_ROLE)
        old = stack.enter_context(release(BEFORE))
        made = stack.enter_context(processes(dsn, 1 + olds))
        older, new = made[:-1], made[-1]
        for one in older:
            # Not from the folder in which this runs.
            one.command = (sys.executable, "-P", "-m", "policy_service", "serve")
            one.env["PYTHONPATH"] = f"{old}:{old / 'clients' / 'python'}"
            # What that release does not know.
            one.env.pop("POLICY_DRAIN_SECONDS")
        _run(older[0], "migrate", "--service-role", SERVICE_ROLE, dsn=database.dsn)
        one = older[0]
        one.command = (*one.command, "--demo")
        for one in older:
            one.begin()
            # That release tells no orchestrator; its metrics are there before its listeners.
            with grpc.insecure_channel(f"127.0.0.1:{one.decision}") as channel:
                grpc.channel_ready_future(channel).result(PATIENCE)
        with Asker([one.decision for one in older], RIGHT) as asker:
            begin = asker.wait_for("right", 0.0).came
            with ThreadPoolExecutor(2) as both:
                # Two at once, of which one finds it done.
                list(
                    both.map(lambda _: _run(new, "migrate", "--service-role", SERVICE_ROLE, dsn=database.dsn), range(2))
                )
            after = asker.wait_for("right", time.monotonic()).came
            new.start()
            with Asker([new.decision], RIGHT) as beside:
                beside.wait_for("right", 0.0)
                for _ in range(20):
                    asker.wait_for("right", time.monotonic())
                    beside.wait_for("right", time.monotonic())
            counted, of_new = asker.counted.copy(), beside.counted.copy()
        for one in older:
            assert one.is_running, one.said
    return Figures(
        name=f"upgrade from {BEFORE[:7]} while it serves",
        numbers={
            "seconds of the migration": after - begin,
            "right answers of the release before": counted["right"],
            "other answers of it": counted.total() - counted["right"],
            "right answers of this release": of_new["right"],
            "other answers of this one": of_new.total() - of_new["right"],
        },
        answers={what: count for what, count in (counted + of_new).items() if what != "right"},
        zero=("other answers of it", "other answers of this one"),
    )
