"""The units: closed, with every secret by credential, and true to the service."""

import re
import shlex
import shutil
import subprocess
from collections import defaultdict

import pytest

from policy_service.rpc import server
from policy_service.settings import PREFIX, Settings
from tests.support.deploying import DEPLOY, files_of, secrets, settings_of

HERE = DEPLOY / "systemd"
UNITS = ("policy-service", "policy-service-migrate")
CLOSED = {
    "NoNewPrivileges": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "PrivateDevices": "true",
    "PrivateUsers": "true",
    "ProtectKernelTunables": "true",
    "ProtectKernelModules": "true",
    "ProtectControlGroups": "true",
    "MemoryDenyWriteExecute": "true",
    "RestrictNamespaces": "true",
    "RestrictSUIDSGID": "true",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}


def unit(name: str) -> dict[str, list[str]]:
    """Each word of a unit with its values, in order."""
    found = defaultdict(list)
    for line in (HERE / f"{name}.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            word, value = line.split("=", 1)
            found[word].append(value)
    return found


def environment(name: str) -> dict[str, str]:
    """What the process finds in its environment, its credentials' folder being %d."""
    told = unit(name)
    lines = list(told["Environment"])
    if told["EnvironmentFile"]:
        text = (HERE / "settings.env").read_text().splitlines()
        lines += [line for line in text if line and not line.startswith("#")]
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_closed(name):
    told = unit(name)
    for word, value in CLOSED.items():
        assert told[word] == [value], word
    assert told["SystemCallFilter"][0] == "@system-service"
    assert told["DynamicUser"] == ["true"] or told["User"] not in ([], ["root"])


@pytest.mark.parametrize("name", UNITS)
def test_every_credential_is_used_and_every_secret_comes_as_one(name):
    told = unit(name)
    loaded = {value.partition(":")[0] for value in told["LoadCredential"]}
    used = {value.removeprefix("%d/") for value in environment(name).values() if value.startswith("%d/")}
    assert loaded == used
    assert all(value.partition(":")[2].startswith("/etc/policy-service/secrets/") for value in told["LoadCredential"])
    assert not [value for value in environment(name).values() if "://" in value and "@" in value]


@pytest.mark.parametrize("name", UNITS)
def test_the_service_takes_the_settings(name, tmp_path):
    made = secrets()
    (tmp_path / "smtp-url").write_text("smtps://policy:word@mail:465")
    sources = {
        "database-url": made / ("owner" if name.endswith("migrate") else "service") / "database-url",
        "smtp-url": tmp_path / "smtp-url",
        "token.key": made / "service/token.key",
        "checkpoint.key": made / "service/checkpoint.key",
    }
    files = {
        "/etc/policy-service/tls/cert.pem": made / "tls/server/cert.pem",
        "/etc/policy-service/tls/key.pem": made / "tls/server/key.pem",
        "/etc/policy-service/tls/ca.pem": made / "tls/ca.pem",
    }
    elsewhere = {f"%d/{name}": path for name, path in sources.items()} | files
    settings = settings_of(environment(name), elsewhere)
    assert settings.database_url is not None
    for setting, file in files_of(environment(name)).items():
        assert elsewhere[str(file)].is_file(), setting
        assert setting.removeprefix(PREFIX).lower() in Settings.model_fields


def test_it_serves_and_has_the_time_that_a_stop_takes():
    told = unit("policy-service")
    assert told["ExecStart"] == ["/opt/policy/bin/policy-service serve"]
    field = Settings.model_fields.get("drain_seconds")
    assert int(told["TimeoutStopSec"][0]) >= server._GRACE_SECONDS + (field.default if field else 0) + 20
    assert told["Restart"] == ["always"]
    # A file for each connection to each listener, and more for the log and the database.
    assert int(told["LimitNOFILE"][0]) > 2 * Settings.model_fields["max_connections"].default + 1_000
    assert told["StateDirectory"] == ["policy-service"]
    assert environment("policy-service")["POLICY_DATA_DIR"] == "%S/policy-service"


def test_systemd_itself_finds_nothing_where_it_is():
    """Offline, so that no system need be running; where there is no systemd, the tests above are what there is."""
    if not shutil.which("systemd-analyze"):
        return
    files = [HERE / f"{name}.service" for name in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "is not executable: No such file" not in line]
    # Of other units of this machine nothing is judged.
    assert not [line for line in told if re.search("policy-service", line)]
    for file in files:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", file],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
