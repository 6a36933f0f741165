"""The README's commands and snippets, run as they are written, but for the port."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.acceptance.conftest import BIN, Service, patient_clients
from tests.support.command import run_command
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(), flags=re.M | re.S)


def test_the_readmes_commands_answer(service):
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith(".venv/bin/policy-service")]
    assert len(commands) >= 7
    with service.running():
        shown = blocks("README.md", "text")[0]
        assert service.cli("check", "mia", "dr-osei", "claim:submit").stdout == shown
        for line in commands:
            words = shlex.split(line.partition("#")[0])[1:]
            run = service.cli(*words)
            assert run.returncode in (0, 1), (line, run.stderr)
            assert run.stdout
            comment = line.partition("#")[2].strip()
            if comment.startswith("denied"):
                assert run.stdout.startswith(comment)


@pytest.mark.parametrize("name", ["README.md", "clients/python/README.md"])
def test_the_snippets_run_as_written(service, short_folder, name):
    """Each in a folder with the files that it names; only the port is another, which clients read in the environment."""
    snippets = blocks(name, "python")
    assert snippets
    authority = trustme.CA()
    own = authority.issue_cert("billing")
    authority.cert_pem.write_to_path(short_folder / "ca.pem")
    own.private_key_pem.write_to_path(short_folder / "billing-key.pem")
    (short_folder / "billing.pem").write_bytes(own.cert_chain_pems[0].bytes())
    env = {**service.env, "GRPC_VERBOSITY": "error"}
    with service.running():
        for snippet in snippets:
            text = snippet.replace("127.0.0.1:50051", f"127.0.0.1:{service.ports['DECISION']}")
            run = subprocess.run(
                [sys.executable, "-W", "error", "-c", patient_clients + text],
                cwd=short_folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            assert run.returncode == 0, (snippet, run.stderr)


def test_the_makefiles_targets_are_all_there():
    text = (ROOT / "Makefile").read_text()
    for target in ("run", "test", "bench", "lint", "fuzz"):
        assert re.search(rf"^{target}: ", text, flags=re.M)
    assert (BIN / "policy-service").exists()


def test_the_commands_of_operations_do_what_they_say(service, short_folder):
    """In the order of the page, in a folder with an edited seed."""
    lines = [line.partition("  #")[0] for block in blocks("docs/operations.md", "sh") for line in block.splitlines()]
    seed = (ROOT / "policies/seed.csv").read_text()
    edited = seed.replace("p, role:data_entry, *, claim:delete, allow", "p, role:data_entry, *, report:generate, allow")
    (short_folder / "new.csv").write_text(edited)
    shown = next(block for block in blocks("docs/operations.md", "text") if block.startswith("- p, role"))
    done = []
    with service.running():
        for line in lines:
            words = shlex.split(line)
            if words[:2] != ["policy-service", "seed"]:
                continue
            if words[2] in ("apply", "rollback"):
                words.append("--yes")
            here = [str(ROOT / word) if word.startswith("policies/") else word for word in words[1:]]
            run = run_command(*here, environment=service.env, folder=short_folder)
            # The shipped expectations notice the edit.
            assert run.returncode == (1 if words[2] == "test" else 0), (line, run.stdout, run.stderr)
            if words[2:] == ["plan", "new.csv"]:
                assert run.stdout == shown
            done.append(words[2])
    assert done == ["lint", "test", "plan", "apply", "plan", "apply", "rollback", "export", "plan", "export"]
    # After the rollback the policy in force is the shipped seed again.
    assert (short_folder / "seed.csv").read_text() == seed
    moved = Service(short_folder / "moved", command=(str(BIN / "policy-service"), "serve"))
    imported = moved.cli("seed", "import", str(short_folder / "policy.jsonl"), "--as", "olga")
    assert imported.returncode == 0, imported.stderr
    with moved.running():
        assert moved.cli("check", "mia", "dr-osei", "claim:submit").returncode == 0
        assert moved.cli("audit", "verify").returncode == 0


def test_an_action_is_added_as_operations_say(service, short_folder):
    """The rows of the page are put into a copy of the shipped seed; its commands are run in their order."""
    rows = next(block for block in blocks("docs/operations.md", "csv") if block.startswith("a, claim:resubmit"))
    (short_folder / "more.csv").write_text((ROOT / "policies/seed.csv").read_text() + rows)
    lines = [line for block in blocks("docs/operations.md", "bash") for line in block.splitlines()]
    said = {}
    with service.running():
        for line in lines:
            words = shlex.split(line)[1:]
            if words[:2] in (["seed", "apply"], ["seed", "rollback"]):
                words.append("--yes")
            run = run_command(*words, environment=service.env, folder=short_folder)
            assert run.returncode == 0, (line, run.stdout, run.stderr)
            said[" ".join(words[:2])] = run.stdout
        assert "gain claim:resubmit" in said["seed plan"]
        assert "mia for dr-osei" in said["seed plan"]
        assert "Resubmit claims" in said["actions list"]
        assert said["check mia"].startswith("allowed: granted as data_entry")
        # Rolled back: for a client that never heard of it there is no such action any more.
        gone = service.cli("check", "mia", "dr-osei", "claim:resubmit")
        assert gone.returncode == 1
        assert "unknown action" in gone.stdout
        constants = service.cli("actions", "python")
        names: dict[str, object] = {}
        exec(constants.stdout, names)  # noqa: S102 - what it prints is a module.
        assert names["CLAIM_SUBMIT"] == "claim:submit"
        assert service.cli("audit", "verify").returncode == 0
