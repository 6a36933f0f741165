"""``policy-service callers``: a token from its making to its end, over the wire and on the database itself."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from policy_service.cli.main import app as command
from policy_service.policy_text import read_seed
from policy_service.seed import install
from policy_service.settings import policies_dir
from policy_service.store import SERVICE_ROLE, as_role, connect_store
from tests.conftest import SHIPPED_MODEL, settings_for

WHY = ["--as", "olga", "--reason", "a test"]


@pytest.fixture
def settings(database):
    """What the service logs would stand among what the command says, as both are of one process here."""
    return settings_for(as_role(database, SERVICE_ROLE), log_calls="none")


@pytest.fixture
def run(app, monkeypatch):
    """The command against the running service; its exit status, standard output and standard error."""
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", f"127.0.0.1:{app.planes.management_port}")

    async def ask(*words: str):
        return await asyncio.to_thread(CliRunner().invoke, command, ["callers", *words])

    return ask


async def test_a_caller_from_its_first_token_to_its_removal(run):
    added = await run("add", "claims", "--may", "check", "--physician", "dr-a", *WHY)
    assert added.exit_code == 0, added.output
    (token,) = added.stdout.splitlines()
    assert token.startswith("pst_")
    assert token not in added.stderr
    shown = await run("show", "claims")
    assert "DecisionService/Check" in shown.stdout
    assert "dr-a" in shown.stdout
    assert token.split("_", 2)[2] not in shown.stdout
    again = await run("add", "claims", "--may", "check", *WHY)
    assert (again.exit_code, again.stdout) == (1, "")
    rotated = json.loads((await run("rotate", "claims", "--overlap", "1h", "--json", *WHY)).stdout)
    assert rotated["before"]["id"] == token.split("_")[1]
    assert rotated["token"].startswith("pst_")
    under_way = await run("rotate", "claims", *WHY)
    assert under_way.exit_code == 1
    assert rotated["token_id"] in under_way.stderr
    ended = await run("remove", "claims", "--token", rotated["before"]["id"], *WHY)
    assert ended.exit_code == 0, ended.output
    listed = json.loads((await run("list", "--json")).stdout)
    (one,) = [one for one in listed if one["caller"] == "claims"]
    assert [held["id"] for held in one["tokens"]] == [rotated["token_id"]]
    assert (await run("change", "claims", "--may", "explain", *WHY)).exit_code == 0
    rights = json.loads((await run("show", "claims", "--json")).stdout)["rights"]
    assert {right["method"] for right in rights} >= {"DecisionService/Explain"}
    assert not any(right["limited"] for right in rights)
    assert (await run("remove", "claims", *WHY)).exit_code == 0
    assert (await run("show", "claims")).exit_code == 2


async def test_whom_the_seed_names_stays_and_this_is_said(run):
    assert (await run("add", "billing", *WHY)).exit_code == 0
    removed = await run("remove", "billing", *WHY)
    assert removed.exit_code == 0
    assert "The seed still names billing" in removed.stderr
    assert "billing" in (await run("list")).stdout


async def test_what_cannot_be_is_told_with_its_option_or_field(run):
    for words, told in (
        (["add", "local", "--may", "check"], "plain loopback"),
        (["add", "x", "--may", "chekc"], "check, explain"),
        (["add", "x", "--may", "replicate"], "methods to come"),
        (["add", "x", "--may", "seed", "--physician", "dr-a"], "cannot be limited"),
        (["add", "x", "--physician", "dr-a"], "nothing that may be called"),
        (["add", "x", "--certificate"], "may is empty"),
        (["add", "x", "--expires", "soon"], "--expires"),
        (["add", "x", "--expires", "401d"], "400 days"),
        (["add", "x", "--expires", "2001-01-01"], "400 days"),
        (["add", "billing", "--may", "check", "--physician", "dr-a"], "limit nothing"),
        (["rotate", "nobody"], "No such caller"),
        (["remove", "nobody"], "No such caller"),
        (["remove", "billing", "--token", "0" * 16], "no such token"),
        (["change", "nobody", "--may", "check"], "No such caller"),
    ):
        found = await run(*words, *WHY)
        assert found.exit_code in (1, 2), words
        assert told in found.stderr, found.stderr
        assert found.stdout == ""


async def test_changes_of_callers_are_explained_by_the_audit(run, app, monkeypatch):
    token = (await run("add", "claims", "--may", "check", "--physician", "dr-a", *WHY)).stdout.strip()
    await run("rotate", "claims", *WHY)
    found = await asyncio.to_thread(CliRunner().invoke, command, ["audit", "changes", "--json"])
    changes = [change for change in json.loads(found.stdout) if change["kind"].startswith("caller.")]
    assert [change["kind"] for change in changes] == ["caller.rotate", "caller.add"]
    assert {(change["actor"], change["reason"]) for change in changes} == {("olga", "a test")}
    assert changes[1]["detail"]["token"] == token.split("_")[1]
    assert token.split("_", 2)[2] not in found.stdout
    told = await asyncio.to_thread(CliRunner().invoke, command, ["audit", "changes"])
    assert "service claims may DecisionService/Check for the physicians that it is named for" in told.stdout
    assert "service claims is named for dr-a" in told.stdout


def test_the_first_caller_is_made_by_whoever_holds_the_database(tmp_path, monkeypatch, database):
    """No service runs, and nobody is asked for a right."""

    async def seeded():
        async with connect_store(database) as store:
            await install.install_first(store, read_seed(policies_dir() / "seed.csv"), SHIPPED_MODEL)

    asyncio.run(seeded())
    monkeypatch.setenv("POLICY_DATABASE_URL", database)
    monkeypatch.setenv("POLICY_DATA_DIR", str(tmp_path))
    invoke = CliRunner().invoke
    added = invoke(command, ["callers", "add", "first", "--may", "callers", "--direct", *WHY])
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("pst_")
    shown = json.loads(invoke(command, ["callers", "show", "first", "--direct", "--json"]).stdout)
    assert "CallersService/AddCaller" in {right["method"] for right in shown["rights"]}
    refused = invoke(command, ["callers", "add", "first", "--direct", *WHY])
    assert refused.exit_code == 1
    invalid = invoke(command, ["callers", "add", "a b", "--may", "x" * 200, "--direct", *WHY])
    assert invalid.exit_code == 2
    assert "more than 129 characters" in invalid.stderr
