"""The composition: what its files say is what the service takes, and nothing is open that need not be."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy_service.settings import PREFIX
from tests.support.deploying import (
    DEPLOY,
    addresses_in,
    files_of,
    make_secrets,
    port_of,
    ports_of,
    secrets,
    settings_of,
)

BIN = Path(sys.executable).parent
FILE = DEPLOY / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
REPLICAS = {name: told for name, told in SERVICES.items() if told.get("command", [""])[0] == "serve"}
OURS = {name: told for name, told in SERVICES.items() if told["image"].startswith("policy-service:")}
SECRETS = "/etc/policy-service"


def volumes(told: dict[str, Any]) -> list[tuple[str, str]]:
    """What is mounted, and where."""
    pairs = []
    for one in told.get("volumes", []):
        if isinstance(one, dict):
            pairs.append((f"{one['source']}/{one['volume']['subpath']}", one["target"]))
        else:
            source, target = one.split(":")[:2]
            pairs.append((source, target))
    return pairs


def test_the_linters_find_nothing():
    for command in (
        ["yamllint", "--strict", "-c", DEPLOY / ".yamllint.yaml", DEPLOY],
        ["compose-lint", "--config", DEPLOY / ".compose-lint.yml", "--fail-on", "low", FILE],
    ):
        done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_is_root_and_every_image_has_its_version():
    for name, told in SERVICES.items():
        assert int(told["user"].partition(":")[0]) > 0, name
        tag = told["image"].partition(":")[2]
        assert re.search(r"\d", tag), (name, told["image"])
        assert told["read_only"] is True
        assert told["cap_drop"] == ["ALL"]


def test_there_are_two_replicas_after_one_migration():
    assert len(REPLICAS) == 2
    for told in REPLICAS.values():
        assert told["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["command"][0] == "migrate"
    assert SERVICES["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}
    # Each has a place of its own for decisions that the database does not have yet.
    assert len({source for told in REPLICAS.values() for source, target in volumes(told) if "lib" in target}) == 2


@pytest.mark.parametrize("name", [*REPLICAS, "migrate"])
def test_the_service_takes_the_settings(name):
    """Read as the service reads them, with the files that the first step made."""
    settings = settings_of(SERVICES[name]["environment"], {SECRETS: secrets()})
    address = settings.database_url.get_secret_value()
    assert address.startswith("postgresql://policy_owner:" if name == "migrate" else "postgresql://policy_service:")
    assert settings.has_tls == (name != "migrate")
    for setting, file in files_of(SERVICES[name]["environment"]).items():
        assert (secrets() / file.relative_to(SECRETS)).is_file(), setting
        assert ("secrets", SECRETS) in volumes(SERVICES[name])


def test_a_caller_has_what_the_command_reads():
    from policy_client.environment import CALLERS_OWN

    told = SERVICES["caller"]["environment"]
    assert {name for name in told if name not in CALLERS_OWN} == {
        "POLICY_DECISION_ADDRESS",
        "POLICY_MANAGEMENT_ADDRESS",
    }
    for name in CALLERS_OWN.keys() & told.keys():
        assert (secrets() / Path(told[name]).relative_to(SECRETS)).is_file(), name


def test_the_owners_password_is_the_databases_and_the_migrations_alone():
    for name in ("owner", "service"):
        password = (secrets() / f"database/{name}-password").read_text()
        assert f":{password}@" in (secrets() / name / "database-url").read_text()
    (where,) = [target for source, target in volumes(SERVICES["database"]) if source == "secrets/database"]
    assert SERVICES["database"]["environment"]["POSTGRES_PASSWORD_FILE"] == f"{where}/owner-password"
    assert f"$(cat {where}/service-password)" in (DEPLOY / "compose/service_role.sh").read_text()
    for told in REPLICAS.values():
        assert not [value for value in told["environment"].values() if "owner" in value]


def test_secrets_are_made_once_and_for_their_readers_alone():
    before = {file: file.read_bytes() for file in secrets().rglob("*") if file.is_file()}
    make_secrets(secrets(), ["localhost"])
    assert {file: file.read_bytes() for file in secrets().rglob("*") if file.is_file()} == before
    for file in before:
        of_others = file.stat().st_mode & 0o077
        public = file.suffix == ".pub" or file.name in ("ca.pem", "cert.pem") or file.parent.name == "database"
        assert of_others == 0 or public, file
    assert (secrets() / "service").stat().st_mode & 0o077 == 0


def test_what_is_published_is_served_and_on_loopback():
    taken = []
    for name, told in SERVICES.items():
        for words in told.get("ports", []):
            host, outside, inside = words.split(":")
            assert host == "127.0.0.1"
            taken.append(outside)
            if name in OURS:
                assert int(inside) in ports_of(told["environment"])
    assert len(taken) == len(set(taken))


def test_prometheus_asks_every_replica():
    told = yaml.safe_load((DEPLOY / "compose/prometheus.yaml").read_text())
    (job,) = told["scrape_configs"]
    asked = {target for one in job["static_configs"] for target in one["targets"]}
    assert asked == {f"{name}:{port_of('metrics_address')}" for name in REPLICAS}
    mounted = {target for _, target in volumes(SERVICES["prometheus"])}
    assert set(told["rule_files"]) <= mounted


def test_grafana_finds_its_source_and_its_pages():
    (source,) = yaml.safe_load((DEPLOY / "compose/grafana/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (pages,) = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/policy.yaml").read_text())["providers"]
    assert pages["options"]["path"] in {str(Path(target).parent) for _, target in volumes(SERVICES["grafana"])}


def test_every_file_that_is_mounted_is_there():
    for told in SERVICES.values():
        for source, _ in volumes(told):
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source


def test_who_talks_to_whom_shares_a_network():
    talks = [("migrate", "database"), ("prometheus", "policy-1"), ("grafana", "prometheus"), ("caller", "policy-2")]
    talks += [(name, other) for name in REPLICAS for other in ("database", "mail")]
    for one, other in talks:
        assert set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]), (one, other)
    # A caller, and whoever looks at pages, cannot reach the database.
    for name in ("caller", "grafana", "prometheus", "mail"):
        assert "database" not in SERVICES[name]["networks"]


def test_no_file_names_a_place_beyond_this_machine():
    known = {*SERVICES, "127.0.0.1", "mail", "billing.invalid"}
    for file in DEPLOY.rglob("*"):
        if file.is_file() and file.suffix != ".json":
            assert set(addresses_in(file.read_text())) <= known, file


def test_no_secret_is_in_an_environment():
    for name, told in SERVICES.items():
        for value in told.get("environment", {}).values():
            assert "@" not in value or value.endswith("@billing.invalid>"), (name, value)
            assert not re.search(r"[0-9A-Za-z+/]{24,}", value.replace("/", " ")), (name, value)
    for told in OURS.values():
        assert all(variable.startswith(PREFIX) for variable in told.get("environment", {}))
