"""The README's commands and snippets, run as they are written, but for the port."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import BIN

ROOT = Path(__file__).parents[2]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(), flags=re.M | re.S)


def test_the_readmes_commands_answer(service):
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith(".venv/bin/policy-service")]
    assert len(commands) >= 7
    with service.running():
        for line in commands:
            words = line.partition("#")[0].split()[1:]
            run = service.cli(*words)
            assert run.returncode in (0, 1), (line, run.stderr)
            assert run.stdout
            comment = line.partition("#")[2].strip()
            if comment.startswith("denied"):
                assert run.stdout.startswith(comment)
        shown = blocks("README.md", "text")[0]
        assert service.cli("check", "mia", "dr-osei", "claim:submit").stdout == shown


@pytest.mark.parametrize("name", ["README.md", "clients/python/README.md"])
def test_the_snippets_run_as_written(service, name):
    snippets = [block for block in blocks(name, "python") if "ca_pem" not in block]
    assert snippets
    env = {**os.environ, "GRPC_VERBOSITY": "error"}
    with service.running():
        for snippet in snippets:
            text = snippet.replace("127.0.0.1:50051", f"127.0.0.1:{service.ports['DECISION']}")
            text = text.replace("PolicyClient()", f"PolicyClient('127.0.0.1:{service.ports['DECISION']}')")
            text = text.replace("ManageUsersClient()", f"ManageUsersClient('127.0.0.1:{service.ports['MANAGEMENT']}')")
            run = subprocess.run(
                [sys.executable, "-W", "error", "-c", text], env=env, capture_output=True, text=True, timeout=60
            )
            assert run.returncode == 0, (snippet, run.stderr)


def test_the_makefiles_targets_are_all_there():
    text = (ROOT / "Makefile").read_text()
    for target in ("run", "test", "bench", "lint", "fuzz"):
        assert re.search(rf"^{target}: ", text, flags=re.M)
    assert (BIN / "policy-service").exists()
