"""docs/operations.md, 'Callers and certificates': its commands run as written, and the real process behind TLS."""

import json
import re
import shlex
import shutil
from pathlib import Path

from policy_client.contexts import parse_config

from tests.acceptance.conftest import BIN, Service
from tests.support.command import run_command
from tests.support.patience import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
SECTION = PAGE[PAGE.index("## Callers and certificates") : PAGE.index("## Moving house")]


def test_the_commands_of_the_page_do_what_they_say(service, short_folder):
    environment = {**service.env, "XDG_CONFIG_HOME": str(short_folder / "config")}
    lines = [
        line for block in re.findall(r"^```console\n(.*?)^```", SECTION, re.M | re.S) for line in block.splitlines()
    ]
    assert len(lines) >= 7
    for line in lines:
        run = run_command(*shlex.split(line)[1:], environment=environment, folder=short_folder)
        assert run.returncode == 0, (line, run.stdout, run.stderr)
    assert (short_folder / "certificates" / "callers" / "ops" / "key.pem").exists()


def test_the_pages_file_of_contexts_is_one():
    (text,) = re.findall(r"^```toml\n(.*?)^```", SECTION, re.M | re.S)
    config = parse_config(text, Path("/home/ops/.config/policy-service/config.toml"))
    assert (config.current, sorted(config.contexts)) == ("staging", ["production", "staging"])
    assert config.contexts["staging"].values["POLICY_SERVER_CA_FILE"].endswith("/policy-service/staging/ca.pem")


async def test_a_newcomer_tries_tls_out_and_renews_it_while_the_service_runs(short_folder):
    """Only the real process, the real command, and what is printed."""
    made = _demo(short_folder, "first")
    command = (str(BIN / "policy-service"), "serve", "--demo")
    service = Service(short_folder / "data", command=command, settings=made["server"])
    environment = {
        **{name: value for name, value in service.env.items() if not name.startswith("POLICY_")},
        "XDG_CONFIG_HOME": str(short_folder / "config"),
    }

    def context(name: str, told: dict) -> None:
        files = told["callers"]["billing"]
        words = (
            *("--decision-address", f"127.0.0.1:{service.ports['DECISION']}"),
            *("--ca-file", files["POLICY_SERVER_CA_FILE"]),
            *("--cert-file", files["POLICY_CALLER_CERT_FILE"]),
            *("--key-file", files["POLICY_CALLER_KEY_FILE"]),
        )
        run = run_command("contexts", "add", name, *words, environment=environment)
        assert run.returncode == 0, run.stderr

    def check(name: str):
        words = ("check", "mia", "dr-osei", "claim:submit", "--context", name)
        return run_command(*words, environment=environment, folder=short_folder)

    context("first", made)
    with service.running() as process:
        asked = check("first")
        assert asked.stdout.startswith("allowed"), asked.stderr
        # Another authority, put where the files of the first are.
        again = _demo(short_folder, "second")
        context("second", again)
        for name, file in again["server"].items():
            shutil.copyfile(file, Path(made["server"][name]).with_suffix(".new"))
        for file in made["server"].values():
            Path(file).with_suffix(".new").replace(file)

        async def renewed() -> bool:
            return check("second").returncode == 0

        await until(renewed)
        # The first context's authority file is the service's own, and now the new one; its certificate is nobody's.
        refused = check("first")
        assert refused.returncode == 2
        assert "may not take this client's certificate" in refused.stderr
        assert "the context first of" in refused.stderr
        log = service.stop(process)
    assert "TLS files were renewed" in log
    assert "PRIVATE" not in log


def _demo(folder: Path, name: str) -> dict:
    run = run_command("certificates", "demo", name, "--json", environment={"PATH": "/usr/bin"}, folder=folder)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
