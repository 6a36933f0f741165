"""``seed test --live`` and the real service, with the demo accounts in its store."""

import asyncio
import json

import pytest
import yaml
from typer.testing import CliRunner

from policy_service import demo
from policy_service.cli.main import app as command
from policy_service.policy_text import read_file
from policy_service.settings import policies_dir
from tests.support.accounts import grant, reached, revoke

SHIPPED = policies_dir() / "tests" / "demo_clinic.yaml"


@pytest.fixture
async def revision(app):
    """The demo accounts are loaded, and the service answers at that revision."""
    revision = (await demo.load(app.store, read_file(policies_dir() / "demo.csv"))).revision
    await reached(app, revision)
    return revision


@pytest.fixture
def seed_test(app, tmp_path):
    """Runs the command on the demo clinic's expectations, about the service's own accounts."""
    document = yaml.safe_load(SHIPPED.read_text())
    del document["include"]
    path = tmp_path / "demo_live.yaml"
    path.write_text(yaml.safe_dump({"live": True, **document}))

    async def run(*words):
        address = f"127.0.0.1:{app.planes.decision_port}"
        arguments = ["seed", "test", str(path), "--live", "--address", address, *words]
        return await asyncio.to_thread(CliRunner().invoke, command, arguments)

    return run


async def test_the_shipped_expectations_hold_for_the_demo_accounts_at_the_service(revision, seed_test):
    result = await seed_test("--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["files"] == [{"file": "demo_live.yaml", "decisions": 117, "failed": 0, "revisions": [revision]}]
    assert (found["failed"], found["coverage"]) == ([], None)


async def test_what_changed_at_the_service_is_noticed(app, revision, seed_test):
    await reached(app, await grant(app, "dr-osei", "leo", "data_entry"))
    last = await revoke(app, "dr-silver", "mia", "financial_viewer")
    await reached(app, last)
    result = await seed_test("--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["files"][0]["revisions"] == [last]
    assert {(failed["user"], failed["action"], failed["found"], failed["reason"]) for failed in found["failed"]} == {
        ("leo", "claim:delete", True, "granted"),
        *(
            ("mia", action, False, "not a member")
            for action in ("claim:view", "report:generate", "report:patient_details", "invoice:view", "invoice:pay")
        ),
    }
