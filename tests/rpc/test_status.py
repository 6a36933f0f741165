"""An error fits into the channel for errors, whatever it is about."""

import base64
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2, status_pb2

from policy_service.decide import Basis
from policy_service.decide.errors import UnknownAction
from policy_service.errors import InvalidField, InvalidRequest, PolicyError
from policy_service.members.errors import RoleInUse
from policy_service.rpc.status import DETAILS_KEY, refusal
from policy_service.vocabulary import Action
from tests.conftest import SHIPPED_MODEL
from tests.support.actions import ACTION_ROWS
from tests.support.refusals import every_refusal

MOST = 8 << 10  # Of all trailing metadata: what a client of gRPC takes unless told otherwise.


def size(error: PolicyError) -> int:
    """Bytes on the wire: names, the message with escapes, the details in base64, 32 for each entry."""
    code, message, details = refusal(error)
    entries = {
        "grpc-status": str(code.value[0]),
        "grpc-message": quote(message, safe=" "),
        DETAILS_KEY: base64.b64encode(details).decode(),
    }
    return sum(len(name) + len(value) + 32 for name, value in entries.items())


def huge(kind, text: str):
    """An error whose every fact is as large as a request can make it."""
    values = {}
    for field in fields(kind):
        if field.name == "violations":
            values[field.name] = tuple(InvalidField(field=f"{text}[{n}]", description=text) for n in range(5_000))
        elif str(field.type).startswith("tuple"):
            values[field.name] = (text,) * 5_000
        elif field.type in ("timedelta", timedelta):
            values[field.name] = timedelta.max
        elif field.type in ("datetime", datetime):
            values[field.name] = datetime(9999, 12, 31, tzinfo=UTC)
        elif "int" in str(field.type):
            values[field.name] = 2**63
        else:
            values[field.name] = text
    return kind(**values)


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 50_000, "\U0001f600" * 1_000, "x", "\x00" * 9_000], ids=range(5))
def test_every_error_fits_into_the_trailers(text):
    for kind in every_refusal():
        assert size(huge(kind, text)) < MOST, kind


@pytest.mark.parametrize("name", ["u", "u" * 64])
def test_however_long_the_names_the_others_are_counted(name):
    info, _ = status(RoleInUse(role="desk", physician="dr-a", held_by=(f"user:{name}",) * 1_000))
    told = info.metadata["held_by"]
    assert told.endswith(f" and {1_000 - told.count('user:'):,} more")


def status(error: PolicyError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    found = status_pb2.Status.FromString(refusal(error)[2])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in found.details:
        _ = detail.Unpack(info) or detail.Unpack(bad)
    return info, bad


def test_the_first_faults_are_told_with_their_number():
    faults = tuple(
        InvalidField(field=f"checks[{n}].user", description=f"checks[{n}].user is empty") for n in range(900)
    )
    info, bad = status(InvalidRequest(violations=faults))
    told = [violation.field for violation in bad.field_violations]
    assert told == [fault.field for fault in faults[: len(told)]]
    assert len(told) == 20
    assert info.metadata == {"faults": "900"}
    assert refusal(InvalidRequest(violations=faults))[1].startswith("900 faults, of which the first: checks[0].user")


def test_few_faults_are_told_whole():
    faults = tuple(InvalidField(field=f"field{n}", description=f"field{n} is empty") for n in range(7))
    info, bad = status(InvalidRequest(violations=faults))
    assert [violation.field for violation in bad.field_violations] == [fault.field for fault in faults]
    assert not info.metadata


def test_of_many_holders_the_first_are_named_and_the_others_counted():
    info, _ = status(RoleInUse(role="desk", physician="dr-a", held_by=tuple(f"user:u{n}" for n in range(1_000))))
    assert info.metadata["held_by"].startswith("user:u0, user:u1, ")
    assert info.metadata["held_by"].endswith("and 980 more")


@pytest.mark.parametrize(
    ("asked", "meant"), [("claim:veiw", "claim:view"), ("claims:submit", "claim:submit"), ("x", "")]
)
def test_an_unknown_action_is_answered_with_the_one_that_was_meant(asked, meant):
    basis = Basis(SHIPPED_MODEL, ACTION_ROWS)
    with pytest.raises(UnknownAction) as refused:
        basis.require_known(Action(asked))
    assert refused.value.facts().get("did_you_mean", "") == meant
