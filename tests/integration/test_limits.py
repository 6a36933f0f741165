"""Limits as callers meet them: over the wire, with the field or the thing named, and the number."""

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor

from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc.bounds import ITEMS, TEXTS
from tests.integration.conftest import register
from tests.support.rpc import METHODS, Refused, Wire


def overfull(kind, path=()):
    """For each text and list within a message: its path, and a way to make it hold one too many."""
    for field in kind.fields:
        here = (*path, field.name)
        if field.is_repeated:
            most = ITEMS[f"{kind.name}.{field.name}"] + 1
            yield here, lambda message, field=field, most=most: getattr(message, field.name).extend(items(field, most))
        elif field.type == FieldDescriptor.TYPE_STRING:
            text = "x" * (TEXTS[field.name] + 1)
            yield here, lambda message, field=field, text=text: setattr(message, field.name, text)
        elif field.message_type is not None:
            for inner, spoil in overfull(field.message_type, here):
                yield inner, lambda message, field=field, spoil=spoil: spoil(getattr(message, field.name))


def items(field, count):
    if field.message_type is not None:
        return [message_factory.GetMessageClass(field.message_type)()] * count
    return ["x" if field.type == FieldDescriptor.TYPE_STRING else 1] * count


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_one_too_many_is_refused_by_the_fields_name(app, method):
    service, descriptor = METHODS[method]
    port = app.planes.decision_port if service.name == "DecisionService" else app.planes.management_port
    async with Wire(port) as wire:
        call = wire.parts if descriptor.server_streaming else wire
        for path, spoil in overfull(descriptor.input_type):
            request = message_factory.GetMessageClass(descriptor.input_type)()
            spoil(request)
            with pytest.raises(Refused) as refused:
                await call(method, request)
            assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
            # A question is named by its own words, in whatever message it is.
            assert ".".join(path).removeprefix("check.") in refused.value.fields


async def test_a_batch_with_a_thousand_faults_says_the_first_and_their_number(wire):
    with pytest.raises(Refused) as refused:
        await wire("BatchCheck", pb.BatchCheckRequest(checks=[pb.CheckRequest()] * 1_000))
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details.startswith("3,000 faults, of which the first: checks[0].user is empty")
    assert list(refused.value.fields)[:4] == [
        *(f"checks[0].{name}" for name in ("user", "physician", "action")),
        "checks[1].user",
    ]
    assert len(refused.value.fields) == 20


async def test_what_is_overfull_is_refused_to_whoever_may_call_and_others_learn_nothing_new(app, management):
    revision = await register(app, "dr-a", "olive")
    roles = mu.Permissions(roles=[""] * 400_000)
    request = mu.InviteUserRequest(
        actor="olive", physician="dr-a", username="ben", email="ben@example.org", permissions=roles
    )
    with pytest.raises(Refused) as refused:
        await management("InviteUser", request, timeout=60)
    assert refused.value.fields == {"permissions.roles": "permissions.roles has more than 32 items"}
    assert await app.store.revision() == revision
