"""How the command reaches the service: options, POLICY_* names, and what it says where it does not."""

import os
import re
from pathlib import Path

import grpc
import pytest
import trustme
from policy_client._pb import decision_pb2 as pb
from policy_client.environment import CALLERS_OWN
from policy_client.testing import FakePolicyService
from typer.main import get_command
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted
from policy_service.cli.main import app
from policy_service.errors import StartError
from policy_service.settings import read_settings

ROOT = Path(__file__).parents[2]
CHECK = ("check", "ama", "dr-osei", "claim:view")
LIST = ("users", "list", "dr-osei", "--as", "ama")
NAMES = {
    "--timeout": "POLICY_CALLER_TIMEOUT_SECONDS",
    "--tls-ca": "POLICY_SERVER_CA_FILE",
    "--tls-cert": "POLICY_CALLER_CERT_FILE",
    "--tls-key": "POLICY_CALLER_KEY_FILE",
    "--token-file": "POLICY_CALLER_TOKEN_FILE",
    "--context": "POLICY_CONTEXT",
}
NO_OPTION = {"POLICY_CALLER_TOKEN", "POLICY_CONFIG"}
"""An argument would be seen by everybody on the machine; the file is one for all commands."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in list(os.environ):
        if name.startswith("POLICY_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def fake():
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        yield fake


def run(*words):
    return CliRunner().invoke(app, list(words))


def commands(group, words=()):
    """Every command, with the words that call it."""
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))
    if not hasattr(group, "commands"):
        yield words, group


CALLING = [
    (words, command)
    for words, command in commands(get_command(app))
    if any("--address" in option.opts for option in command.params)
]


@pytest.mark.parametrize(("words", "command"), CALLING, ids=[" ".join(words) for words, _ in CALLING])
def test_every_command_that_calls_tells_each_options_name_in_its_help(words, command):
    names = {option.opts[0]: option.envvar for option in command.params}
    assert names["--address"] in ("POLICY_DECISION_ADDRESS", "POLICY_MANAGEMENT_ADDRESS")
    assert {option: names[option] for option in NAMES} == NAMES
    told = " ".join(run(*words, "--help").output.split())
    for name in (names["--address"], *NAMES.values()):
        assert f"[env var: {name}" in told


def test_the_readme_has_each_name_and_no_server_setting_shares_one():
    table = (ROOT / "README.md").read_text()
    for name in CALLERS_OWN:
        assert f"`{name}`" in table
    assert set(CALLERS_OWN) == set(NAMES.values()) | NO_OPTION


def test_the_service_lets_callers_names_stand_and_knows_no_others(monkeypatch):
    for name in CALLERS_OWN:
        monkeypatch.setenv(name, "1")
    assert read_settings().tls_cert_file is None
    monkeypatch.setenv("POLICY_CALLER_CRET_FILE", "x")
    with pytest.raises(StartError, match="POLICY_CALLER_CRET_FILE"):
        read_settings()
    found = run(*CHECK)
    assert (found.exit_code, "POLICY_CALLER_CRET_FILE" in found.stderr) == (2, True)


def test_settings_lists_them(monkeypatch):
    monkeypatch.setenv("POLICY_SERVER_CA_FILE", "/ca.pem")
    found = run("settings")
    assert found.exit_code == 0
    assert re.search(r"POLICY_SERVER_CA_FILE +/ca.pem", found.stdout)
    assert '"POLICY_CALLER_KEY_FILE": null' in run("settings", "--json").stdout


def test_the_environment_reaches_a_service_with_tls(monkeypatch, tmp_path):
    authority = trustme.CA()
    own, server = authority.issue_cert("ops"), authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(own.cert_chain_pems[0].bytes())
    script = Scripted()
    script.answers = [pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7)]
    serving, port = script.start(
        grpc.ssl_server_credentials(
            [(server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())],
            authority.cert_pem.bytes(),
            require_client_auth=True,
        )
    )
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", f"127.0.0.1:{port}")
    plain = run(*CHECK)
    assert (plain.exit_code, "does it speak TLS" in plain.stderr) == (2, True)
    for name, file in (("SERVER_CA", "ca"), ("CALLER_CERT", "cert"), ("CALLER_KEY", "key")):
        monkeypatch.setenv(f"POLICY_{name}_FILE", str(tmp_path / f"{file}.pem"))
    assert run(*CHECK).exit_code == 0
    monkeypatch.setenv("POLICY_SERVER_CA_FILE", str(tmp_path / "key.pem"))
    assert run(*CHECK, "--tls-ca", str(tmp_path / "ca.pem")).exit_code == 0
    wrong = run(*CHECK)
    assert (wrong.exit_code, "holds no certificate in PEM" in wrong.stderr) == (2, True)
    serving.stop(None).wait()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*CHECK, "--address", "policy.internal"), "--address 'policy.internal' has no port: write HOST:PORT"),
        ((*CHECK, "--address", "http://127.0.0.1:1"), "begins with http://, which has no place here"),
        ((*CHECK, "--address", ""), "--address is empty"),
        ((*CHECK, "--address", "127.0.0.1:1/"), "has a path"),
        ((*CHECK, "--address", "127.0.0.1:1", "--tls-cert", "/a"), "--tls-cert is given without --tls-key"),
        ((*CHECK, "--address", "127.0.0.1:1", "--tls-ca", "/nowhere"), "--tls-ca /nowhere cannot be read"),
        ((*CHECK, "--address", "127.0.0.1:1"), "nothing listens at 127.0.0.1:1"),
        ((*LIST, "--address", "policy.internal:1"), "give --tls-ca, --tls-cert and --tls-key, or set POLICY_SERVER_CA"),
    ],
)
def test_what_cannot_be_reached_is_told_and_exits_with_2(words, told):
    found = run(*words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert told in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", ["POLICY_DECISION_ADDRESS", "POLICY_SERVER_CA_FILE", "POLICY_CALLER_TIMEOUT_SECONDS"])
def test_an_empty_name_in_the_environment_is_told(monkeypatch, name):
    monkeypatch.setenv(name, "")
    found = run(*CHECK)
    assert (found.exit_code, f"{name} is empty" in found.stderr) == (2, True)


def test_a_fault_in_the_environment_names_the_environment(monkeypatch):
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", "policy.internal")
    found = run(*LIST)
    assert (found.exit_code, "POLICY_MANAGEMENT_ADDRESS 'policy.internal' has no port" in found.stderr) == (2, True)


def test_the_other_planes_port_is_told(fake):
    found = run(*CHECK, "--address", fake.management_target)
    assert (found.exit_code, "looks like the management plane's port" in found.stderr) == (2, True)
    found = run(*LIST, "--address", fake.decision_target)
    assert (found.exit_code, "looks like the decision plane's port" in found.stderr) == (2, True)
