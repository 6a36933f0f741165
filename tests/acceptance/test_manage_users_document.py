"""docs/manage-users.md from top to bottom: its commands as one script, in a shell, against a service just started."""

import re
import subprocess
from pathlib import Path

import pytest
from policy_client import PolicyClient

from tests.acceptance.conftest import BIN

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(1_800)  # some thirty commands, each a process of its own
def test_every_command_of_manage_users_works_in_order(service):
    text = (ROOT / "docs/manage-users.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.M | re.S)
    script = "\n".join(blocks)
    # Every command of the page is in it, so none can be wrong unseen.
    for command in ("invite", "pending", "look-up", "accept", "complete", "decline", "show", "edit", "resend", "cancel",
                    "address", "confirm-address", "leave", "revoke", "register", "list"):  # fmt: skip
        assert f"users {command} " in script, command
    with service.running():
        env = {**service.env, "PATH": f"{BIN}:{service.env['PATH']}"}
        run = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
            env=env, cwd=ROOT, capture_output=True, text=True
        )  # fmt: skip
        assert run.returncode == 0, (run.stdout, run.stderr)
        assert run.stderr == ""
        with PolicyClient(f"127.0.0.1:{service.ports['DECISION']}") as policy:
            for user, physician, action, allowed in (
                ("nina", "dr-osei", "claim:submit", True),
                ("nina", "dr-tran", "invoice:view", False),
                ("omar", "dr-osei", "claim:view", False),
                ("mia", "dr-osei", "claim:view", False),
                ("zoe", "dr-new", "user:invite", True),
            ):
                assert policy.check(user, physician, action).allowed is allowed
        assert "nina@new.example, and no longer to this one" in " ".join(run.stdout.split())
