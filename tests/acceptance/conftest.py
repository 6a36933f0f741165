"""The real process, started as the README says, and the real command."""

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from policy_service.store import embedded_postgres
from tests.support.command import run_command
from tests.support.patience import PATIENCE
from tests.support.ports import free_port

BIN = Path(sys.executable).parent


patient_clients = f"""
import functools, policy_client
for name in ("PolicyClient", "AsyncPolicyClient", "ManageUsersClient", "AsyncManageUsersClient", "AuditClient"):
    setattr(policy_client, name, functools.partial(getattr(policy_client, name), timeout={PATIENCE}))
"""
"""Before a snippet, for a slow machine: whoever says nothing of time limits has long ones."""


def environment(**more: str) -> dict[str, str]:
    """This process's, without any POLICY_* of the developer's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLICY_")}
    return {**kept, **more}


@dataclass
class Service:
    """A service in a process of its own, on a folder of its own."""

    data_dir: Path
    command: tuple[str, ...] = (str(BIN / "policy-service"), "serve", "--demo")
    settings: dict[str, str] = field(default_factory=dict)
    from_nothing: bool = False
    """Is its database made by the service itself? Else it is a copy of an empty one, which is there sooner."""

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("DECISION", "MANAGEMENT", "METRICS")}
        self.env = environment(
            POLICY_DATA_DIR=str(self.data_dir),
            PYTHONFAULTHANDLER="1",
            POLICY_DRAIN_SECONDS="0",
            **{f"POLICY_{name}_ADDRESS": f"127.0.0.1:{port}" for name, port in self.ports.items()},
            **self.settings,
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Started and serving; killed at the end if it still runs."""
        with self.start() as process:
            try:
                assert self.wait_for(process, '"serving"'), self.output
                yield process
            finally:
                if process.poll() is None:
                    self.stop(process)

    def start(self) -> subprocess.Popen[str]:
        self.output = ""
        if (
            not self.from_nothing
            and "POLICY_DATABASE_URL" not in self.settings
            and not self.data_dir.joinpath("postgres").exists()
        ):
            give_database(self.data_dir)
        return subprocess.Popen(
            self.command,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, process: subprocess.Popen[str], word: str) -> bool:
        """Read the log until a line has the word; False if the log ends first."""
        assert process.stdout is not None
        for line in process.stdout:
            self.output += line
            if word in line:
                return True
        return False

    def stop(self, process: subprocess.Popen[str], how: int = signal.SIGINT) -> str:
        """Ctrl-C: the signal goes to the whole group, as from a terminal."""
        os.killpg(process.pid, how)
        try:
            rest, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # Its threads' stacks go into the log, by faulthandler.
            os.killpg(process.pid, signal.SIGABRT)
            rest, _ = process.communicate(timeout=PATIENCE)
            pytest.fail(f"the service did not stop:\n{self.output}{rest}")
        self.output += rest
        return self.output

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, environment=self.env)


@cache
def _empty_database() -> Path:
    """The folder of a server that was made and stopped, as the service makes it; one for this process."""
    folder = Path(tempfile.mkdtemp(prefix="policy-"))
    atexit.register(shutil.rmtree, folder)

    async def make() -> None:
        async with embedded_postgres(folder):
            pass

    # Whoever asks may be on a loop of their own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make()).result()
    return folder


def give_database(data_dir: Path) -> None:
    """An empty database for a service's first start, with the owner and the rights that it was made with."""
    data_dir.mkdir(parents=True, exist_ok=True)
    made = _empty_database()
    subprocess.run(["cp", "-a", made / "postgres", made / "postgres.made", data_dir], check=True)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A new folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="policy-") as folder:
        yield Path(folder)


@pytest.fixture
def service(short_folder: Path) -> Service:
    return Service(short_folder)
