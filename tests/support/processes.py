"""Services in processes of their own, one beside the other on one database, that are killed and begun again."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from policy_service.chain import read_signer
from policy_service.members import read_key
from tests.acceptance.conftest import BIN, environment
from tests.support.patience import PATIENCE
from tests.support.ports import free_port

QUIET = {
    "POLICY_DRAIN_SECONDS": "0",
    "POLICY_LOG_LEVEL": "warning",
    # What is tried here again and again is no flood.
    "POLICY_LETTERS_PER_INVITATION": "0",
    "POLICY_LETTERS_PER_ADDRESS": "0",
    "POLICY_LETTERS_PER_ACCOUNT": "0",
    "POLICY_MAX_PROMPTS_PER_HOUR": "1000000",
}


class Process:
    """A service; its log is a file, as nobody reads it meanwhile."""

    def __init__(self, folder: Path, dsn: str, command: tuple[str, ...] = (), **settings: str) -> None:
        """``folder`` is its own. ``settings`` are environment variables."""
        folder.mkdir(exist_ok=True)
        self.folder, self.log = folder, folder / "service.log"
        self.command = command or (str(BIN / "policy-service"), "serve")
        self.decision, self.management, self.operations = (free_port() for _ in range(3))
        self.env = environment(
            **QUIET,
            POLICY_DATABASE_URL=dsn,
            POLICY_DATA_DIR=str(folder / "data"),
            POLICY_TOKEN_KEY_FILE=str(folder.parent / "token.key"),
            POLICY_CHECKPOINT_KEY_FILE=str(folder.parent / "checkpoint.key"),
            POLICY_DECISION_ADDRESS=f"127.0.0.1:{self.decision}",
            POLICY_MANAGEMENT_ADDRESS=f"127.0.0.1:{self.management}",
            POLICY_METRICS_ADDRESS=f"127.0.0.1:{self.operations}",
            PYTHONFAULTHANDLER="1",
        )
        self.env |= settings
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, log: int | None = None) -> None:
        """With its log in a file of its own, or where ``log`` is open."""
        with self.log.open("ab") as file:
            to = file if log is None else log
            self._process = subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=file, stderr=to, start_new_session=True
            )

    def start(self) -> None:
        """Ready when it returns."""
        self.begin()
        self.wait_until("readyz", 200)

    def wait_until(self, path: str, status: int) -> float:
        """Until it says so to orchestrators; how many seconds that took."""
        began = time.monotonic()
        while self.says(path)[0] != status:
            assert self.is_running, self.said
            assert time.monotonic() - began < PATIENCE, f"{self.says(path)}\n{self.said}"
            time.sleep(0.02)  # it is asked, and tells nobody by itself
        return time.monotonic() - began

    def says(self, path: str) -> tuple[int, str]:
        """Status and words; 0 for nobody there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations}/{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text()[-6_000:]

    def has_connection_from(self, port: int) -> bool:
        """Is this port of loopback one of its own ends?"""
        if not self.is_running:
            return False
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return any(one.laddr.port == port for one in psutil.Process(self._process.pid).net_connections("tcp"))
        return False

    def kill(self) -> None:
        """Kill -9; gone when it returns."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """SIGTERM, as orchestrators do; how many seconds its end took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # Its threads' stacks go into the log.
            self._process.send_signal(signal.SIGABRT)
            self._process.wait()
            raise AssertionError(f"it did not stop:\n{self.said}") from None
        assert status == 0, self.said
        return time.monotonic() - began

    def end(self) -> None:
        """However it stands."""
        if self.is_running:
            self.kill()


@contextlib.contextmanager
def processes(dsn: str, count: int = 1, **settings: str) -> Iterator[list[Process]]:
    """So many services that are not begun yet; ended and their folders removed with the block."""
    folder = Path(tempfile.mkdtemp(prefix="policy-faults-"))
    # The same for all of them.
    read_key(folder / "token.key")
    read_signer(folder / "checkpoint.key")
    made = [Process(folder / f"replica{number}", dsn, **settings) for number in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.end()
        shutil.rmtree(folder)
