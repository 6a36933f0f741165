"""What others rely on: names and numbers of the contract, generated code, documents that are true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from policy_client._pb import decision_pb2 as client_pb
from policy_client.environment import CALLERS_OWN

from policy_service.pb import audit_pb2, callers_pb2, seeds_pb2
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.settings import PREFIX, Settings
from policy_service.vocabulary import Reason
from tests.support.actions import Action
from tests.support.refusals import every_refusal

ROOT = Path(__file__).parents[2]


def numbers(message) -> dict[str, int]:
    return {field.name: field.number for field in message.DESCRIPTOR.fields}


def test_the_numbers_of_check_stay():
    assert numbers(pb.CheckRequest) == {
        "user": 1, "physician": 2, "action": 3, "channel": 4, "min_revision": 5, "resource": 6, "correlation_id": 7,
        "history": 15,
    }  # fmt: skip
    assert numbers(pb.CheckResponse) == {
        "allowed": 1, "reason": 2, "revision": 3, "decision_id": 4, "role": 5, "history": 15,
    }  # fmt: skip


def test_the_methods_are_those_of_the_design():
    assert pb.DESCRIPTOR.package == mu.DESCRIPTOR.package == "policy.v1"
    assert [method.name for method in pb.DESCRIPTOR.services_by_name["DecisionService"].methods] == [
        "Check", "BatchCheck", "Explain", "ListActions", "ListUsers", "ListPhysicians",
    ]  # fmt: skip
    assert "RegisterPhysician" in mu.DESCRIPTOR.services_by_name["ManageUsersService"].methods_by_name


def test_every_reason_is_on_the_wire():
    assert set(pb.Reason.keys()) == {"REASON_UNSPECIFIED", *(f"REASON_{reason.name}" for reason in Reason)}


def test_service_and_client_can_be_loaded_in_one_process():
    assert pb.DESCRIPTOR.serialized_pb == client_pb.DESCRIPTOR.serialized_pb


def test_generated_code_is_what_the_contract_makes():
    check = subprocess.run([sys.executable, ROOT / "proto" / "generate.py", "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def test_every_error_reason_is_documented_in_the_contract():
    text = "".join(path.read_text() for path in (ROOT / "proto/policy/v1").glob("*.proto"))
    known = {kind.reason for kind in every_refusal()}
    internal = {"REFUSED", "NOT_GRANTED", "STORE_NOT_EMPTY", "FILE_CHANGED"}  # of use cases that no call reaches
    assert {reason for reason in known - internal if reason not in text} == set()


def test_the_readme_lists_every_setting_and_action():
    text = (ROOT / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in text
    for action in Action:
        assert action in text
    for name in set(re.findall(r"POLICY_[A-Z_]*[A-Z]", text)) - {"POLICY_TLS", "POLICY"} - CALLERS_OWN.keys():
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields, name


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "clients/python/README.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_every_link_leads_somewhere(name):
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_seed_lists_every_method_of_the_contract(seed):
    rights = {row.values[2] for row in seed if row.ptype == "p" and row.domain == "system"}
    methods = {
        f"{service.name}/{method.name}"
        for file in (pb, mu, seeds_pb2, audit_pb2, callers_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    # The one right that is no method.
    assert rights == methods | {"SeedService/ChangeCallers"}
