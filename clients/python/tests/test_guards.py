"""Guards: what they guard runs only for a yes; a no and no answer are told apart, in each protocol's own way."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated, Any

import fastapi
import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from policy_client import (
    AccessDenied,
    AsyncPolicyClient,
    Channel,
    Decision,
    PolicyClient,
    ResourceExhausted,
    ServiceUnavailable,
)
from policy_client._pb import decision_pb2 as pb
from policy_client.guards import fastapi as routes
from policy_client.guards import requires, servicers
from policy_client.testing import FakePolicyService

from tests.support.patience import PATIENCE


@pytest.fixture(scope="module")
def fake():
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        fake.grant("mia", "dr-osei", "data_entry")
        yield fake


@pytest.fixture
def policy(fake):
    with PolicyClient(fake.decision_target, timeout=PATIENCE) as policy:
        yield policy


@pytest.fixture
async def asking(fake):
    async with AsyncPolicyClient(fake.decision_target, timeout=PATIENCE) as asking:
        yield asking


@contextlib.contextmanager
def away(fake):
    fake.go_away()
    try:
        yield
    finally:
        fake.come_back()


async def test_a_function_runs_only_for_a_yes(fake, policy, asking):
    ran = []

    @requires(policy, "claim:submit", resource=lambda given: f"claim/{given['claim']}")
    def submit(user: str, physician: str, claim: str) -> str:
        ran.append(user)
        return claim

    @requires(asking, "claim:submit", user="who", channel="mobile")
    async def submit_async(who: str, physician: str = "dr-osei") -> str:
        ran.append(who)
        return who

    assert submit("mia", physician="dr-osei", claim="c1") == "c1"
    assert (fake.decisions[-1].resource, fake.decisions[-1].channel) == ("claim/c1", Channel.WEB)
    assert await submit_async("ama") == "ama", "a default counts as what is given"
    assert fake.decisions[-1].channel is Channel.MOBILE
    with pytest.raises(AccessDenied) as denied:
        submit("noah", "dr-osei", "c1")
    assert denied.value.decision.decision_id
    with pytest.raises(AccessDenied):
        await submit_async("mia")  # not in the mobile app
    for nobody in (None, 7):
        with pytest.raises(TypeError):
            submit(nobody, "dr-osei", "c1")
    with away(fake):
        with pytest.raises(ServiceUnavailable, match="away"):
            await asyncio.to_thread(submit, "mia", "dr-osei", "c1")
        with pytest.raises(ServiceUnavailable, match="away"):
            await submit_async("ama")
    assert ran == ["mia", "ama"]


def test_a_guard_that_cannot_work_is_refused_where_it_is_made(policy, fake):
    asking = AsyncPolicyClient(fake.decision_target)

    def plain(user, physician): ...

    async def awaited(user, physician): ...

    async def parts(user, physician):
        yield

    with pytest.raises(TypeError, match="'doctor', which is no parameter of"):
        requires(policy, "claim:view", physician="doctor")(plain)
    with pytest.raises(TypeError, match="guard it with a PolicyClient"):
        requires(asking, "claim:view")(plain)
    for guard in (
        requires(policy, "claim:view"),
        servicers.requires(policy, "claim:view", user=lambda _request, _context: "mia"),
    ):
        with pytest.raises(TypeError, match="guard it with a AsyncPolicyClient"):
            guard(awaited)
    with pytest.raises(TypeError, match="asynchronous generator"):
        requires(asking, "claim:view")(parts)
    for make in (requires, servicers.requires, routes.requires):
        more = {} if make is requires else {"user": lambda *_: "mia"}
        with pytest.raises(ValueError, match="action is empty"):
            make(policy, "", **more)
        with pytest.raises(ValueError, match="channel"):
            make(policy, "claim:view", channel="fax", **more)
    for make in (servicers.requires, routes.requires):
        with pytest.raises(TypeError, match="user is"):
            make(policy, "claim:view", user="user")


@pytest.fixture(params=["blocking", "asyncio"])
def route(request, policy, asking):
    """Asks a route that is guarded; the response."""
    app, ran = fastapi.FastAPI(), []

    def logged_in(who: str) -> str:
        return who

    may_submit = routes.requires(
        policy if request.param == "blocking" else asking,
        "claim:submit",
        user=logged_in,
        resource=lambda claim: f"claim/{claim}",
    )

    @app.post("/{physician}/claims/{claim}")
    def submit(claim: str, decision: Annotated[Decision, fastapi.Depends(may_submit)]) -> dict[str, str]:
        ran.append(claim)
        return {"decision": decision.decision_id}

    async def ask(path: str) -> tuple[httpx.Response, bool]:
        ran.clear()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path), bool(ran)

    return ask


async def test_a_route_is_403_for_a_no_and_503_for_no_answer(fake, route):
    found, ran = await route("/dr-osei/claims/c1?who=mia")
    assert (found.status_code, ran, fake.decisions[-1].resource) == (200, True, "claim/c1")
    assert found.json()["decision"].startswith("fake-")
    found, ran = await route("/dr-osei/claims/c1?who=noah")
    assert (found.status_code, ran) == (403, False)
    detail = found.json()["detail"]
    assert (detail["reason"], detail["why"]) == ("ACCESS_DENIED", "not a member")
    assert detail["decision_id"].startswith("fake-")
    assert detail["decision_id"] in detail["message"]
    found, ran = await route("/dr%20osei/claims/c1?who=mia")
    assert (found.status_code, ran) == (422, False)
    with away(fake):
        found, ran = await route("/dr-osei/claims/c1?who=mia")
    assert (found.status_code, ran, found.json()["detail"]["reason"]) == (503, False, "POLICY_UNAVAILABLE")
    assert "127.0.0.1" not in found.text


async def test_a_route_tells_when_to_try_again_and_nothing_of_faults_inside():
    class Policy:
        fault: Exception = ResourceExhausted("too many", retry_after=timedelta(seconds=1.5))

        async def require(self, *_: object, **__: object) -> Decision:
            raise self.fault

    app, policy = fastapi.FastAPI(), Policy()
    may = routes.requires(policy, "claim:view", user=lambda: "mia", physician=lambda: "dr-osei")
    app.get("/", dependencies=[fastapi.Depends(may)])(lambda: "in")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        found = await client.get("/")
        assert (found.status_code, found.headers["Retry-After"]) == (503, "2")
        for fault in (policy_client_fault() for policy_client_fault in faults()):
            policy.fault = fault
            found = await client.get("/")
            assert found.status_code == 500
            assert "secret" not in found.text


def faults() -> Iterator[Any]:
    from policy_client import CallerNotAllowed, ProtocolError, WrongAddress

    yield from (lambda kind=kind: kind("secret") for kind in (CallerNotAllowed, ProtocolError, WrongAddress))


class Claims:
    """Methods of four shapes; what ran is in ``ran``."""

    def __init__(self, policy: PolicyClient, asking: AsyncPolicyClient) -> None:
        self.ran: list[str] = []

        def who(_request: Any, context: Any) -> str:
            return dict(context.invocation_metadata())["who"]

        blocking = servicers.requires(policy, "claim:view", user=who)
        awaited = servicers.requires(asking, "claim:view", user=who, physician=lambda request, _: request.physician)

        class Methods:
            @blocking
            def one(self, request: Any, _context: Any) -> Any:
                self.ran.append("one")
                return request

            @blocking
            def many(self, request: Any, _context: Any) -> Iterator[Any]:
                self.ran.append("many")
                yield request

            @awaited
            async def one_async(self, request: Any, _context: Any) -> Any:
                self.ran.append("one")
                return request

            @awaited
            async def many_async(self, request: Any, _context: Any) -> AsyncIterator[Any]:
                self.ran.append("many")
                yield request

        self.methods: Any = Methods()
        self.methods.ran = self.ran

    def handler(self, suffix: str = "") -> Any:
        coding = {
            "request_deserializer": pb.CheckRequest.FromString,
            "response_serializer": pb.CheckRequest.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            "test.Claims",
            {
                "One": grpc.unary_unary_rpc_method_handler(getattr(self.methods, f"one{suffix}"), **coding),
                "Many": grpc.unary_stream_rpc_method_handler(getattr(self.methods, f"many{suffix}"), **coding),
            },
        )


@pytest.fixture(params=["threads", "asyncio"])
async def servicer(request, policy, asking):
    """A guarded servicer: what it ran, and how it is called."""
    claims = Claims(policy, asking)
    if request.param == "threads":
        server: Any = grpc.server(ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((claims.handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
    else:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((claims.handler("_async"),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        async def call(method: str, who: str) -> None:
            given = {"metadata": (("who", who),), "timeout": PATIENCE}
            asked = pb.CheckRequest(physician="dr-osei").SerializeToString()
            if method == "One":
                await channel.unary_unary("/test.Claims/One")(asked, **given)
            else:
                assert len([part async for part in channel.unary_stream("/test.Claims/Many")(asked, **given)]) == 1

        yield claims.ran, call
    stopped = server.stop(None)
    await stopped if request.param == "asyncio" else stopped.wait()


@pytest.mark.parametrize("method", ["One", "Many"])
async def test_a_servicer_is_permission_denied_for_a_no_and_unavailable_for_no_answer(fake, servicer, method):
    ran, call = servicer
    await call(method, "mia")
    assert ran.pop() == method.lower()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(method, "noah")
    info = error_info(refused.value)
    assert (refused.value.code(), info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")
    assert info.metadata["decision_id"].startswith("fake-")
    assert info.metadata["decision_id"] in refused.value.details()
    with away(fake), pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(method, "mia")
    assert (refused.value.code(), error_info(refused.value).reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "POLICY_UNAVAILABLE",
    )
    assert "127.0.0.1" not in refused.value.details()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(method, "not a name")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not ran


def error_info(failed: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    trailing = dict(failed.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def test_who_uses_no_fastapi_needs_none():
    code = "import sys; sys.modules['fastapi'] = None; import policy_client.guards.servicers, policy_client.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
