"""Several addresses: asked in turn, each known by its own name, and one that fails costs no check."""

import threading
from typing import Any

import grpc
import pytest
import trustme
from policy_client import (
    AsyncAuditClient,
    AsyncManageUsersClient,
    AsyncPolicyClient,
    AuditClient,
    ClientNotUsable,
    DeadlineExceeded,
    ManageUsersClient,
    PolicyClient,
    PolicyError,
    ServiceUnavailable,
    credentials_from_files,
)
from policy_client._pb import audit_pb2 as au
from policy_client._pb import decision_pb2 as pb
from policy_client._pb import manage_users_pb2 as mu
from policy_client.targets import may_be_many, read_addresses, stays_here
from policy_client.turns import MOST_TOKENS, Turns

from clients.python.tests.scripted import Scripted, failing
from tests.support.patience import PATIENCE

QUESTION = ("mia", "dr-osei", "claim:view")
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1")
LOCAL = (("grpc.use_local_subchannel_pool", 1),)


def hang(context: grpc.ServicerContext) -> pb.CheckResponse:
    """An answer that does not come before nobody waits for it."""
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(PATIENCE)
    return ALLOWED


@pytest.fixture
def two():
    """Two servers that answer yes, and their addresses."""
    scripts = [Scripted(), Scripted()]
    started = []
    for script in scripts:
        script.answers = [ALLOWED]
        started.append(script.start())
    yield scripts, [f"127.0.0.1:{port}" for _, port in started]
    for server, _ in started:
        server.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
def driver(request):
    """Makes one call of either client of a kind, and again with the same one."""

    class Driver:
        def __init__(self) -> None:
            self.client: Any = None

        def open(self, kind: type, target: Any, **options: Any) -> "Driver":
            twin = {
                PolicyClient: AsyncPolicyClient,
                ManageUsersClient: AsyncManageUsersClient,
                AuditClient: AsyncAuditClient,
            }
            made = kind if request.param == "blocking" else twin[kind]
            self.client = made(target, **{"timeout": PATIENCE, "options": LOCAL, **options})
            return self

        async def __call__(self, method: str, *given: Any, **named: Any) -> Any:
            answer = getattr(self.client, method)(*given, **named)
            if request.param == "blocking":
                return list(answer) if hasattr(answer, "__next__") else answer
            return [part async for part in answer] if hasattr(answer, "__anext__") else await answer

        async def close(self) -> None:
            if self.client is not None:
                closing = self.client.close()
                if request.param == "asyncio":
                    await closing

    return Driver()


@pytest.fixture(autouse=True)
async def _closed(driver):
    yield
    await driver.close()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("127.0.0.1:1,127.0.0.1:2", ("127.0.0.1:1", "127.0.0.1:2")),
        (["127.0.0.1:1", "[::1]:2"], ("127.0.0.1:1", "[::1]:2")),
        (("localhost:1", "unix:/run/a,b"), ("localhost:1", "unix:/run/a,b")),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", ("ipv4:127.0.0.1:1", "127.0.0.2:1")),
        ("ipv6:[::1]:1,dns:///a.internal:2", ("ipv6:[::1]:1", "dns:///a.internal:2")),
        ("a:1,b:2,a:1", ("a:1", "b:2")),
    ],
)
def test_addresses_are_read_from_a_text_or_a_list(monkeypatch, given, read):
    assert read_addresses(given, "target") == read
    if isinstance(given, str) and stays_here(given):
        monkeypatch.setenv("POLICY_DECISION_ADDRESS", given)
        assert PolicyClient()._reach.addresses == read


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("a:1,", "is empty in"),
        ("a:1,,b:2", "is empty in"),
        ("a:1, b:2", "leave that out"),
        ("a:1,b", "'b' has no port"),
        ("a:1,http://b:2", "begins with http://"),
        ("ipv4:a.internal:1", "is no address of ipv4"),
        ("ipv4:[::1]:1", "is no address of ipv4"),
        ([], "is an empty list"),
        (["a:1", ""], "is empty in"),
        (["a:1", None], "NoneType"),
        (7, "int"),
        (",".join(f"a:{port}" for port in range(1, 34)), "at most 32"),
    ],
)
def test_a_list_with_one_wrong_address_is_refused_whole(given, words):
    with pytest.raises((ValueError, TypeError), match="target") as refused:
        PolicyClient(given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "given", ["127.0.0.1:1,10.0.0.1:1", ["localhost:1", "policy.internal:1"], "unix:/a,[fd00::1]:1"]
)
@pytest.mark.parametrize("client", [PolicyClient, AsyncManageUsersClient])
def test_one_address_elsewhere_makes_the_whole_list_need_tls(client, given):
    with pytest.raises(ValueError, match="is not on this machine, so it needs TLS"):
        client(given)


def test_health_is_watched_where_there_may_be_another_to_ask():
    assert [may_be_many(one) for one in ("policy.internal:1", "dns:///policy:1")] == [True] * 2
    here = ("localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/a", "ipv4:10.0.0.1:1", "dns:///10.0.0.1:1")
    assert not any(map(may_be_many, here))


async def test_they_are_asked_in_turn(two, driver):
    scripts, addresses = two
    ask = driver.open(PolicyClient, addresses)
    for _ in range(10):
        assert await ask("check", *QUESTION)
    assert [len(script.asked) for script in scripts] == [5, 5]


async def test_the_next_is_asked_where_one_is_away_or_cannot_answer(two, driver):
    scripts, addresses = two
    scripts[0].answers = [failing(grpc.StatusCode.UNAVAILABLE)]
    ask = driver.open(PolicyClient, ["127.0.0.1:1", *addresses])
    driver.client._turns.clock = lambda: 0.0
    for _ in range(12):
        assert await ask("check", *QUESTION)
    assert [len(script.asked) for script in scripts] == [1, 12], "one that failed a moment ago is not asked first"


async def test_where_all_are_away_it_is_said_in_the_end(driver):
    with pytest.raises(ServiceUnavailable, match=r"nothing listens at 127\.0\.0\.1:[12]"):
        await driver.open(PolicyClient, "127.0.0.1:1,127.0.0.1:2")("check", *QUESTION)


@pytest.mark.parametrize("alone", [True, False])
async def test_what_a_server_cancelled_is_asked_again(two, driver, alone):
    """Nobody here cancelled: it stops, or has too much to do."""
    scripts, addresses = two
    cancelled = failing(grpc.StatusCode.CANCELLED)
    scripts[0].answers = [cancelled, cancelled, ALLOWED]
    scripts[1].answers = [cancelled, cancelled, ALLOWED]
    ask = driver.open(PolicyClient, addresses[:1] if alone else addresses)
    assert await ask("check", *QUESTION)
    assert sum(len(script.asked) for script in scripts) == (3 if alone else 5)
    for script in scripts:
        script.answers = [cancelled]
    with pytest.raises(ServiceUnavailable):
        await ask("check", *QUESTION)


@pytest.mark.parametrize("answer", [failing(code) for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND)])
async def test_an_answer_that_is_an_error_is_not_asked_for_elsewhere(two, driver, answer):
    scripts, addresses = two
    for script in scripts:
        script.answers = [answer]
    with pytest.raises(PolicyError):
        await driver.open(PolicyClient, addresses)("check", *QUESTION)
    assert sum(len(script.asked) for script in scripts) == 1


async def test_a_check_leaves_time_for_another_where_one_hangs_and_a_write_does_not(two, driver):
    scripts, addresses = two
    scripts[0].answers = [hang]
    ask = driver.open(PolicyClient, addresses)
    driver.client._turns.clock = lambda: 0.0
    assert await ask("check", *QUESTION, timeout=4.0)
    assert len(scripts[1].asked) == 1
    before = len(scripts[0].asked)
    assert await ask("check", *QUESTION, timeout=PATIENCE)
    assert len(scripts[0].asked) == before <= 1, "what did not answer is not asked first"
    await driver.close()
    scripts[1].answers = scripts[0].answers
    before = sum(len(script.asked) for script in scripts)
    with pytest.raises(DeadlineExceeded):
        await driver.open(ManageUsersClient, addresses)("revoke_access", "ama", "dr-osei", "mia", timeout=0.5)
    assert sum(len(script.asked) for script in scripts) <= before + 1, "it may be at work on it"


async def test_a_write_is_asked_elsewhere_with_its_own_key(two, driver):
    scripts, addresses = two
    for script in scripts:
        script.answers = [failing(grpc.StatusCode.UNAVAILABLE), mu.RevokeAccessResponse(revision=9)]
    assert await driver.open(ManageUsersClient, addresses)("revoke_access", "ama", "dr-osei", "mia") == 9
    keys = [asked.idempotency_key for script in scripts for asked in script.asked]
    assert (len(keys), len({*keys})) == (3, 1)


async def test_the_pages_of_a_list_are_asked_of_one_address_while_it_answers(two, driver):
    """What a page's token means is known where it was made, whoever else may know it too."""
    scripts, addresses = two

    def pages(context: grpc.ServicerContext) -> pb.ListUsersResponse:
        more = sum(len(script.asked) for script in scripts) < 4
        return pb.ListUsersResponse(revision=7, next_page_token="t" if more else "")

    for script in scripts:
        script.answers = [pages]
    ask = driver.open(PolicyClient, addresses)
    await ask("who_can", "claim:view", "dr-osei")
    assert [len(script.asked) for script in scripts] == [4, 0]
    scripts[0].answers, scripts[1].answers = [pages, failing(grpc.StatusCode.UNAVAILABLE)], [pages]
    await driver.close()
    scripts[0].asked.clear()
    await driver.open(PolicyClient, addresses)("who_can", "claim:view", "dr-osei")
    assert [len(script.asked) for script in scripts] == [2, 2]


async def test_a_stream_begins_elsewhere_only_before_its_first_part(two, driver):
    def part_then_away(context: grpc.ServicerContext) -> Any:
        yield au.VerifyLogResponse()
        failing(grpc.StatusCode.UNAVAILABLE)(context)

    scripts, addresses = two
    ask = driver.open(AuditClient, addresses)
    scripts[0].answers, scripts[1].answers = [failing(grpc.StatusCode.UNAVAILABLE)], [part_then_away]
    with pytest.raises(PolicyError):
        await ask("verify")
    assert [len(script.asked) for script in scripts] == [1, 1]


def test_what_the_caller_closes_is_not_asked_again(two):
    scripts, addresses = two
    reached = threading.Event()

    def reached_and_hang(context: grpc.ServicerContext) -> Any:
        reached.set()
        return hang(context)

    for script in scripts:
        script.answers = [reached_and_hang]
    for target in (addresses[:1], addresses):
        reached.clear()
        for script in scripts:
            script.asked.clear()
        client, raised = PolicyClient(target, timeout=PATIENCE, options=LOCAL), []

        def ask(client: PolicyClient = client, raised: list[Exception] = raised) -> None:
            try:
                client.check(*QUESTION)
            except PolicyError as error:
                raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert reached.wait(PATIENCE)
        client.close()
        thread.join(PATIENCE)
        assert isinstance(raised[0], ClientNotUsable)
        assert sum(len(script.asked) for script in scripts) == 1


async def test_each_address_is_known_by_its_own_name(tmp_path, driver):
    """With TLS: two names, two certificates; and none of them may answer at the other's address."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    scripts, servers, ports = [], [], []
    for name in ("localhost", "127.0.0.1"):
        own = authority.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in own.cert_chain_pems)
        script = Scripted()
        script.answers = [ALLOWED]
        server, port = script.start(grpc.ssl_server_credentials([(own.private_key_pem.bytes(), chain)]))
        scripts.append(script), servers.append(server), ports.append(port)
    trusting = {"credentials": credentials_from_files(tmp_path / "ca.pem")}
    ask = driver.open(PolicyClient, f"localhost:{ports[0]},127.0.0.1:{ports[1]}", **trusting)
    for _ in range(4):
        assert await ask("check", *QUESTION)
    assert [len(script.asked) for script in scripts] == [2, 2]
    await driver.close()
    swapped = driver.open(PolicyClient, f"localhost:{ports[1]},127.0.0.1:{ports[0]}", **trusting)
    with pytest.raises(ServiceUnavailable, match="is of another name"):
        await swapped("check", *QUESTION)
    for server in servers:
        server.stop(None).wait()


class Failed:
    """As gRPC's errors are asked."""

    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.code = lambda: code


def test_attempts_are_few_and_end_with_the_calls_time():
    now = [0.0]
    turns = Turns(2, clock=lambda: now[0])
    asking, asked, pauses = turns.begin(10.0), [], []
    while True:
        asked.append(asking.at)
        if (pause := asking.again(Failed())) is None:
            break
        pauses.append(pause)
    assert asked == [0, 1, 0, 1, 0, 1]
    assert pauses[0] == 0.0
    assert 0.3 < sum(pauses) < 1.0
    asking = turns.begin(0.02)
    assert asking.again(Failed()) == 0.0
    assert asking.again(Failed()) is None, "the pause would outlast the call"
    now[0] += 5
    assert turns.begin(3.0).left == 3.0
    shared = turns.begin(3.0, shared=True)
    assert shared.left == 1.5
    assert shared.again(Failed(grpc.StatusCode.DEADLINE_EXCEEDED)) == 0.0
    assert shared.left == 3.0
    assert shared.again(Failed(grpc.StatusCode.DEADLINE_EXCEEDED)) is None


def test_of_those_that_failed_one_call_finds_out():
    now = [0.0]
    turns = Turns(3, clock=lambda: now[0])
    asking = turns.begin(1.0)
    assert (asking.at, asking.again(Failed()), asking.at) == (0, 0.0, 1)
    asking.answered()
    assert {turns.begin(1.0).at for _ in range(6)} == {1, 2}
    now[0] += 1.5
    assert [turns.begin(1.0).at for _ in range(9)].count(0) == 1
    turns.answered(0)
    assert [turns.begin(1.0).at for _ in range(9)].count(0) == 3


def test_in_a_long_outage_calls_are_not_tried_again_and_after_it_they_are():
    now = [0.0]
    turns = Turns(2, clock=lambda: now[0])
    attempts = 0
    for _ in range(MOST_TOKENS):
        asking, attempts = turns.begin(10.0), attempts + 1
        while asking.again(Failed()) is not None:
            attempts += 1
    assert attempts < MOST_TOKENS * 1.6, "six times as many attempts as calls would be a storm"
    assert turns.begin(10.0).again(Failed()) is None
    for _ in range(10 * MOST_TOKENS):
        turns.answered(0)
    assert turns.begin(10.0).again(Failed()) is not None
