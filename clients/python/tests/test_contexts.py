"""The callers' file: what it may say, who may read it, and what wins over it."""

import os
from pathlib import Path

import pytest
from policy_client import AsyncPolicyClient, ManageUsersClient, PolicyClient
from policy_client._pb import decision_pb2 as pb
from policy_client.contexts import KEYS, config_file, parse_config, read_config

from tests.support.patience import PATIENCE

QUESTION = ("mia", "dr-osei", "claim:view")
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1")


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("POLICY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def config(tmp_path):
    """Writes the file, for its owner alone."""

    def write(text: str, mode: int = 0o600) -> Path:
        file = tmp_path / "policy-service" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    return write


@pytest.fixture
def heard(script, port):
    """The tokens that a server hears; it answers every check."""
    tokens: list[str] = []

    def answer(context):
        tokens.extend(value for key, value in context.invocation_metadata() if key == "authorization")
        return ALLOWED

    script.answers = [answer]
    return tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[contexts.a]\nca_file = "x"\nadress = "x"\n', ":3: contexts.a.adress is not known; known are decision_addr"),
        ('[contexts.b]\n"adress" = "x"\n[contexts.a]\nca_file = "x"', ":2: contexts.b.adress is not known"),
        ('[context.a]\nca_file = "x"\n', ":1: context is not known; known are current, contexts"),
        ('colour = "red"\n', ":1: colour is not known"),
        ("[contexts.a]\nca_file = 7\n", ":2: contexts.a.ca_file must be a string"),
        ('[contexts.a]\nca_file = ""\n', ":2: contexts.a.ca_file must be a string that is not empty"),
        ('[contexts.a]\ntimeout_seconds = "2"\n', ":2: contexts.a.timeout_seconds must be a number"),
        ("[contexts.a]\ntimeout_seconds = true\n", ":2: contexts.a.timeout_seconds must be a number"),
        ('[contexts.a]\ntoken = "s3cr3t"\ntoken_file = "x"\n', ":2: contexts.a.token stands beside token_file"),
        ('[contexts.a]\ntoken = ["s3cr3t"]\n', ":2: contexts.a.token must be a string"),
        ('[contexts]\na = "x"\n', ":2: contexts.a must be a table"),
        ('contexts = "x"\n', ":1: contexts must be tables"),
        ("current = 7\n", ":1: current must be a string"),
        ('current = "b"\n[contexts.a]\nca_file = "x"\n', "current names the context 'b', which"),
        ('[contexts."a b"]\nca_file = "x"\n', "'a b' cannot be a context's name"),
        ('[contexts.none]\nca_file = "x"\n', "'none' cannot be a context's name"),
        ("[contexts.a\n", "is not TOML: "),
        ('[contexts.a]\ntoken = "s3cr3t\n', "is not TOML: "),
        ("[contexts.a]\ntoken = s3cr3t\n", "is not TOML: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_line_and_never_a_token(config, text, words):
    file = config(text)
    with pytest.raises(ValueError, match=r"config\.toml") as refused:
        read_config()
    assert words in str(refused.value)
    assert str(file) in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("mode", "has_token", "words"),
    [
        (0o600, True, None),
        (0o400, True, None),
        (0o640, True, "can be read by others than its owner"),
        (0o604, True, "can be read by others than its owner"),
        (0o644, False, None),
        (0o664, False, None),
        (0o666, False, "can be written by everybody"),
    ],
)
def test_who_else_may_read_or_write_it(config, mode, has_token, words):
    config('[contexts.a]\ntoken = "s3cr3t"\n' if has_token else '[contexts.a]\ntoken_file = "x"\n', mode)
    if words is None:
        assert read_config().contexts
        return
    with pytest.raises(ValueError, match=words) as refused:
        read_config()
    assert "chmod 600" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_where_the_file_is(monkeypatch, tmp_path, config):
    assert config_file() == tmp_path / "policy-service" / "config.toml"
    assert read_config().contexts == {}
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert config_file() == tmp_path / "home" / ".config" / "policy-service" / "config.toml"
    monkeypatch.setenv("POLICY_CONFIG", str(tmp_path / "own.toml"))
    with pytest.raises(ValueError, match=r"POLICY_CONFIG .*own\.toml is not there"):
        read_config()
    (tmp_path / "own.toml").write_text('[contexts.a]\nca_file = "certificates/ca.pem"\nkey_file = "/k.pem"')
    assert read_config().contexts["a"].values == {
        "POLICY_SERVER_CA_FILE": str(tmp_path / "certificates" / "ca.pem"),
        "POLICY_CALLER_KEY_FILE": "/k.pem",
    }


def test_every_key_has_its_variable(tmp_path):
    said = "\n".join(f'{key} = "x"' for key in KEYS if key not in ("token", "timeout_seconds"))
    values = parse_config(f"[contexts.a]\n{said}\ntimeout_seconds = 1.5\n", tmp_path / "f").contexts["a"].values
    assert set(values) == set(KEYS.values()) - {"POLICY_CALLER_TOKEN"}


async def test_a_client_asks_by_the_context_that_is_named(monkeypatch, config, port, heard):
    config(
        f'current = "other"\n[contexts.staging]\ndecision_address = "127.0.0.1:{port}"\ntoken = "of-staging"\n'
        f'timeout_seconds = {PATIENCE}\n[contexts.other]\ndecision_address = "127.0.0.1:1"\n'
    )
    with PolicyClient(context="staging") as policy:
        assert policy.check(*QUESTION)
    async with AsyncPolicyClient(context="staging") as policy:
        assert await policy.check(*QUESTION)
    monkeypatch.setenv("POLICY_CONTEXT", "staging")
    with PolicyClient() as policy:
        assert policy.check(*QUESTION)
    with PolicyClient(context="other") as policy:
        assert policy._reach.target == "127.0.0.1:1"
    assert heard == ["Bearer of-staging"] * 3


def test_the_current_context_of_the_command_is_not_a_programs(config):
    config('current = "a"\n[contexts.a]\ndecision_address = "policy.internal:1"\nca_file = "/nowhere"\n')
    with PolicyClient() as policy:
        assert policy._reach.target == "127.0.0.1:50051"
        assert policy._reach.credentials is None


def test_what_is_given_wins_then_variables_then_the_context(monkeypatch, config, port, heard):
    """Each by itself: a context gives what nobody else says."""
    config(
        f'[contexts.a]\ndecision_address = "127.0.0.1:{port}"\nmanagement_address = "127.0.0.1:3"\n'
        'token = "of-the-context"\ntimeout_seconds = 60\n'
    )
    monkeypatch.setenv("POLICY_CONTEXT", "a")
    with PolicyClient() as policy, ManageUsersClient() as manage:
        assert (policy._reach.timeout, manage._reach.target) == (60.0, "127.0.0.1:3")
        assert policy.check(*QUESTION)
    monkeypatch.setenv("POLICY_CALLER_TOKEN", "of-the-variable")
    monkeypatch.setenv("POLICY_CALLER_TIMEOUT_SECONDS", "61")
    with PolicyClient() as policy:
        assert policy._reach.timeout == 61.0
        assert policy.check(*QUESTION)
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", "127.0.0.1:1")
    with PolicyClient(f"127.0.0.1:{port}", timeout=PATIENCE) as policy:
        assert policy._reach.timeout == PATIENCE
        assert policy.check(*QUESTION)
    with PolicyClient() as policy:
        assert policy._reach.target == "127.0.0.1:1"
    # None is nobody, whatever stands around.
    with PolicyClient(f"127.0.0.1:{port}", credentials=None, timeout=PATIENCE) as policy:
        assert policy.check(*QUESTION)
    assert heard == ["Bearer of-the-context", "Bearer of-the-variable", "Bearer of-the-variable"]


def test_no_context_is_said_by_none(monkeypatch, config):
    config('[contexts.a]\ndecision_address = "127.0.0.1:1"\n')
    monkeypatch.setenv("POLICY_CONTEXT", "a")
    with PolicyClient(context="none") as policy:
        assert policy._reach.target == "127.0.0.1:50051"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"POLICY_CONTEXT": "b"}, "POLICY_CONTEXT names the context 'b', which"),
        ({"POLICY_CONTEXT": ""}, "POLICY_CONTEXT is empty"),
        ({"POLICY_CALLER_TOKEN": "a", "POLICY_CALLER_TOKEN_FILE": "b"}, "are both given"),
        ({"POLICY_CALLER_TOKEN": ""}, "POLICY_CALLER_TOKEN is empty"),
        ({"POLICY_CALLER_TOKEN": "s3cr3t word"}, "POLICY_CALLER_TOKEN is no token"),
        ({"POLICY_CALLER_TOKEN_FILE": "/nowhere"}, "POLICY_CALLER_TOKEN_FILE /nowhere cannot be read"),
        ({"POLICY_CONTEXT": "faulty"}, "ca_file of context faulty ("),
    ],
)
def test_what_is_at_fault_is_named(monkeypatch, config, variables, words):
    config('[contexts.a]\nca_file = "x"\n[contexts.faulty]\nca_file = "/nowhere"\n')
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"(POLICY_|context)") as refused:
        PolicyClient()
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("how", ["variable", "argument", "default"])
def test_a_contexts_token_is_not_carried_to_another_address_in_plain_text(monkeypatch, config, how):
    """Whoever listens on a port of this machine would have it."""
    at = "" if how == "default" else 'decision_address = "127.0.0.1:1"\n'
    config(f'[contexts.a]\n{at}token = "s3cr3t"\n')
    monkeypatch.setenv("POLICY_CONTEXT", "a")
    if how == "variable":
        monkeypatch.setenv("POLICY_DECISION_ADDRESS", "127.0.0.1:2")
    with pytest.raises(ValueError, match="the token of context a is for that context's addresses alone") as refused:
        PolicyClient(*["127.0.0.1:2"] * (how == "argument"))
    assert "s3cr3t" not in str(refused.value)
