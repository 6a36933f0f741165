"""The manifests: valid for Kubernetes from 1.31 on, restricted, and true to the service."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from policy_service.rpc import metrics_http, server
from policy_service.settings import Settings
from tests.support.deploying import DEPLOY, files_of, port_of, ports_of, secrets, settings_of

HERE = DEPLOY / "kubernetes"
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest that knows all that is used here, and the newest that there is."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / name).read_text()))


(DEPLOYMENT,) = documents("serve/deployment.yaml")
(JOB,) = documents("migrate/job.yaml")
PODS: dict[str, dict[str, Any]] = {
    "serve": DEPLOYMENT["spec"]["template"]["spec"],
    "migrate": JOB["spec"]["template"]["spec"],
}
SECRETS = {
    # The names in cert-manager's secrets.
    "policy-tls": {"tls.crt": "tls/server/cert.pem", "tls.key": "tls/server/key.pem", "ca.crt": "tls/ca.pem"},
    "policy-keys": {"token.key": "service/token.key", "checkpoint.key": "service/checkpoint.key"},
    "policy-database": {"url": "service/database-url"},
    "policy-database-owner": {"url": "owner/database-url"},
    "policy-smtp": {"url": None},
}


def container(which: str) -> dict[str, Any]:
    (only,) = PODS[which]["containers"]
    return only


def environment(which: str) -> dict[str, str]:
    found = {one["name"]: one["value"] for one in container(which).get("env", [])}
    if which == "serve":
        lines = (HERE / "serve/settings.env").read_text().splitlines()
        found |= dict(line.split("=", 1) for line in lines)
    return found


def secret_mounts(which: str) -> dict[str, str]:
    """The secret behind each folder."""
    of = {one["name"]: one["secret"]["secretName"] for one in PODS[which]["volumes"] if "secret" in one}
    return {one["mountPath"]: of[one["name"]] for one in container(which)["volumeMounts"] if one["name"] in of}


@pytest.fixture(scope="module")
def mounted(tmp_path_factory) -> dict[str, Path]:
    """A folder for each secret, with what docs/deployment.md puts into it."""
    folder = tmp_path_factory.mktemp("kubernetes")
    for secret, items in SECRETS.items():
        (folder / secret).mkdir()
        for name, source in items.items():
            content = (secrets() / source).read_bytes() if source else b"smtps://policy:word@mail:465\n"
            (folder / secret / name).write_bytes(content)
            (folder / secret / name).chmod(0o600)
    return {secret: folder / secret for secret in SECRETS}


def test_every_document_is_valid_in_every_release():
    for file in sorted(HERE.rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            for document in yaml.safe_load_all(file.read_text()):
                for version in VERSIONS:
                    kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_what_is_misspelt():
    wrong = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", ["serve", "migrate"])
def test_kustomize_is_told_every_file(folder):
    (told,) = documents(f"{folder}/kustomization.yaml")
    there = {file.name for file in (HERE / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(told["resources"]) == there
    assert told["namespace"] == documents("namespace.yaml")[0]["metadata"]["name"]
    (image,) = told["images"]
    assert image["name"] == container(folder)["image"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"])


def test_the_settings_that_are_named_are_made():
    (made,) = documents("serve/kustomization.yaml")[0]["configMapGenerator"]
    assert container("serve")["envFrom"] == [{"configMapRef": {"name": made["name"]}}]
    for file in made["envs"]:
        assert (HERE / "serve" / file).is_file()


@pytest.mark.parametrize("which", PODS)
def test_the_service_takes_the_settings_with_every_secret_in_a_file(mounted, which):
    mounts = secret_mounts(which)
    settings = settings_of(environment(which), {path: mounted[secret] for path, secret in mounts.items()})
    owner = "policy_owner" if which == "migrate" else "policy_service"
    assert settings.database_url.get_secret_value().startswith(f"postgresql://{owner}:")
    # Every file that a setting names is in a secret, and every secret is there for a setting.
    files = files_of(environment(which))
    assert {str(file.parent) for file in files.values()} == set(mounts)
    for setting, file in files.items():
        assert (mounted[mounts[str(file.parent)]] / file.name).is_file(), setting
    assert not [value for value in environment(which).values() if "://" in value and "@" in value]


def test_no_replica_has_the_owners_password():
    assert "policy-database-owner" not in secret_mounts("serve").values()


@pytest.mark.parametrize("which", PODS)
def test_secrets_are_for_the_processes_group_and_nobody_else(which):
    group = PODS[which]["securityContext"]["fsGroup"]
    assert group == PODS[which]["securityContext"]["runAsGroup"]
    for volume in PODS[which]["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440
    # A folder by subPath would never show a renewed certificate.
    assert not [mount for mount in container(which)["volumeMounts"] if "subPath" in mount]


@pytest.mark.parametrize("which", PODS)
def test_a_pod_is_as_restricted_as_can_be(which):
    pod, own = PODS[which]["securityContext"], container(which)["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert PODS[which]["automountServiceAccountToken"] is False
    resources = container(which)["resources"]
    assert {"cpu", "memory"} <= resources["requests"].keys()
    assert "memory" in resources["limits"]
    # The image's own folder, which the read-only root leaves to be written.
    assert "/var/lib/policy-service" in {mount["mountPath"] for mount in container(which)["volumeMounts"]}


def test_probes_ask_what_the_operations_port_answers():
    ports = {one["name"]: one["containerPort"] for one in container("serve")["ports"]}
    assert set(ports.values()) == ports_of(environment("serve"))
    served = set(re.findall(r'\("(/[\w/]+)", _', Path(str(metrics_http.__file__)).read_text()))
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container("serve")[probe]["httpGet"]
        assert ports[asked["port"]] == port_of("metrics_address")
        assert asked["path"] == path
        assert path in served
    assert environment("serve")["POLICY_METRICS_ADDRESS"] == f"0.0.0.0:{port_of('metrics_address')}"


def test_a_stop_has_the_time_that_it_takes():
    """Sleep, a while in which health says so, the calls in hand, then the database's last words."""
    sleep = container("serve")["lifecycle"]["preStop"]["sleep"]["seconds"]
    field = Settings.model_fields.get("drain_seconds")
    drain = field.default if field else 0
    needed = sleep + drain + server._GRACE_SECONDS + 20
    assert PODS["serve"]["terminationGracePeriodSeconds"] >= needed
    ready = container("serve")["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] <= sleep


def test_the_service_and_the_budget_mean_the_replicas_and_not_the_migration():
    replicas = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    migration = JOB["spec"]["template"]["metadata"]["labels"]
    (service,) = documents("serve/service.yaml")
    (budget,) = documents("serve/disruption-budget.yaml")
    for chosen in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert chosen.items() <= replicas.items()
        assert not chosen.items() <= migration.items()
    names = {one["name"]: one["containerPort"] for one in container("serve")["ports"]}
    for port in service["spec"]["ports"]:
        assert names[port["targetPort"]] == port["port"]
    # The client itself asks the replicas in turn, so it has to see each.
    assert service["spec"]["clusterIP"] == "None"
    assert DEPLOYMENT["spec"]["replicas"] > 2
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_nothing_comes_in_or_goes_out_that_is_not_named():
    (policy,) = documents("serve/network-policy.yaml")
    for pod in (DEPLOYMENT, JOB):
        labels = pod["spec"]["template"]["metadata"]["labels"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    names = {one["name"] for one in container("serve")["ports"]}
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == names
    assert all(rule["from"] for rule in policy["spec"]["ingress"])
    assert all(rule["ports"] for rule in policy["spec"]["egress"])


def test_replicas_lie_apart():
    own = DEPLOYMENT["spec"]["selector"]["matchLabels"]
    (spread,) = PODS["serve"]["topologySpreadConstraints"]
    (apart,) = PODS["serve"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert spread["labelSelector"]["matchLabels"] == own
    assert apart["podAffinityTerm"]["labelSelector"]["matchLabels"] == own
    assert apart["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
