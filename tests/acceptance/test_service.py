"""From the outside door: the process, its command, its stop and its second start."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

import pytest
from policy_client import ManageUsersClient, PolicyClient

from policy_service.settings import policies_dir
from tests.acceptance.conftest import BIN, Service, environment, patient_clients
from tests.support.patience import LONG_PATIENCE, PATIENCE

ROOT = Path(__file__).parents[2]


def postgres_of(service: Service) -> int:
    return int((service.data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_it_serves_stops_whole_and_starts_again_with_its_data(service, how):
    service.from_nothing = True
    with service.running() as process:
        database = postgres_of(service)
        with ManageUsersClient(f"127.0.0.1:{service.ports['MANAGEMENT']}", timeout=PATIENCE) as manage:
            revision = manage.register_physician("zoe", "dr-new", "zoe", display_name="Dr. Zoe Ný")
        with PolicyClient(f"127.0.0.1:{service.ports['DECISION']}", timeout=PATIENCE) as policy:
            assert policy.check("zoe", "dr-new", "user:invite", min_revision=revision)
        service.stop(process, how)
        assert process.returncode == 0, service.output
        assert not is_running(database), "the embedded server was left running"
        assert "Traceback" not in service.output
    # Stopped whole, the database has nothing to recover.
    log = service.data_dir / "postgres" / "log"
    stopped = log.stat().st_size
    with service.running(), PolicyClient(f"127.0.0.1:{service.ports['DECISION']}", timeout=PATIENCE) as policy:
        said = log.read_text()[stopped:]
        assert ("database system was shut down at" in said, "recovery" in said) == (True, False), said
        again = policy.check("zoe", "dr-new", "user:invite")
        assert again
        assert again.revision == revision  # nothing was written by starting
        assert policy.check("mia", "dr-osei", "claim:submit")


def test_after_kill_minus_nine_it_takes_its_database_over(service):
    with service.running() as process:
        database = postgres_of(service)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert is_running(database)
    with service.running() as process:
        assert service.cli("check", "mia", "dr-osei", "claim:submit").returncode == 0
        service.stop(process)
    assert not is_running(database)


def test_killed_while_its_database_is_first_made_it_starts_again(service):
    """At several moments of the first start, told by what there is by then; what was half made is made anew."""
    service.from_nothing = True
    for first in ("", "PG_VERSION", "global", "base/4", "postmaster.pid"):
        folder = service.data_dir / "postgres"
        left = folder / "left by the one before"
        if folder.exists():
            left.touch()
        process = service.start()
        until = time.monotonic() + PATIENCE
        while left.exists() or not (folder / first).exists():
            assert process.poll() is None, service.output
            assert time.monotonic() < until
            time.sleep(0.002)  # nobody tells of a file in another's folder
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        subprocess.run(["pkill", "-9", "-f", f"initdb.*{service.data_dir}"], check=False)
    with service.running():
        assert service.cli("check", "mia", "dr-osei", "claim:submit").returncode == 0


def test_a_data_folder_that_cannot_be_is_told_in_a_line(short_folder):
    (short_folder / "file").write_text("")
    service = Service(short_folder / "file")
    refused = subprocess.run(service.command, env=service.env, capture_output=True, text=True, timeout=PATIENCE)
    assert (refused.returncode, "POLICY_DATA_DIR" in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)


def test_a_second_service_on_the_same_folder_is_refused(service):
    with service.running():
        other = Service(service.data_dir)
        refused = subprocess.run(other.command, env=other.env, capture_output=True, text=True, timeout=PATIENCE)
        assert refused.returncode == 2
        assert "Another policy-service uses" in refused.stderr
        assert service.cli("check", "mia", "dr-osei", "claim:submit").returncode == 0


def test_the_databases_folder_and_socket_are_the_services_own(service):
    with service.running():
        folder = service.data_dir / "postgres"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / ".s.PGSQL.5432").is_socket()  # inside that folder, so nobody else reaches it
        listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True).stdout
        ports = {int(line.split()[1].split(":")[1], 16) for line in listening.splitlines() if " 0A " in line}
        assert set(service.ports.values()) <= ports
    if os.geteuid() == 0:
        assert folder.owner() != "root"


def test_a_path_too_long_for_a_socket_is_refused_with_the_setting(short_folder):
    service = Service(short_folder / ("x" * 100))
    refused = subprocess.run(service.command, env=service.env, capture_output=True, text=True, timeout=PATIENCE)
    assert refused.returncode == 2
    assert "POLICY_DATA_DIR is too long" in refused.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "word"),
    [
        ("seed.csv", "claim:submit, allow", "claim:sumbit, allow", 28, "claim:sumbit"),
        ("seed.csv", "p, role:owner, *, *, allow", "P, role:owner, *, *, allow", 43, "none of p, g and a"),
        ("model.conf", "g(r.sub, p.sub, r.dom)", "eval(p.sub)", 20, "eval()"),
        ("model.conf", "[matchers]", "[matcher]", 20, "matchers"),
    ],
)
def test_a_broken_policy_file_never_serves_and_is_named(short_folder, name, old, new, line, word):
    for file in ("seed.csv", "model.conf"):
        shutil.copy(policies_dir() / file, short_folder / file)
    broken = short_folder / name
    text = broken.read_text().replace(old, new, 1)
    assert new in text
    broken.write_text(text)
    wanted = (
        next((n for n, found in enumerate(text.splitlines(), 1) if new in found), 1) if name == "seed.csv" else line
    )
    files = {"POLICY_SEED_FILE": str(short_folder / "seed.csv"), "POLICY_MODEL_FILE": str(short_folder / "model.conf")}
    service = Service(short_folder / "data", settings=files)
    refused = subprocess.run(service.command, env=service.env, capture_output=True, text=True, timeout=PATIENCE)
    assert refused.returncode == 2
    assert f"{broken}:{wanted}: " in refused.stderr
    assert word in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (short_folder / "data").exists()  # refused before anything was made


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("POLICY_DECISION_ADDRESS", "0.0.0.0:50051"),
        ("POLICY_DATABSE_URL", "x"),
        ("POLICY_DATABASE_URL", "mysql://x:secret@y/z"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_status_2(short_folder, setting, value):
    service = Service(short_folder)
    refused = subprocess.run(
        service.command, env={**service.env, setting: value}, capture_output=True, text=True, timeout=PATIENCE
    )
    assert refused.returncode == 2
    assert setting in refused.stderr
    assert "secret" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_command_answers_by_exit_status_table_and_json(service):
    with service.running():
        allowed = service.cli("check", "mia", "dr-osei", "claim:submit")
        assert (allowed.returncode, allowed.stdout.split(":")[0]) == (0, "allowed")
        denied = service.cli("check", "mia", "dr-osei", "claim:submit", "--channel", "mobile")
        assert (denied.returncode, "channel not allowed" in denied.stdout) == (1, True)
        wrong = service.cli("check", "m*", "dr-osei", "claim:submit")
        assert (wrong.returncode, "user is not" in wrong.stderr, wrong.stdout) == (2, True, "")
        assert "\x1b" not in allowed.stdout + denied.stdout + wrong.stderr  # colours only on a terminal

        explained = json.loads(service.cli("explain", "vera", "dr-tran", "claim:view", "--json").stdout)
        assert explained["decision"]["reason"] == "granted"
        assert [step["role"] for step in explained["path"]] == ["outside-auditor", "financial_viewer"]
        assert explained["rule"]["subject"] == "role:financial_viewer"
        hidden = service.cli("explain", "leo", "dr-osei", "claim:delete")
        assert hidden.returncode == 1
        assert "missing: claim:delete, which these roles allow: administrator, data_entry, owner" in hidden.stdout

        shown = json.loads(service.cli("what-can", "leo", "dr-osei", "--json").stdout)
        assert [a["action"] for a in shown["actions"] if a["shown"]] == [
            "claim:view",
            "claim:save",
            "claim:submit",
            "user:list",
        ]
        who = json.loads(service.cli("who-can", "invoice:pay", "dr-tran", "--json").stdout)
        assert [access["user"] for access in who["users"]] == ["ben", "noah"]
        where = json.loads(service.cli("where-can", "mia", "--json").stdout)
        assert [place["physician"] for place in where["physicians"]] == ["dr-osei", "dr-silver", "dr-tran"]
        for command in (["what-can", "leo", "dr-osei"], ["who-can", "invoice:pay", "dr-tran"], ["where-can", "mia"]):
            table = service.cli(*command)
            assert table.returncode == 0
            assert "revision 2" in table.stdout
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{service.ports['METRICS']}/metrics").read().decode()
        assert 'policy_decisions_total{reason="granted"}' in metrics
    nobody = service.cli("check", "mia", "dr-osei", "claim:submit", "--timeout", "1")
    assert nobody.returncode == 2
    assert "error:" in nobody.stderr


def test_seed_test_tells_what_is_not_as_expected(short_folder):
    sound = subprocess.run([BIN / "policy-service", "seed", "test"], env=environment(), capture_output=True, text=True)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    generous = short_folder / "seed.csv"
    generous.write_text((policies_dir() / "seed.csv").read_text() + "p, role:data_entry, *, invoice:view, allow\n")
    caught = subprocess.run(
        [BIN / "policy-service", "seed", "test", "--seed", str(generous), "--json"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert caught.returncode == 1
    failed = json.loads(caught.stdout)["failed"]
    assert {(entry["user"], entry["action"]) for entry in failed} == {("dan", "invoice:view"), ("mia", "invoice:view")}


def test_seed_test_asks_the_running_service(service, short_folder):
    expectations = short_folder / "live.yaml"
    expectations.write_text(
        "live: true\nexpect:\n"
        "  - why: Mia enters claims.\n    user: mia\n    physician: dr-osei\n"
        "    allowed: [claim:view, claim:save, claim:submit, claim:delete]\n"
    )
    with service.running():
        sound = service.cli("seed", "test", str(expectations), "--live", "--junit", str(short_folder / "report.xml"))
        assert sound.returncode == 0, sound.stderr
        assert "13 decisions, all as expected." in sound.stdout
        assert 'tests="13" failures="0"' in (short_folder / "report.xml").read_text()
        expectations.write_text(expectations.read_text().replace(", claim:delete", ""))
        caught = service.cli("seed", "test", str(expectations), "--live")
        assert (caught.returncode, caught.stdout.count("live.yaml:3")) == (1, 1)
        expectations.write_text(expectations.read_text().replace("claim:save", "claim:keep"))
        refused = service.cli("seed", "test", str(expectations), "--live")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"{expectations}:3: allowed: 'claim:keep' names no known action" in refused.stderr
        expectations.write_text(expectations.read_text().replace("claim:keep", "claim:save"))
    gone = service.cli("seed", "test", str(expectations), "--live", "--timeout", "1")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "Is the service running at" in gone.stderr or "DEADLINE_EXCEEDED" in gone.stderr


def test_the_example_asks_before_each_operation(service):
    with service.running():
        text = (ROOT / "examples" / "claims_service.py").read_text()
        run = subprocess.run(
            [
                sys.executable,
                "-c",
                patient_clients
                + text.replace("PolicyClient()", f"PolicyClient('127.0.0.1:{service.ports['DECISION']}')"),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert run.stdout.splitlines() == [
        "Mia saves for Dr. Osei: claim c1 saved",
        "Mia submits it: claim c1 submitted: A007, 2026-11-20",
        "Mia submits from her phone: refused, mia may not claim:submit for dr-osei: channel not allowed",
        "Mia asks for a report: refused, mia may not report:generate for dr-osei: not granted",
        "Noah asks for a report: report of 1 claims, with patients' names",
        "Vera asks for Dr. Tran's report: report of 1 claims, names left out",
    ], run.stderr


def test_the_built_wheels_work_outside_the_repository(short_folder, monkeypatch):
    """The wheel carries policies and migrations: installed elsewhere, it serves on a new store."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    wheels = short_folder / "wheels"
    for project in (ROOT, ROOT / "clients" / "python"):
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels, project],
            check=True, capture_output=True, timeout=LONG_PATIENCE,
        )  # fmt: skip
    venv.create(short_folder / "venv", with_pip=True)
    python = short_folder / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", *wheels.glob("*.whl")],
        check=True,
        timeout=LONG_PATIENCE,
    )
    site = next((short_folder / "venv" / "lib").glob("python*/site-packages"))
    # The other dependencies come from here; a path added like this does not run the editable installs' own .pth files.
    (site / "others.pth").write_text(str(next((BIN.parent / "lib").glob("python*/site-packages"))))
    command = (str(python), "-m", "policy_service", "serve", "--demo")
    service = Service(short_folder / "data", command=command, from_nothing=True)
    where = subprocess.run(
        [python, "-c", "import policy_service; print(policy_service.__file__)"], cwd="/", capture_output=True, text=True
    )
    assert str(short_folder) in where.stdout
    os.chdir("/")
    try:
        with service.running():
            assert service.cli("check", "mia", "dr-osei", "claim:submit").returncode == 0
    finally:
        os.chdir(ROOT)
