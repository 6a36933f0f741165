"""A command that asks a running service starts fast: it does not load what only the service needs."""

import subprocess
import sys

import pytest

from tests.support.patience import PATIENCE


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """What is loaded once the command is, in a process that loads nothing else."""
    script = "import sys, policy_service.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return set(run.stdout.split())


@pytest.mark.parametrize("package", ["alembic", "asyncpg", "casbin", "jinja2", "sqlalchemy", "policy_service.rpc"])
def test_commands_load_nothing_of_the_service(loaded, package):
    assert "policy_service.cli" in loaded
    assert package not in loaded
