"""The lines of calls in the log: whoever has a failed call's id finds its line, and no line says of whom was asked."""

import re

import grpc
import pytest
from policy_client import AsyncPolicyClient, InvalidRequest
from policy_client.testing import FakePolicyService
from structlog.testing import capture_logs

from policy_service import metrics
from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc import observing
from policy_service.rpc.observing import Lines
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.rpc import METHODS, Wire, question, refused

ID = "x-request-id"


async def call(wire: Wire, method: str, request, *metadata: tuple[str, str]):
    """The call itself, when it has ended."""
    service, _ = METHODS[method]
    path = f"/{service.full_name}/{method}"
    made = wire.channel.unary_unary(path, request_serializer=type(request).SerializeToString)(
        request, metadata=metadata, timeout=60
    )
    await made.code()
    return made


async def id_of(made) -> str:
    (told,) = [value for key, value in await made.trailing_metadata() if key == ID]
    return told


def lines(told, event: str):
    return [line for line in told if line["event"] == event]


@pytest.fixture
async def serve(store, settings, seed):
    """A service with other settings."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    return lambda **more: open_app(settings.model_copy(update=more))


@pytest.mark.parametrize("plane", ["decision", "management"])
async def test_a_failed_call_has_one_line_that_is_found_by_what_its_caller_was_told(app, wire, management, plane):
    asked = question("Mallory!", "dr-evil", "claim:view", correlation_id="claim-77")
    bad = mu.ListMembersRequest(actor="Mallory!", physician="dr-evil")
    with capture_logs() as told:
        if plane == "decision":
            made = await call(wire, "Check", asked, (ID, "web-1/2026:abc"))
        else:
            made = await call(management, "ListMembers", bad, (ID, "web-1/2026:abc"))
    (line,) = lines(told, "call refused")
    assert (line["code"], line["reason"], line["caller"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "local")
    assert line["method"] == ("DecisionService/Check" if plane == "decision" else "ManageUsersService/ListMembers")
    assert line["request_id"] == await id_of(made) == "web-1/2026:abc"
    assert line["seconds"] > 0
    assert line.get("correlation_id") == ("claim-77" if plane == "decision" else None)
    for part in ("allory", "dr-evil", "claim:view"):
        assert part not in str(told)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await made
    assert refused(error.value).request_id == "web-1/2026:abc"


async def test_the_clients_errors_name_the_call(app):
    with capture_logs() as told:
        async with AsyncPolicyClient(f"127.0.0.1:{app.planes.decision_port}", timeout=60) as client:
            with pytest.raises(InvalidRequest) as invalid:
                await client.check("!", "dr-a", "claim:view")
    (line,) = lines(told, "call refused")
    assert invalid.value.request_id == line["request_id"]
    assert "request_id" not in invalid.value.facts


@pytest.mark.parametrize("brought", ["", "a b", 'a"b', "x" * 129, "a{b}"])
async def test_what_is_no_id_is_replaced_by_one(app, wire, brought):
    with capture_logs() as told:
        made = await call(wire, "Check", question("!", "dr-a", "claim:view"), *([(ID, brought)] if brought else []))
    (line,) = lines(told, "call refused")
    assert re.fullmatch("[0-9a-f]{16}", line["request_id"])
    assert line["request_id"] == await id_of(made)


async def test_a_correlation_id_that_cannot_stand_in_a_log_does_not(app, wire):
    for bad in ("a\nb", "\x1b[2J", "ü", "x" * 129):
        with capture_logs() as told:
            await call(wire, "Check", question("olive", "dr-a", "claim:view", correlation_id=bad))
        (line,) = lines(told, "call refused")
        assert "correlation_id" not in line


async def test_answered_calls_have_no_line_and_an_explanations_correlation_id_is_its_checks(app, wire):
    with capture_logs() as told:
        assert (await call(wire, "Check", question("olive", "dr-a", "claim:view"))).done()
        request = pb.ExplainRequest(check=question("!", "dr-a", "claim:view", correlation_id="claim-78"))
        await call(wire, "Explain", request)
    assert [line["correlation_id"] for line in told if line["event"].startswith("call ")] == ["claim-78"]


async def test_a_slow_call_says_where_its_time_went(serve):
    async with serve(slow_call_seconds=1e-9) as app, Wire(app.planes.management_port) as wire:
        await reached(app, await register(app, "dr-a", "olive"))
        with capture_logs() as told:
            made = await call(wire, "ListMembers", mu.ListMembersRequest(actor="olive", physician="dr-a"))
        (line,) = lines(told, "slow call")
        assert (line["code"], line["log_level"], line["method"]) == ("OK", "warning", "ManageUsersService/ListMembers")
        assert line["request_id"] == await id_of(made)
        assert line["statements"] > 0
        assert 0 < line["in_database"] <= line["seconds"]
        assert 0 <= line["until_heard"] <= line["seconds"]
        async with Wire(app.planes.decision_port) as decision:
            with capture_logs() as told:
                made = await call(decision, "Check", question("olive", "dr-a", "claim:view", correlation_id="c-1"))
        (line,) = lines(told, "slow call")
        assert line["correlation_id"] == "c-1"
        assert line["request_id"] == await id_of(made)
        assert "statements" not in line


async def test_all_calls_have_a_line_where_that_is_set_and_none_where_that_is(serve):
    good, bad = question("olive", "dr-a", "claim:view"), question("!", "dr-a", "claim:view")
    for log_calls, events in (("all", ["call answered", "call refused"]), ("none", [])):
        async with serve(log_calls=log_calls, slow_call_seconds=0.0) as app, Wire(app.planes.decision_port) as wire:
            with capture_logs() as told:
                for asked in (good, bad):
                    made = await call(wire, "Check", asked)
            assert [line["event"] for line in told if line["event"].startswith("call ")] == events
            assert await id_of(made)


async def test_a_fault_of_ours_is_found_by_its_incident_and_by_its_id(app, wire, management, monkeypatch):
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("mallory's secret")

    monkeypatch.setattr("policy_service.rpc.decision._outcome", breaks)
    monkeypatch.setattr(type(app.store), "reading", breaks)
    for plane, method, request in (
        (wire, "Check", question("olive", "dr-a", "claim:view")),
        (management, "ListMembers", mu.ListMembersRequest(actor="olive", physician="dr-a")),
    ):
        with capture_logs() as told:
            made = await call(plane, method, request, (ID, "web-2"))
        (line,) = lines(told, "internal error")
        assert not lines(told, "call refused")
        assert (line["request_id"], line["code"], line["caller"]) == ("web-2", "INTERNAL", "local")
        assert f"incident {line['incident']}" in await made.details()
        assert "secret" not in await made.details()


async def test_of_a_flood_of_refusals_the_first_have_lines(app, wire, monkeypatch):
    # As if all came in no time.
    monkeypatch.setattr(observing, "_LINES_A_SECOND", 0.0)
    with capture_logs() as told:
        for _ in range(60):
            await call(wire, "Check", question("!", "dr-a", "claim:view"))
    assert len(lines(told, "call refused")) == 20


async def test_of_a_flood_of_slow_calls_the_first_have_lines_and_all_are_counted(serve, monkeypatch):
    monkeypatch.setattr(observing, "_LINES_A_SECOND", 0.0)
    async with serve(slow_call_seconds=1e-9) as app, Wire(app.planes.decision_port) as wire:
        before = metrics.slow_calls.labels("DecisionService/Check")._value.get()
        with capture_logs() as told:
            for _ in range(40):
                await call(wire, "Check", question("olive", "dr-a", "claim:view"))
    assert len(lines(told, "slow call")) == 20
    assert metrics.slow_calls.labels("DecisionService/Check")._value.get() == before + 40


def test_what_was_not_told_is_told_by_its_number_and_callers_have_each_their_own():
    now = [0.0]
    left = Lines(lambda: now[0])
    assert [left.take("flooder") for _ in range(50)] == [0] * 20 + [None] * 30
    assert left.take("another") == 0
    now[0] = 0.2
    assert left.take("flooder") == 30
    assert left.take("flooder") is None
    now[0] = 100.0
    assert [left.take("flooder") for _ in range(22)] == [1] + [0] * 19 + [None] * 2
    for number in range(3_000):
        left.take(str(number))
    assert len(left._left) <= 1_024


async def test_the_fake_names_calls_too():
    with FakePolicyService() as fake:
        async with AsyncPolicyClient(fake.decision_target, timeout=60) as client:
            with pytest.raises(InvalidRequest) as invalid:
                await client.check("!", "dr-a", "claim:view")
    assert re.fullmatch("[0-9a-f]{16}", invalid.value.request_id)
    assert "request_id" not in invalid.value.facts
