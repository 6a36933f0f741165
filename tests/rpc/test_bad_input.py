"""Bad input gets a clear error that names the field, and nothing is half done."""

import grpc
import pytest

from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.support.accounts import reached, register
from tests.support.patience import PATIENCE
from tests.support.rpc import METHODS, Refused, Wire, question
from tests.vocabulary.test_vocabulary import BAD_NAMES

pytestmark = pytest.mark.over_tls

OK = {"user": "olive", "physician": "dr-a", "action": "claim:view"}

NAMES = BAD_NAMES


async def invalid(call, *fields):
    with pytest.raises(Refused) as refused:
        await call
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.reason == "INVALID_REQUEST"
    assert sorted(refused.value.fields) == sorted(fields)


@pytest.mark.parametrize("field", ["user", "physician", "action"])
async def test_a_malformed_name_is_named_by_field_in_every_question(wire, field):
    for name in NAMES:
        if field == "action" and name in ("a:b", "user:ann", "role:administrator"):
            continue
        asked = pb.CheckRequest(**{**OK, field: name})
        await invalid(wire("Check", asked), field)
        await invalid(wire("Explain", pb.ExplainRequest(check=asked)), field)
        await invalid(
            wire("BatchCheck", pb.BatchCheckRequest(checks=[pb.CheckRequest(**OK), asked])), f"checks[1].{field}"
        )
        if field != "action":
            await invalid(
                wire(
                    "ListActions",
                    pb.ListActionsRequest(**{k: v for k, v in {**OK, field: name}.items() if k != "action"}),
                ),
                field,
            )
        if field != "user":
            await invalid(
                wire("ListUsers", pb.ListUsersRequest(**{k: v for k, v in {**OK, field: name}.items() if k != "user"})),
                field,
            )
        if field == "user":
            await invalid(wire("ListPhysicians", pb.ListPhysiciansRequest(user=name)), field)


async def test_all_fields_at_fault_are_named_at_once(wire):
    asked = pb.CheckRequest(user="*", physician="", action="x", channel=7, resource="\n", correlation_id="é")
    await invalid(wire("Check", asked), "user", "physician", "action", "channel", "resource", "correlation_id")


@pytest.mark.parametrize("channel", [3, 99, -1, 2**31 - 1])
async def test_an_unknown_channel_is_refused_not_taken_for_another(wire, app, channel):
    await register(app, "dr-a", "olive")
    await invalid(wire("Check", question("olive", "dr-a", "claim:view", channel)), "channel")
    await invalid(
        wire("ListActions", pb.ListActionsRequest(user="olive", physician="dr-a", channel=channel)), "channel"
    )


@pytest.mark.parametrize("count", [0, 1001, 5000])
async def test_a_batch_takes_one_to_a_thousand_questions(wire, count):
    await invalid(wire("BatchCheck", pb.BatchCheckRequest(checks=[pb.CheckRequest(**OK)] * count)), "checks")


async def test_a_full_batch_is_answered(wire):
    full = pb.CheckRequest(**OK, resource="r" * 256, correlation_id="c" * 128)
    response = await wire("BatchCheck", pb.BatchCheckRequest(checks=[full] * 1000))
    assert len(response.answers) == 1000


async def test_overlong_texts_for_the_log_are_refused(wire):
    await invalid(wire("Check", question(**OK, resource="r" * 257)), "resource")
    await invalid(wire("Check", question(**OK, correlation_id="c" * 129)), "correlation_id")


async def test_what_is_unknown_is_a_deny_with_its_reason(app, wire):
    revision = await register(app, "dr-a", "olive")
    nobody = await wire.check("nobody", "dr-a", "claim:view", min_revision=revision)
    assert (nobody.allowed, nobody.reason) == (False, pb.REASON_NOT_A_MEMBER)
    nowhere = await wire.check("olive", "dr-none", "claim:view")
    assert (nowhere.allowed, nowhere.reason) == (False, pb.REASON_UNKNOWN_PHYSICIAN)
    nothing = await wire.check("olive", "dr-a", "claim:frame")  # though the owner may do everything
    assert (nothing.allowed, nothing.reason) == (False, pb.REASON_UNKNOWN_ACTION)


async def test_lists_about_what_is_unknown_are_errors_or_plainly_empty(app, wire):
    await reached(app, await register(app, "dr-a", "olive"))
    for request, reason in (
        (pb.ListUsersRequest(physician="dr-none", action="claim:view"), "UNKNOWN_PHYSICIAN"),
        (pb.ListUsersRequest(physician="dr-a", action="claim:frame"), "UNKNOWN_ACTION"),
    ):
        with pytest.raises(Refused) as refused:
            await wire("ListUsers", request)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    assert not (await wire("ListPhysicians", pb.ListPhysiciansRequest(user="nobody"))).physicians
    hidden = await wire("ListActions", pb.ListActionsRequest(user="olive", physician="dr-none"))
    assert {access.reason for access in hidden.actions} == {pb.REASON_UNKNOWN_PHYSICIAN}


@pytest.mark.parametrize("field", ["actor", "physician", "owner"])
async def test_a_malformed_registration_changes_nothing(app, management, field):
    before = await app.store.revision()
    for name in NAMES:
        fields = {"actor": "olive", "physician": "dr-a", "owner": "olive", field: name}
        await invalid(management("RegisterPhysician", mu.RegisterPhysicianRequest(**fields)), field)
    assert await app.store.revision() == before


@pytest.mark.parametrize("name", ["x" * 129, "Dr.\nOsei", "Dr.\x1b[31m", " Dr. Osei"])
async def test_a_display_name_is_one_line(management, name):
    request = mu.RegisterPhysicianRequest(actor="olive", physician="dr-a", owner="olive", display_name=name)
    await invalid(management("RegisterPhysician", request), "display_name")


async def test_a_physician_registered_twice_is_refused_by_name(app, management):
    request = mu.RegisterPhysicianRequest(actor="olive", physician="dr-a", owner="olive", display_name="Dr. Ana Óseï")
    revision = (await management("RegisterPhysician", request)).revision
    with pytest.raises(Refused) as refused:
        await management("RegisterPhysician", request)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PHYSICIAN_EXISTS")
    assert await app.store.revision() == revision


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_bytes_that_are_no_message_are_refused(app, method):
    service, _ = METHODS[method]
    port = app.planes.decision_port if service.name == "DecisionService" else app.planes.management_port
    async with Wire(port) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await wire.channel.unary_unary(f"/{service.full_name}/{method}")(b"\xff\xff\xff\xff", timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
