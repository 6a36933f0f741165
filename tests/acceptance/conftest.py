"""The real process, started as the README says, and the real command."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

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

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("DECISION", "MANAGEMENT", "METRICS")}
        self.env = environment(
            POLICY_DATA_DIR=str(self.data_dir),
            PYTHONFAULTHANDLER="1",
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


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A new folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="policy-") as folder:
        yield Path(folder)


@pytest.fixture
def service(short_folder: Path) -> Service:
    return Service(short_folder)
