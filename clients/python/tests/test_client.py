"""The client against a real gRPC server that says what the test tells it to: blocking and asyncio alike."""

import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import trustme
from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from policy_client import (
    AccessDenied,
    AlreadyExists,
    AsyncManageUsersClient,
    AsyncPolicyClient,
    CallerNotAllowed,
    Channel,
    DeadlineExceeded,
    InvalidRequest,
    ListChanged,
    ManageUsersClient,
    NotFound,
    PolicyClient,
    PolicyError,
    ProtocolError,
    Question,
    Reason,
    Refused,
    ResourceExhausted,
    ServiceUnavailable,
)
from policy_client._pb import decision_pb2 as pb
from policy_client._pb import manage_users_pb2 as mu

SERVICES = [pb.DESCRIPTOR.services_by_name["DecisionService"], mu.DESCRIPTOR.services_by_name["ManageUsersService"]]
METHOD_OF = {
    "Check": "check",
    "BatchCheck": "check_many",
    "Explain": "explain",
    "ListActions": "what_can",
    "ListUsers": "who_can",
    "ListPhysicians": "where_can",
    "RegisterPhysician": "register_physician",
}
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1", role="data_entry")
DENIED = pb.CheckResponse(allowed=False, reason=pb.REASON_NOT_GRANTED, revision=7, decision_id="d-2")


class Scripted:
    """A server whose next answers are set by the test; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[Any] = []
        self.deadlines: list[float | None] = []

    def handle(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        self.deadlines.append(context.time_remaining())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(context) if callable(answer) else answer

    def start(self, credentials: grpc.ServerCredentials | None = None) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(4))
        for service in SERVICES:
            handlers = {
                method.name: grpc.unary_unary_rpc_method_handler(
                    self.handle,
                    request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                    response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
                )
                for method in service.methods
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        port = (
            server.add_secure_port("localhost:0", credentials)
            if credentials
            else server.add_insecure_port("127.0.0.1:0")
        )
        server.start()
        return server, port


def failing(code: grpc.StatusCode, reason: str = "", fields: dict[str, str] | None = None) -> Callable[[Any], Any]:
    """An answer that is an error, with google.rpc details."""

    def answer(context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=code.value[0], message="in words")
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=k, description=v) for k, v in (fields or {}).items()
        ]
        for detail in (
            error_details_pb2.ErrorInfo(reason=reason, domain="policy.v1"),
            error_details_pb2.BadRequest(field_violations=violations),
        ):
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "in words")

    return answer


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def port(script):
    server, port = script.start()
    yield port
    server.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request, port):
    """Calls a method by name on either client; the answer, or the error raised."""

    async def run(method: str, *arguments: Any, **options: Any) -> Any:
        manage = method == "register_physician"
        if request.param == "blocking":
            with (ManageUsersClient if manage else PolicyClient)(f"127.0.0.1:{port}") as client:
                return getattr(client, method)(*arguments, **options)
        async with (AsyncManageUsersClient if manage else AsyncPolicyClient)(f"127.0.0.1:{port}") as client:
            return await getattr(client, method)(*arguments, **options)

    return run


CALLS = [
    ("check", ("mia", "dr-osei", "claim:view")),
    ("require", ("mia", "dr-osei", "claim:view")),
    ("check_many", ([Question(user="mia", physician="dr-osei", action="claim:view")],)),
    ("explain", ("mia", "dr-osei", "claim:view")),
    ("what_can", ("mia", "dr-osei")),
    ("who_can", ("claim:view", "dr-osei")),
    ("where_can", ("mia",)),
    ("register_physician", ("ama", "dr-osei", "ama")),
]


def test_every_method_of_the_contract_has_one_of_the_client():
    assert {method.name for service in SERVICES for method in service.methods} == METHOD_OF.keys()
    for name in METHOD_OF.values():
        assert any(hasattr(client, name) for client in (PolicyClient, ManageUsersClient))


@pytest.mark.parametrize(
    ("blocking", "asyncio"), [(PolicyClient, AsyncPolicyClient), (ManageUsersClient, AsyncManageUsersClient)]
)
def test_both_clients_have_the_same_surface(blocking, asyncio):
    def surface(client: type) -> dict[str, str]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {name: str(inspect.signature(method)) for name, method in methods if not name.startswith("_")}

    assert surface(blocking) == surface(asyncio)
    assert str(inspect.signature(blocking.__init__)) == str(inspect.signature(asyncio.__init__))


async def test_a_decision_is_true_only_when_allowed(script, ask):
    script.answers = [ALLOWED]
    decision = await ask(
        "check", "mia", "dr-osei", "claim:view", channel=Channel.MOBILE, min_revision=5, resource="claim/1"
    )
    assert decision
    assert (decision.reason, decision.revision, decision.role) == (Reason.GRANTED, 7, "data_entry")
    (asked,) = script.asked
    assert (asked.user, asked.physician, asked.action) == ("mia", "dr-osei", "claim:view")
    assert (asked.channel, asked.min_revision, asked.resource) == (pb.CHANNEL_MOBILE, 5, "claim/1")
    script.answers = [DENIED]
    denied = await ask("check", "mia", "dr-osei", "claim:view")
    assert not denied
    assert denied.role is None


async def test_require_raises_when_denied_and_returns_when_allowed(script, ask):
    script.answers = [ALLOWED]
    assert await ask("require", "mia", "dr-osei", "claim:view")
    script.answers = [DENIED]
    with pytest.raises(AccessDenied, match="mia may not claim:view for dr-osei: not granted") as refused:
        await ask("require", "mia", "dr-osei", "claim:view")
    assert refused.value.decision.decision_id == "d-2"
    assert not isinstance(refused.value, PolicyError)


@pytest.mark.parametrize(("method", "arguments"), CALLS)
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable),
        (grpc.StatusCode.PERMISSION_DENIED, CallerNotAllowed),
        (grpc.StatusCode.UNAUTHENTICATED, CallerNotAllowed),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, Refused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhausted),
        (grpc.StatusCode.ABORTED, ListChanged),
        (grpc.StatusCode.INTERNAL, PolicyError),
        (grpc.StatusCode.UNKNOWN, PolicyError),
        (grpc.StatusCode.CANCELLED, PolicyError),
    ],
)
async def test_every_error_is_typed_and_none_is_an_allow(script, ask, method, arguments, code, error):
    script.answers = [failing(code, "WHY", {"user": "is empty"})]
    with pytest.raises(PolicyError) as raised:
        await ask(method, *arguments)
    assert type(raised.value) is error
    assert (raised.value.code, raised.value.reason, raised.value.fields) == (code, "WHY", {"user": "is empty"})


@pytest.mark.parametrize(
    "lie",
    [
        pb.CheckResponse(allowed=True),
        pb.CheckResponse(allowed=True, reason=pb.REASON_NOT_GRANTED),
        pb.CheckResponse(allowed=True, reason=99),
        pb.CheckResponse(allowed=False, reason=pb.REASON_GRANTED),
    ],
)
async def test_an_answer_that_contradicts_itself_is_an_error(script, ask, lie):
    for method, response in (
        ("check", lie),
        ("require", lie),
        ("check_many", pb.BatchCheckResponse(answers=[lie])),
        ("explain", pb.ExplainResponse(decision=lie)),
        (
            "what_can",
            pb.ListActionsResponse(actions=[pb.ActionAccess(action="a:b", shown=lie.allowed, reason=lie.reason)]),
        ),
    ):
        script.answers = [response]
        with pytest.raises(ProtocolError):
            await ask(method, *dict(CALLS)[method])


async def test_a_reason_newer_than_the_client_is_a_deny(script, ask):
    script.answers = [pb.CheckResponse(allowed=False, reason=99)]
    decision = await ask("check", "mia", "dr-osei", "claim:view")
    assert not decision
    assert decision.reason is Reason.OTHER


@pytest.mark.parametrize("answers", [[], [ALLOWED], [ALLOWED] * 3])
async def test_a_batch_needs_an_answer_for_each_question(script, ask, answers):
    script.answers = [pb.BatchCheckResponse(answers=answers, revision=7)]
    questions = [Question(user="mia", physician="dr-osei", action="claim:view")] * 2
    with pytest.raises(ProtocolError, match="2 questions got"):
        await ask("check_many", questions)


async def test_a_batch_is_in_order_and_limited(script, ask):
    script.answers = [pb.BatchCheckResponse(answers=[ALLOWED, DENIED], revision=7)]
    questions = [Question(user=user, physician="dr-osei", action="claim:view") for user in ("a", "b")]
    assert [bool(decision) for decision in await ask("check_many", questions)] == [True, False]
    assert [check.user for check in script.asked[0].checks] == ["a", "b"]
    assert await ask("check_many", []) == []
    with pytest.raises(ValueError, match="1001 questions"):
        await ask("check_many", questions * 500 + questions[:1])
    assert len(script.asked) == 1


async def test_unavailable_is_tried_again_and_nothing_else_is(script, ask):
    script.answers = [failing(grpc.StatusCode.UNAVAILABLE), failing(grpc.StatusCode.UNAVAILABLE), ALLOWED]
    assert await ask("check", "mia", "dr-osei", "claim:view")
    assert len(script.asked) == 3
    for code in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    ):
        script.asked.clear()
        script.answers = [failing(code)]
        with pytest.raises(PolicyError):
            await ask("check", "mia", "dr-osei", "claim:view")
        assert len(script.asked) == 1


@pytest.mark.parametrize(("method", "arguments"), CALLS)
async def test_every_call_has_a_deadline(script, ask, method, arguments):
    script.answers = [failing(grpc.StatusCode.INTERNAL)]
    for options, most in (({}, 2.0), ({"timeout": 0.7}, 0.7)):
        with pytest.raises(PolicyError):
            await ask(method, *arguments, **options)
        assert script.deadlines[-1] is not None
        assert 0 < script.deadlines[-1] <= most + 0.1  # gRPC rounds the wire timeout up


async def test_a_service_that_does_not_answer_is_an_error_in_time(script, ask):
    script.answers = [_hang]
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await ask("check", "mia", "dr-osei", "claim:view", timeout=0.2)
    assert time.monotonic() - started < 2


def _hang(context: grpc.ServicerContext) -> pb.CheckResponse:
    import threading

    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(10)
    return ALLOWED


def users_page(names: str, revision: int, token: str) -> pb.ListUsersResponse:
    return pb.ListUsersResponse(
        users=[pb.UserAccess(user=name) for name in names], revision=revision, next_page_token=token
    )


async def test_a_list_is_all_of_its_pages(script, ask):
    script.answers = [users_page("ab", 7, "t1"), users_page("cd", 7, "t2"), users_page("e", 7, "")]
    found = await ask("who_can", "claim:view", "dr-osei")
    assert ("".join(access.user for access in found.users), found.revision) == ("abcde", 7)
    assert [asked.page_token for asked in script.asked] == ["", "t1", "t2"]
    assert {asked.action for asked in script.asked} == {"claim:view"}


async def test_a_list_that_changed_is_begun_again_and_never_mixed(script, ask):
    script.answers = [
        users_page("ab", 7, "t1"),
        failing(grpc.StatusCode.ABORTED, "LIST_CHANGED"),
        users_page("ax", 8, ""),
    ]
    found = await ask("who_can", "claim:view", "dr-osei")
    assert ([access.user for access in found.users], found.revision) == (["a", "x"], 8)
    script.answers = [users_page("ab", 7, "t1"), users_page("cd", 8, "")]
    with pytest.raises(ProtocolError, match="several revisions"):
        await ask("who_can", "claim:view", "dr-osei")


async def test_an_explanation_is_told_whole(script, ask):
    script.answers = [
        pb.ExplainResponse(
            decision=ALLOWED,
            sentence="because",
            roles=["desk"],
            path=[pb.Grant(subject="user:mia", role="desk")],
            rule=pb.Rule(subject="role:desk", physician="*", action="claim:view", effect="allow"),
        )
    ]
    found = await ask("explain", "mia", "dr-osei", "claim:view")
    assert found
    assert (found.sentence, found.path[0].role, found.rule.effect, found.missing) == ("because", "desk", "allow", None)


async def test_registering_answers_with_the_revision(script, ask):
    script.answers = [mu.RegisterPhysicianResponse(revision=12)]
    assert await ask("register_physician", "ama", "dr-osei", "ama", display_name="Dr. Osei") == 12
    assert script.asked[0].display_name == "Dr. Osei"


@pytest.mark.parametrize("target", ["policy.internal:50051", "10.0.0.1:50051", "dns:///policy:50051", "0.0.0.0:1"])
@pytest.mark.parametrize("client", [PolicyClient, AsyncPolicyClient, ManageUsersClient, AsyncManageUsersClient])
async def test_plain_text_stays_on_this_machine(target, client):
    with pytest.raises(ValueError, match="credentials"):
        client(target)


async def test_with_credentials_it_speaks_tls(script):
    authority = trustme.CA()
    server_certificate, own = authority.issue_cert("localhost"), authority.issue_cert("billing")

    def chain(certificate: trustme.LeafCert) -> bytes:
        return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)

    server, port = script.start(
        grpc.ssl_server_credentials(
            [(server_certificate.private_key_pem.bytes(), chain(server_certificate))],
            authority.cert_pem.bytes(),
            require_client_auth=True,
        )
    )
    script.answers = [ALLOWED]
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), own.private_key_pem.bytes(), chain(own))
    with PolicyClient(f"localhost:{port}", credentials=credentials) as client:
        assert client.check("mia", "dr-osei", "claim:view")
    async with AsyncPolicyClient(f"localhost:{port}", credentials=credentials) as client:
        assert await client.check("mia", "dr-osei", "claim:view")
    server.stop(None).wait()
