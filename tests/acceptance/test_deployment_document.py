"""docs/deployment.md, 'Try it': a newcomer's path, run as it is written but for the ports, by a real shell."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import BIN, environment
from tests.support.patience import LONG_PATIENCE, PATIENCE
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/deployment.md").read_text()
SECTION = PAGE[PAGE.index("## Try it") : PAGE.index("## With Docker")]
ASKED_AGAIN = ".venv/bin/python try/ask.py\n"
FIRST, SECOND = 1, 2
"""Of those that go on; the database comes before them."""
SERVES = re.compile(r'PostgreSQL serves|"event": "serving"')


class Terminals:
    """A folder as a checkout has it, in which blocks of the page are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(BIN.parent)
        (folder / "examples").symlink_to(ROOT / "examples")
        self._ports = {port: str(free_port()) for port in sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", SECTION)))}
        self._environment = environment(POLICY_CALLER_TIMEOUT_SECONDS=str(PATIENCE), NO_COLOR="1")
        self._running: list[subprocess.Popen[str]] = []
        self._said_before = ""

    def keep(self, block: str) -> None:
        """Run a block that goes on, until it serves."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {self._here(block)}"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if SERVES.search(line):
                return
        pytest.fail(f"{block}\ndid not serve:\n{said}")

    def run(self, block: str) -> str:
        """Run a block to its end, in a terminal in which what was exported before still holds."""
        done = subprocess.run(
            ["bash", "-e", "-c", self._said_before + self._here(block)],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LONG_PATIENCE,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        self._said_before += "".join(
            f"{line}\n" for line in block.splitlines() if line.startswith(("export ", "unset "))
        )
        return done.stdout

    def end(self) -> None:
        """Ctrl-C in each, the last one first."""
        for process in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=PATIENCE)

    def stop(self, which: int) -> int:
        """Ctrl-C in one of those that go on; its status."""
        os.killpg(self._running[which].pid, signal.SIGINT)
        self._running[which].communicate(timeout=PATIENCE)
        return self._running[which].returncode

    def _here(self, block: str) -> str:
        for port, own in self._ports.items():
            block = block.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}").replace(
                f"localhost:{port}", f"localhost:{own}"
            )
        return block


@pytest.fixture
def terminals(short_folder: Path) -> Iterator[Terminals]:
    opened = Terminals(short_folder)
    yield opened
    opened.end()


def test_the_newcomers_path_does_what_it_says(terminals):
    """Each block in its order; what a block prints is what the page shows under it."""
    blocks = re.findall(r"^```(sh|text|python)\n(.*?)^```", SECTION, flags=re.M | re.S)
    assert [language for language, _ in blocks].count("text") >= 2
    said = ""
    for language, block in blocks:
        if language == "text":
            assert said == block
        elif re.search(r"local_postgres|policy-service serve", block):
            terminals.keep(block)
        else:
            if block == ASKED_AGAIN:
                # The page says to, before it.
                assert terminals.stop(SECOND) == 0
            said = terminals.run(block)
    # Nothing of what is secret can be read by others.
    for name in ("token.key", "checkpoint.key", "tls/server/key.pem", "database/owner-url", "reports.token"):
        assert (terminals.folder / "try" / name).stat().st_mode & 0o077 == 0, name
    assert terminals.stop(FIRST) == 0
