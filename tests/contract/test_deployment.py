"""``deploy/`` fits the service: names of settings, files that it mounts, who it runs as; what it makes, the service takes.

That images are built and containers run is not tested here: there is no container engine.
"""

import ast
import asyncio
import re
import shlex
import stat
import subprocess
import sys
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from policy_client.environment import CALLERS_OWN

from policy_service.audit import own_signer
from policy_service.members import read_key
from policy_service.rpc import Readiness, showing_metrics
from policy_service.rpc.certificates import Certificates
from policy_service.rpc.tls_files import TlsFiles
from policy_service.settings import PREFIX, Settings
from tests.conftest import settings_for

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "policy-service"}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields} | set(CALLERS_OWN)


def test_every_setting_that_is_named_is_one():
    named = set()
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            named |= set(re.findall(r"\bPOLICY_[A-Z_]*[A-Z]\b", file.read_text()))
    assert len(named) >= 12
    assert named - {"POLICY_NAME"} <= KNOWN


def test_what_is_mounted_is_there():
    volumes = set(COMPOSE["volumes"])
    for name, service in COMPOSE["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), (name, mount)


def test_images_have_a_version_and_nothing_is_published_beyond_this_machine():
    for name, service in COMPOSE["services"].items():
        if name not in OURS:
            assert re.fullmatch(r"[a-z/]+:v?\d[\w.-]*", service["image"]), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_writes_nowhere_and_has_no_rights(name):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert ("user" in service, "cap_add" in service) == ((True, True) if name == "prepare" else (False, False))


def test_there_are_two_replicas_with_the_same_keys_and_folders_of_their_own():
    first, second = (OURS[f"policy-{number}"] for number in (1, 2))
    assert first["environment"] == second["environment"]
    data = [next(mount for mount in one["volumes"] if mount.startswith("data-")) for one in (first, second)]
    assert data[0] != data[1]
    assert first["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    # A stop waits longer than the service does for its calls.
    assert first["stop_grace_period"] == "30s"


def test_the_image_is_nobodys_who_may_do_anything():
    stages = DOCKERFILE.split("\nFROM ")
    last = stages[-1]
    assert len(stages) == 3
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert re.search(r"^COPY --from=build ", last, re.M)
    assert "pip" not in last
    assert re.search(r'^ENTRYPOINT \["policy-service"\]$', last, re.M)
    # Nothing of a checkout but what is built gets in.
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for line in ignored[1:]:
        if line.startswith("!"):
            assert (ROOT / line.removeprefix("!")).exists(), line
    project = (ROOT / "pyproject.toml").read_text()
    for path in re.findall(r'^"(\w+)" = "policy_service/', project, re.M):
        assert f"!{path}" in ignored


async def test_the_images_health_is_the_services():
    """The command of the Dockerfile, as it stands but for the port."""
    (text,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.M)
    words = ast.literal_eval(text)
    ready = Readiness()
    async with showing_metrics("127.0.0.1:0", ready) as port:

        async def status() -> int:
            command = [sys.executable, *(word.replace("9464", str(port)) for word in words[1:])]
            return (await asyncio.to_thread(subprocess.run, command, stderr=subprocess.DEVNULL)).returncode

        assert await status() == 1
        ready.say(True, ())
        assert await status() == 0
        ready.stop()
        assert await status() == 1
    assert await status() == 1


def prepared(folder: Path) -> tuple[Path, Path]:
    service, database = folder / "service", folder / "database"
    subprocess.run(
        [sys.executable, DEPLOY / "compose" / "prepare.py", service, database],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return service, database


def test_what_is_prepared_is_what_the_service_takes(tmp_path):
    (tmp_path / "service").mkdir()
    (tmp_path / "database").mkdir()
    service, database = prepared(tmp_path)
    files = {
        name.removeprefix(PREFIX).lower(): service / Path(value).relative_to("/etc/policy-service")
        for name, value in OURS["policy-1"]["environment"].items()
        if name.endswith("_FILE")
    }
    settings = settings_for("postgresql://x/y", data_dir=tmp_path, **files)
    assert read_key(settings.token_key_file)
    assert own_signer(settings)
    assert Certificates(TlsFiles.of(settings), lambda: datetime.now(UTC))
    for role in ("owner", "service"):
        password = (database / f"{role}-password").read_text()
        assert (service / f"{role}.pgpass").read_text() == f"database:5432:policy:policy_{role}:{password}\n"
        for url in (OURS["migrate"], OURS["policy-1"]):
            assert "@database:5432/policy?" in url["environment"]["POLICY_DATABASE_URL"]
    for path in service.rglob("*"):
        if path.is_file() and path.suffix in (".key", ".pgpass"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prepared(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_unit_takes_rights_away_and_names_what_is_installed():
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "systemd" / "policy-service.service")
    service = unit["Service"]
    assert service["User"] == "policy-service"
    assert shlex.split(service["ExecStart"])[1:] == ["serve"]
    for name in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "RestrictNamespaces", "MemoryDenyWriteExecute"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    # As many files as the shipped limit of connections needs, so that no limit is to be raised.
    assert int(service["LimitNOFILE"]) > 2 * Settings.model_fields["max_connections"].default + 1_000
