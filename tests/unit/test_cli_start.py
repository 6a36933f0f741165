"""A command that asks a running service starts fast: it does not load what only the service needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["alembic", "asyncpg", "casbin", "jinja2", "sqlalchemy", "policy_service.rpc"])
def test_commands_load_nothing_of_the_service(package):
    script = f"import sys, policy_service.cli; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
