"""What the command says: hints that run as they stand, tables as wide as COLUMNS says, unknown names told as such."""

import io
import shlex

import pytest
from policy_client.testing import FakePolicyService
from typer.testing import CliRunner

from policy_service.cli import output
from policy_service.cli.main import app as command


@pytest.fixture
def fake():
    with FakePolicyService() as opened:
        opened.add_physician("dr-osei", owner="ama")
        opened.add_physician("dr-tran", owner="ben")
        opened.grant("mia", "dr-osei", "data_entry")
        yield opened


def run(fake, *words, env=None):
    """A command as it is typed, without a terminal."""
    target = fake.decision_target if words[0].endswith("-can") or words[0] == "check" else fake.management_target
    return CliRunner().invoke(command, [*words, "--address", target], env={"COLUMNS": "10000", **(env or {})})


def hinted(text: str) -> list[str]:
    """The command in what was printed."""
    line = next(line for line in text.splitlines() if "policy-service " in line)
    return shlex.split(line[line.index("policy-service ") :])[1:]


def test_a_hint_says_for_whom_and_where_and_runs(fake):
    found = run(fake, "users", "invite", "dr-osei", "nina@gmial.com", "nina", "--role", "data_entry", "--as", "ama")
    assert found.exit_code == 0, found.output
    words = hinted(found.output)
    assert words[words.index("--as") :][:2] == ["--as", "ama"]
    assert CliRunner().invoke(command, words).exit_code == 0


def test_a_hint_to_reuse_a_user_runs(fake):
    asked = ("users", "invite", "dr-tran", "mia@clinic.example", "mia", "--action", "claim:view", "--as", "ben")
    found = run(fake, *asked)
    assert found.exit_code == 2
    again = CliRunner().invoke(command, hinted(found.output))
    assert again.exit_code == 0, again.output


def test_a_hint_to_revoke_without_asking_runs(fake):
    found = run(fake, "users", "revoke", "dr-osei", "mia", "--as", "ama")
    assert found.exit_code == 2
    again = CliRunner().invoke(command, hinted(found.output))
    assert again.exit_code == 0, again.output
    assert "no longer works" in again.output


def test_who_acts_by_the_environment_is_not_repeated(fake):
    found = run(fake, "users", "revoke", "dr-osei", "mia", env={"MANAGE_USERS_ACTOR": "ama"})
    words = hinted(found.output)
    assert "--as" not in words
    assert CliRunner().invoke(command, words, env={"MANAGE_USERS_ACTOR": "ama"}).exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("what-can", "mya", "dr-osei"), "nobody"),
        (("what-can", "mia", "dr-ossei"), "no account is registered under the name dr-ossei"),
        (("where-can", "mya"), "nobody"),
        (("users", "show", "dr-osei", "mya", "--as", "ama"), "mya does not work on dr-osei"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_unknown_name_is_said_to_be_unknown(fake, words, told, as_json):
    found = run(fake, *words, *(["--json"] if as_json else []))
    assert found.exit_code == 1
    assert told.replace("nobody", "no account knows anybody of the name mya") in found.output
    assert '"unknown_user": true' in found.output or not as_json or told != "nobody"


def test_somebody_known_elsewhere_is_not_unknown(fake):
    assert run(fake, "what-can", "mia", "dr-tran").exit_code == 0
    assert run(fake, "where-can", "mia").exit_code == 0


@pytest.mark.parametrize(
    ("told", "width"), [("80", 80), ("99999", 10_000), ("0", 10_000), ("", 10_000), ("wide", 10_000), ("-3", 10_000)]
)
def test_columns_are_obeyed_where_nobody_looks_too(monkeypatch, told, width):
    monkeypatch.setenv("COLUMNS", told)
    monkeypatch.setattr(output.sys, "stdout", io.StringIO())
    assert output.columns() == width
    monkeypatch.delenv("COLUMNS")
    assert output.columns() == 10_000
