"""The client against a real gRPC server that says what the test tells it to: blocking and asyncio alike."""

import grpc
import pytest
import trustme
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
    RoleDefinition,
    ServiceUnavailable,
)
from policy_client._pb import decision_pb2 as pb

from clients.python.tests.scripted import failing
from tests.support.patience import PATIENCE, patiently

ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1", role="data_entry")
DENIED = pb.CheckResponse(allowed=False, reason=pb.REASON_NOT_GRANTED, revision=7, decision_id="d-2")

CALLS = [
    ("check", ("mia", "dr-osei", "claim:view")),
    ("require", ("mia", "dr-osei", "claim:view")),
    ("check_many", ([Question(user="mia", physician="dr-osei", action="claim:view")],)),
    ("explain", ("mia", "dr-osei", "claim:view")),
    ("what_can", ("mia", "dr-osei")),
    ("who_can", ("claim:view", "dr-osei")),
    ("where_can", ("mia",)),
    ("register_physician", ("ama", "dr-osei", "ama")),
    ("invite_user", ("ama", "dr-osei", "ellie@example.org", "ellie")),
    ("list_invitations", ("ama", "dr-osei")),
    ("resend_invitation", ("ama", "dr-osei", "i-1")),
    ("cancel_invitation", ("ama", "dr-osei", "i-1")),
    ("accept_invitation", ("t0ken",)),
    ("list_members", ("ama", "dr-osei")),
    ("get_permissions", ("ama", "dr-osei", "mia")),
    ("update_permissions", ("ama", "dr-osei", "mia")),
    ("revoke_access", ("ama", "dr-osei", "mia")),
    ("create_role", ("ama", "dr-osei", "desk", RoleDefinition(allow=("claim:view",)))),
    ("update_role", ("ama", "dr-osei", "desk", RoleDefinition(allow=("claim:view",)))),
    ("delete_role", ("ama", "dr-osei", "desk")),
    ("list_roles", ("ama", "dr-osei")),
]


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
        (grpc.StatusCode.CANCELLED, ServiceUnavailable),
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
    listing = method in {"who_can", "where_can", "list_invitations"}
    for options, most in (({}, 15.0 if listing else 2.0), ({"timeout": 77.0}, 77.0), ({"timeout": 0.7}, 0.7)):
        seen = len(script.deadlines)
        async with patiently():
            # A call that a halt of the whole machine kept from the server says nothing.
            while len(script.deadlines) == seen:
                with pytest.raises(PolicyError):
                    await ask(method, *arguments, as_shipped=True, **options)
        assert script.deadlines[-1] is not None
        assert 0 < script.deadlines[-1] <= most + 0.1  # gRPC rounds the wire timeout up
        if most == 77.0:
            assert script.deadlines[-1] > 15.0, "it is the limit of whoever asks that holds"


async def test_a_service_that_does_not_answer_is_an_error(script, ask):
    script.answers = [_hang]
    with pytest.raises(DeadlineExceeded):
        await ask("check", "mia", "dr-osei", "claim:view", timeout=0.2)


def _hang(context: grpc.ServicerContext) -> pb.CheckResponse:
    import threading

    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(PATIENCE)
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
    with PolicyClient(f"localhost:{port}", credentials=credentials, timeout=PATIENCE) as client:
        assert client.check("mia", "dr-osei", "claim:view")
    async with AsyncPolicyClient(f"localhost:{port}", credentials=credentials, timeout=PATIENCE) as client:
        assert await client.check("mia", "dr-osei", "claim:view")
    server.stop(None).wait()
