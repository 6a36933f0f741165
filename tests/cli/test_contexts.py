"""``contexts``, ``--context`` and tokens, as somebody at a terminal uses them."""

import json
import os
import stat

import pytest
import trustme
from policy_client._pb import decision_pb2 as pb
from policy_client.testing import FakePolicyService
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted
from policy_service.cli.main import app

CHECK = ("check", "ama", "dr-osei", "claim:view")
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7)


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("POLICY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "policy-service" / "config.toml"


@pytest.fixture
def server():
    """Says which tokens it hears."""
    script, tokens = Scripted(), []

    def answer(context):
        tokens.extend(value for key, value in context.invocation_metadata() if key == "authorization")
        return ALLOWED

    script.answers = [answer]
    serving, port = script.start()
    yield f"127.0.0.1:{port}", tokens
    serving.stop(None).wait()


def run(*words, typed=None):
    return CliRunner().invoke(app, [str(word) for word in words], input=typed)


def done(*words, typed=None) -> str:
    found = run(*words, typed=typed)
    assert found.exit_code == 0, found.stderr
    return found.stdout


def test_a_context_is_added_used_shown_and_removed(file, server):
    address, tokens = server
    done("contexts", "add", "staging", "--decision-address", address, "--token", "-", typed="of-staging\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    done("contexts", "add", "away", "--decision-address", "127.0.0.1:1", "--timeout", "1.5")
    # By name, before the command or after it.
    assert "allowed" in done("--context", "staging", *CHECK)
    assert "allowed" in done(*CHECK, "--context", "staging")
    assert "allowed" in done("--context", "away", *CHECK, "--context", "staging")
    assert tokens == ["Bearer of-staging"] * 3
    done("contexts", "use", "staging")
    assert "allowed" in done(*CHECK)
    listed = done("contexts", "list")
    assert f"*   staging   {address}" in " ".join(listed.split("\n")) or "* " in listed
    assert "of-staging" not in listed
    shown = done("contexts", "show")
    assert ("of-staging" in shown, "**********" in shown) == (False, True)
    told = json.loads(done("contexts", "list", "--json"))
    assert (told["current"], sorted(told["contexts"])) == ("staging", ["away", "staging"])
    assert told["contexts"]["staging"] == {"decision_address": address, "token": "**********"}
    assert "no context is the current one" in done("contexts", "remove", "staging")
    assert sorted(json.loads(done("contexts", "list", "--json"))["contexts"]) == ["away"]
    added = json.loads(done("contexts", "add", "more", "--timeout", "2", "--json"))
    assert added == {"context": "more", "file": str(file)}
    assert json.loads(done("contexts", "use", "more", "--json")) == {"current": "more"}
    assert json.loads(done("contexts", "remove", "more", "--json")) == {"context": "more", "was_current": True}
    assert run("contexts", "remove", "staging").exit_code == 2


def test_flags_win_over_variables_and_both_over_the_context(monkeypatch, server, tmp_path):
    address, tokens = server
    token = tmp_path / "token"
    token.write_text("of-a-flag\n")
    token.chmod(0o600)
    done("contexts", "add", "a", "--decision-address", address, "--token", "-", typed="of-the-context")
    done("contexts", "use", "a")
    done(*CHECK)
    monkeypatch.setenv("POLICY_CALLER_TOKEN", "of-a-variable")
    done(*CHECK)
    done(*CHECK, "--token-file", token)
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", "127.0.0.1:1")
    assert "nothing listens at 127.0.0.1:1" in run(*CHECK).stderr
    done(*CHECK, "--address", address)
    assert tokens == [f"Bearer of-{one}" for one in ("the-context", "a-variable", "a-flag", "a-variable")]
    shown = json.loads(done("contexts", "show", "--json"))["values"]
    assert shown["decision_address"] == {"value": "127.0.0.1:1", "from": "POLICY_DECISION_ADDRESS"}
    assert shown["token"] == {"value": "**********", "from": "POLICY_CALLER_TOKEN"}


def test_the_environments_context_wins_over_the_current_one_and_none_is_none(monkeypatch, server):
    address, _ = server
    done("contexts", "add", "here", "--decision-address", address)
    done("contexts", "add", "away", "--decision-address", "127.0.0.1:1")
    done("contexts", "use", "away")
    monkeypatch.setenv("POLICY_CONTEXT", "here")
    done(*CHECK)
    assert "127.0.0.1:1" in run("--context", "away", *CHECK).stderr
    monkeypatch.delenv("POLICY_CONTEXT")
    failed = run(*CHECK)
    assert "the context away of" in failed.stderr
    assert "the context away" not in run("--context", "none", *CHECK, "--address", "127.0.0.1:1").stderr
    done("contexts", "use", "none")
    assert json.loads(done("contexts", "list", "--json"))["current"] is None


def test_both_planes_and_the_seeds_of_a_live_test_are_found_by_the_context(tmp_path):
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        words = ("--decision-address", fake.decision_target, "--management-address", fake.management_target)
        done("contexts", "add", "fake", *words)
        assert "allowed" in done("--context", "fake", *CHECK)
        assert "ama" in done("--context", "fake", "users", "list", "dr-osei", "--as", "ama")


def test_live_tests_of_a_seed_ask_both_planes_of_the_context(tmp_path):
    """The fake has no seed to give, and says so itself: it was asked at the context's management address."""
    with FakePolicyService() as fake:
        words = ("--decision-address", fake.decision_target, "--management-address", fake.management_target)
        done("contexts", "add", "fake", *words)
        found = run("--context", "fake", "seed", "test", "--live")
        assert fake.management_target in found.stderr, (found.stdout, found.stderr)


def test_a_context_with_tls_asks_by_it(tmp_path):
    authority = trustme.CA()
    own, server = authority.issue_cert("ops"), authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(own.cert_chain_pems[0].bytes())
    import grpc

    script, tokens = Scripted(), []

    def answer(context):
        tokens.extend(value for key, value in context.invocation_metadata() if key == "authorization")
        return ALLOWED

    script.answers = [answer]
    serving, port = script.start(
        grpc.ssl_server_credentials(
            [(server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())],
            authority.cert_pem.bytes(),
            require_client_auth=True,
        )
    )
    files = [word for name in ("ca", "cert", "key") for word in (f"--{name}-file", tmp_path / f"{name}.pem")]
    done("contexts", "add", "a", "--decision-address", f"127.0.0.1:{port}", *files, "--token", "-", typed="abc\n")
    assert "certificate and token" in done("contexts", "list")
    done("--context", "a", *CHECK)
    assert tokens == ["Bearer abc"]
    serving.stop(None).wait()


def test_what_stands_in_the_file_stays_as_its_owner_wrote_it(file):
    file.parent.mkdir(parents=True)
    file.write_text("# mine, all mine\n\n[contexts.a]  # the first\ntimeout_seconds = 2  # short\n")
    file.chmod(0o600)
    done("contexts", "add", "b", "--decision-address", "policy.internal:50051")
    done("contexts", "use", "a")
    done("contexts", "use", "b")
    done("contexts", "remove", "b")
    assert "# mine, all mine" in file.read_text()
    assert "[contexts.a]  # the first\ntimeout_seconds = 2  # short\n" in file.read_text()


def test_a_file_that_is_a_link_stays_one(file, tmp_path):
    file.parent.mkdir(parents=True)
    (tmp_path / "real.toml").write_text("")
    file.symlink_to(tmp_path / "real.toml")
    done("contexts", "add", "a", "--timeout", "2")
    assert file.is_symlink()
    assert "contexts.a" in (tmp_path / "real.toml").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "a", "--timeout", "2"), "there is a context a already: --replace"),
        (("add", "none", "--timeout", "2"), "cannot be a context's name"),
        (("add", "b"), "says nothing"),
        (("add", "b", "--decision-address", "policy.internal"), "--decision-address 'policy.internal' has no port"),
        (("add", "b", "--management-address", "http://x:1"), "begins with http://"),
        (("add", "b", "--token", "s3cr3t"), "--token takes - alone"),
        (("add", "b", "--token-file", "/x", "--token", "-"), "token stands beside token_file"),
        (("use", "b"), "there is no context b"),
        (("remove", "b"), "there is no context b"),
        (("show", "b"), "names the context 'b'"),
    ],
)
def test_what_cannot_be_changes_nothing(file, words, told):
    done("contexts", "add", "a", "--timeout", "1")
    before = file.read_text()
    found = run("contexts", *words, typed="abc\n")
    assert (found.exit_code, found.stdout) == (2, "")
    assert told in found.stderr
    assert "s3cr3t" not in found.stderr
    assert file.read_text() == before
    assert [one.name for one in file.parent.iterdir()] == ["config.toml"]


def test_a_broken_file_is_told_with_its_line_and_not_edited(file):
    file.parent.mkdir(parents=True)
    file.write_text('[contexts.a]\nadress = "x"\n')
    file.chmod(0o600)
    for words in (CHECK, ("contexts", "list"), ("contexts", "add", "b", "--timeout", "2"), ("contexts", "use", "a")):
        found = run(*words)
        assert found.exit_code == 2
        assert "config.toml:2: contexts.a.adress is not known" in found.stderr
    assert file.read_text() == '[contexts.a]\nadress = "x"\n'


def test_a_token_that_others_may_read_is_not_used(file, server):
    address, tokens = server
    done("contexts", "add", "a", "--decision-address", address, "--token", "-", typed="abc\n")
    file.chmod(0o644)
    found = run("--context", "a", *CHECK)
    assert (found.exit_code, tokens) == (2, [])
    assert "can be read by others than its owner: chmod 600" in found.stderr


def test_tokens_are_not_shown_by_settings(monkeypatch):
    monkeypatch.setenv("POLICY_CALLER_TOKEN", "s3cr3t")
    for words in (("settings",), ("settings", "--json")):
        assert "s3cr3t" not in done(*words)


def test_hints_that_are_commands_carry_the_context(tmp_path):
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        words = ("--decision-address", fake.decision_target, "--management-address", fake.management_target)
        done("contexts", "add", "fake", *words)
        invite = ("users", "invite", "dr-osei", "rosa@gmial.com", "rosa", "--role", "data_entry", "--as", "ama")
        said = done("--context", "fake", *invite)
        assert "--context fake" in said
