"""Where a client asks: what is given, else what the environment says; and what it says of an address that cannot be."""

import socket
import threading

import grpc
import pytest
import trustme
from policy_client import (
    AsyncManageUsersClient,
    AsyncPolicyClient,
    AuditClient,
    CallerNotAllowed,
    ClientNotUsable,
    ManageUsersClient,
    PolicyClient,
    PolicyError,
    SeedClient,
    ServiceUnavailable,
    WrongAddress,
    credentials_from_files,
)
from policy_client._pb import decision_pb2 as pb
from policy_client._pb import manage_users_pb2 as mu
from policy_client.targets import stays_here
from policy_client.testing import FakePolicyService

from clients.python.tests.scripted import failing

QUESTION = ("mia", "dr-osei", "claim:view")
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1")
CLIENTS = [PolicyClient, AsyncPolicyClient, ManageUsersClient, AsyncManageUsersClient, AuditClient, SeedClient]
DECIDING = (PolicyClient, AsyncPolicyClient)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("DECISION_ADDRESS", "MANAGEMENT_ADDRESS", "SERVER_CA_FILE", "CALLER_CERT_FILE", "CALLER_KEY_FILE"):
        monkeypatch.delenv(f"POLICY_{name}", raising=False)
    monkeypatch.delenv("POLICY_CALLER_TIMEOUT_SECONDS", raising=False)


@pytest.fixture(scope="module")
def fake():
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        yield fake


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An authority and what it signed, as files; and the server's side of it."""
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    own, server = authority.issue_cert("billing"), authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other-ca.pem")
    own.private_key_pem.write_to_path(folder / "key.pem")
    server.private_key_pem.write_to_path(folder / "other-key.pem")
    (folder / "cert.pem").write_bytes(_chain(own))
    (folder / "text.pem").write_text("no certificate")
    return folder, grpc.ssl_server_credentials(
        [(server.private_key_pem.bytes(), _chain(server))], authority.cert_pem.bytes(), require_client_auth=True
    )


@pytest.fixture
def tls_port(script, files):
    script.answers = [ALLOWED]
    server, port = script.start(files[1])
    yield port
    server.stop(None).wait()


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is empty"),
        ("policy.internal", "has no port: write HOST:PORT, as policy.internal:50051"),
        ("policy.internal:", "has no port"),
        ("dns:///policy.internal", "has no port"),
        ("10.0.0.7", "has no port"),
        ("localhost", "has no port"),
        ("[::1]", "has no port"),
        ("http://policy.internal:50051", "begins with http://, which has no place here: write HOST:PORT, as policy"),
        ("HTTPS://policy.internal:50051/", "begins with https://"),
        ("grpc://127.0.0.1:1", "begins with grpc://"),
        ("xds:///127.0.0.1:1", "begins with xds://"),
        ("127.0.0.1:50051/", "has a path: write HOST:PORT alone, as 127.0.0.1:50051"),
        ("::1:50051", "without brackets"),
        ("::1", "without brackets"),
        ("127.0.0.1:0", "ports are 1 to 65535"),
        ("127.0.0.1:65536", "ports are 1 to 65535"),
        ("127.0.0.1:５００５１", "is not HOST:PORT"),
        ("127.0.0.1:http", "is not HOST:PORT"),
        ("127.0.0.1:-1", "is not HOST:PORT"),
        ("user:word@127.0.0.1:1", "is not HOST:PORT"),
        (":50051", "is not HOST:PORT"),
        (" 127.0.0.1:50051", "leave that out"),
        ("127.0.0.1:50051\n", "leave that out"),
        ("127.0.0.1 :50051", "is not HOST:PORT"),
        ("unix:", "names no socket"),
        ("ipv4:127.0.0.1:1,10.0.0.1", "has no port"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_what_to_write(monkeypatch, client, address, words):
    with pytest.raises(ValueError, match="target") as refused:
        client(address)
    assert words in str(refused.value)
    monkeypatch.setenv(client.variable, address)
    with pytest.raises(ValueError, match=client.variable) as refused:
        client()
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:50051",
        "localhost:1",
        "LOCALHOST:1",
        "[::1]:50051",
        "dns:///localhost:50051",
        "ipv4:127.0.0.1:1,127.0.0.2:1",
        "ipv6:[::1]:1",
        "unix:/run/policy.sock",
        "unix:policy.sock",
        "unix:///run/policy.sock",
        "unix-abstract:policy",
    ],
)
def test_what_is_on_this_machine_needs_no_tls(address):
    PolicyClient(address).close()


@pytest.mark.parametrize(
    "address",
    [
        "policy.internal:1",
        "10.0.0.7:1",
        "[fd00::7]:1",
        "0.0.0.0:1",
        "localhost.example.org:1",
        "dns:policy.internal:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "dns:localhost.:1",
    ],
)
def test_what_is_elsewhere_is_never_asked_in_plain_text(address):
    assert not stays_here(address)
    with pytest.raises(ValueError, match="POLICY_SERVER_CA_FILE"):
        PolicyClient(address)


@pytest.mark.parametrize(
    "address", ["dns://192.0.2.1/localhost:1", "http://192.0.2.1/127.0.0.1:1", "xds:///127.0.0.1:1"]
)
def test_what_only_looks_like_this_machine_is_not(address):
    """With a name server of somebody else's, localhost is where they say."""
    with pytest.raises(ValueError, match="target"):
        PolicyClient(address)


async def test_the_environment_says_where_and_what_is_given_wins(monkeypatch, fake):
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", fake.decision_target)
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", fake.management_target)
    with PolicyClient() as policy, ManageUsersClient() as manage:
        assert policy.check("ama", "dr-osei", "claim:view")
        assert manage.list_members("ama", "dr-osei").members
    async with AsyncPolicyClient() as policy, AsyncManageUsersClient() as manage:
        assert await policy.check("ama", "dr-osei", "claim:view")
        assert (await manage.list_members("ama", "dr-osei")).members
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", "127.0.0.1:1")
    with PolicyClient(fake.decision_target) as policy:
        assert policy.check("ama", "dr-osei", "claim:view")


def test_the_environment_gives_the_files_of_tls(monkeypatch, files, tls_port, fake):
    folder, _ = files
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", f"127.0.0.1:{tls_port}")
    for name, file in (("SERVER_CA", "ca"), ("CALLER_CERT", "cert"), ("CALLER_KEY", "key")):
        monkeypatch.setenv(f"POLICY_{name}_FILE", str(folder / f"{file}.pem"))
    with PolicyClient() as policy:
        assert policy.check(*QUESTION)
    # None is plain text, said in so many words.
    with PolicyClient(fake.decision_target, credentials=None) as policy:
        assert policy.check("ama", "dr-osei", "claim:view")
    monkeypatch.setenv("POLICY_SERVER_CA_FILE", str(folder / "other-ca.pem"))
    given = credentials_from_files(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    with PolicyClient(credentials=given) as policy:
        assert policy.check(*QUESTION)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"CALLER_CERT": "cert"}, "POLICY_CALLER_CERT_FILE is given without POLICY_CALLER_KEY_FILE"),
        ({"CALLER_KEY": "key"}, "POLICY_CALLER_KEY_FILE is given without POLICY_CALLER_CERT_FILE"),
        ({"SERVER_CA": "nowhere"}, "cannot be read: No such file"),
        ({"SERVER_CA": "text"}, "holds no certificate in PEM"),
        ({"CALLER_CERT": "cert", "CALLER_KEY": "other-key"}, "do not belong together"),
        ({"CALLER_CERT": "text", "CALLER_KEY": "key"}, "are not a certificate and its key"),
    ],
)
def test_files_of_tls_that_cannot_be_used_are_named(monkeypatch, files, given, words):
    for name, file in given.items():
        monkeypatch.setenv(f"POLICY_{name}_FILE", str(files[0] / f"{file}.pem"))
    with pytest.raises(ValueError, match="POLICY_") as refused:
        PolicyClient()
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["SERVER_CA_FILE", "CALLER_CERT_FILE", "CALLER_TIMEOUT_SECONDS"])
def test_what_is_empty_in_the_environment_is_not_taken_for_nothing(monkeypatch, name):
    monkeypatch.setenv(f"POLICY_{name}", "")
    with pytest.raises(ValueError, match=f"POLICY_{name} is empty"):
        PolicyClient()


@pytest.mark.parametrize("client", [PolicyClient, AsyncPolicyClient])
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "2", True])
async def test_no_call_is_without_an_end(monkeypatch, client, seconds):
    with pytest.raises((ValueError, TypeError), match="timeout"):
        client(timeout=seconds)
    with pytest.raises((ValueError, TypeError), match="timeout"):
        await _asked(client(), "check", *QUESTION, timeout=seconds)
    monkeypatch.setenv("POLICY_CALLER_TIMEOUT_SECONDS", "soon" if seconds == "2" else str(seconds))
    with pytest.raises(ValueError, match="POLICY_CALLER_TIMEOUT_SECONDS"):
        client()


async def test_without_a_timeout_there_is_one(script, port):
    script.answers = [ALLOWED]
    with PolicyClient(f"127.0.0.1:{port}", timeout=None) as policy:
        assert policy.check(*QUESTION)
    assert script.deadlines[-1] < 2.1


async def test_the_other_planes_port_is_told(fake):
    for decisions, manage in ((PolicyClient, ManageUsersClient), (AsyncPolicyClient, AsyncManageUsersClient)):
        with pytest.raises(WrongAddress, match="looks like the management plane's port") as wrong:
            await _asked(decisions(fake.management_target), "check", *QUESTION)
        assert "POLICY_DECISION_ADDRESS" in str(wrong.value)
        with pytest.raises(WrongAddress, match="looks like the decision plane's port") as wrong:
            await _asked(manage(fake.decision_target), "list_members", "ama", "dr-osei")
        assert "POLICY_MANAGEMENT_ADDRESS" in str(wrong.value)


async def _asked(client, method, *arguments, **options):
    answer = getattr(client, method)(*arguments, **options)
    return await answer if isinstance(client, AsyncPolicyClient | AsyncManageUsersClient) else answer


def test_plain_text_at_a_port_with_tls_is_told(tls_port):
    with PolicyClient(f"127.0.0.1:{tls_port}") as policy, pytest.raises(ServiceUnavailable, match="does it speak TLS"):
        policy.check(*QUESTION)


def test_tls_at_a_port_without_it_is_told(files, fake):
    folder, _ = files
    credentials = credentials_from_files(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    with PolicyClient(fake.decision_target, credentials=credentials) as policy:
        with pytest.raises(ServiceUnavailable, match="speaks plain text, not TLS"):
            policy.check(*QUESTION)


@pytest.mark.parametrize(
    ("ca", "own", "words"),
    [
        ("other-ca", True, "not signed by whom this client trusts"),
        ("ca", False, "may not take this client's certificate, or want one"),
    ],
)
def test_certificates_that_are_not_taken_are_told(files, tls_port, ca, own, words):
    folder, _ = files
    pair = (folder / "cert.pem", folder / "key.pem") if own else (None, None)
    with PolicyClient(
        f"127.0.0.1:{tls_port}", credentials=credentials_from_files(folder / f"{ca}.pem", *pair)
    ) as policy:
        with pytest.raises(ServiceUnavailable, match=words):
            policy.check(*QUESTION)


def test_a_port_of_another_program_is_told():
    listening = socket.create_server(("127.0.0.1", 0))

    def speak_http():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=speak_http)
    thread.start()
    with PolicyClient(f"127.0.0.1:{listening.getsockname()[1]}") as policy:
        with pytest.raises(ServiceUnavailable, match="answers, but not in gRPC"):
            policy.check(*QUESTION)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_where_nobody_listens_is_told():
    with (
        PolicyClient("127.0.0.1:1") as policy,
        pytest.raises(ServiceUnavailable, match=r"nothing listens at 127\.0\.0\.1:1"),
    ):
        policy.check(*QUESTION)


async def test_a_closed_client_says_so_and_is_closed_twice(fake):
    policy = PolicyClient(fake.decision_target)
    assert not policy.check(*QUESTION)
    policy.close()
    policy.close()
    with pytest.raises(ClientNotUsable, match="closed") as raised:
        policy.check(*QUESTION)
    assert isinstance(raised.value, PolicyError)
    asking = AsyncPolicyClient(fake.decision_target)
    assert not await asking.check(*QUESTION)
    await asking.close()
    await asking.close()
    with pytest.raises(ClientNotUsable, match="closed"):
        await asking.check(*QUESTION)


def test_an_asyncio_client_outlives_its_event_loop(fake):
    """Made outside of any loop, as at import, and used in one run after another."""
    import asyncio

    client = AsyncPolicyClient(fake.decision_target)
    for _ in range(2):
        assert asyncio.run(client.check("ama", "dr-osei", "claim:view"))
    first = asyncio.new_event_loop()
    assert first.run_until_complete(client.check("ama", "dr-osei", "claim:view"))
    with pytest.raises(ClientNotUsable, match="event loop"):
        asyncio.run(client.check("ama", "dr-osei", "claim:view"))
    first.run_until_complete(client.close())
    first.close()


def test_one_client_serves_many_threads_that_begin_at_once(fake):
    with PolicyClient(fake.decision_target, timeout=30) as policy:
        start, found = threading.Barrier(16), []

        def ask():
            start.wait()
            found.append(bool(policy.check("ama", "dr-osei", "claim:view")))

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [True] * 16


async def test_details_that_cannot_be_read_are_still_an_error_of_the_clients(script, ask):
    def garbage(context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    script.answers = [garbage]
    with pytest.raises(CallerNotAllowed, match="no"):
        await ask("check", *QUESTION)


async def test_an_error_with_much_to_say_arrives_whole(script, ask):
    fields = {f"checks[{place}].user": "is not a username" for place in range(400)}
    script.answers = [failing(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", fields)]
    with pytest.raises(PolicyError) as raised:
        await ask("check", *QUESTION)
    assert (raised.value.reason, raised.value.fields) == ("INVALID_REQUEST", fields)


async def test_a_reason_of_a_newer_service_is_handled_by_its_code(script, ask):
    script.answers = [failing(grpc.StatusCode.PERMISSION_DENIED, "OF_TOMORROW")]
    with pytest.raises(CallerNotAllowed) as raised:
        await ask("list_members", "ama", "dr-osei")
    assert raised.value.reason == "OF_TOMORROW"


async def test_every_attempt_of_a_write_carries_one_key(script, ask):
    script.answers = [failing(grpc.StatusCode.UNAVAILABLE), mu.RevokeAccessResponse(revision=7)]
    assert await ask("revoke_access", "ama", "dr-osei", "mia") == 7
    first, second = script.asked
    assert first.idempotency_key
    assert first == second
