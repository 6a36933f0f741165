"""Who a client is to the service: its token and certificate, renewed while it is at work, never shown."""

import asyncio
import json
import logging
import os
import threading
import traceback

import grpc
import pytest
import trustme
from cryptography import x509
from policy_client import AsyncPolicyClient, Identity, PolicyClient, PolicyError, SeedClient, Token
from policy_client import identity as identities
from policy_client._pb import decision_pb2 as pb
from policy_client.speaking import Speaking

from clients.python.tests.scripted import Scripted, failing
from tests.support.patience import PATIENCE, until

QUESTION = ("mia", "dr-osei", "claim:view")
ALLOWED = pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=7, decision_id="d-1")
SECRET = "polsvc_Zm9vYmFy.s3cr3t-_~+/=="


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in [name for name in os.environ if name.startswith("POLICY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(identities, "_SECONDS", 0.0)


class Heard:
    """What a server hears of its callers."""

    def __init__(self, script):
        self.tokens: list[list[str]] = []
        self.certificates: list[int] = []
        script.answers = [self.answer]

    def answer(self, context):
        self.tokens.append([value for key, value in context.invocation_metadata() if key == "authorization"])
        for pem in context.auth_context().get("x509_pem_cert", ()):
            self.certificates.append(x509.load_pem_x509_certificate(pem).serial_number)
        return ALLOWED


@pytest.fixture
def heard(script):
    return Heard(script)


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


class Folder:
    """An authority, and this caller's pair in files that can be written anew."""

    def __init__(self, path):
        self.path, self.authority = path, trustme.CA()
        self.ca, self.cert, self.key = path / "ca.pem", path / "cert.pem", path / "key.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        server = self.authority.issue_cert("localhost", "127.0.0.1")
        self.server = grpc.ssl_server_credentials(
            [(server.private_key_pem.bytes(), _chain(server))],
            self.authority.cert_pem.bytes(),
            require_client_auth=True,
        )
        self.renew()

    def renew(self) -> int:
        """A new pair; its number."""
        own = self.authority.issue_cert("billing")
        replaced(self.cert, _chain(own))
        replaced(self.key, own.private_key_pem.bytes())
        return x509.load_pem_x509_certificates(_chain(own))[0].serial_number

    @property
    def files(self):
        return {"ca_file": self.ca, "cert_file": self.cert, "key_file": self.key}


def replaced(file, content: bytes) -> None:
    beside = file.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(file)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def tls_port(script, heard, folder):
    server, port = script.start(folder.server)
    yield port
    server.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
def asking(request):
    """A client of either kind, and how it asks."""
    return PolicyClient if request.param == "blocking" else AsyncPolicyClient


async def check(client) -> bool:
    answer = client.check(*QUESTION)
    return bool(await answer if isinstance(client, AsyncPolicyClient) else answer)


async def end(client) -> None:
    done = client.close()
    if done is not None:
        await done


async def test_a_token_goes_with_every_call_over_tls_and_on_this_machine(asking, script, heard, port, folder):
    server, tls = script.start(folder.server)
    for target, identity in (
        (f"127.0.0.1:{port}", Identity(token=Token(SECRET))),
        (f"127.0.0.1:{tls}", Identity(**folder.files, token=Token(SECRET))),
    ):
        client = asking(target, credentials=identity, timeout=PATIENCE)
        assert await check(client)
        assert await check(client)
        await end(client)
    assert heard.tokens == [[f"Bearer {SECRET}"]] * 4
    server.stop(None).wait()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
async def test_health_checks_of_a_connection_bear_it_too(kind, folder):
    """A service tells no stranger how it is; without the token gRPC would call the connection dead for ever."""
    watched, token = [], f"Bearer {SECRET}"

    def watch(_, context):
        watched.append(dict(context.invocation_metadata()).get("authorization"))
        if watched[-1] != token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "nobody knows you")
        yield b"\x08\x01"  # SERVING
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait(PATIENCE)

    script = Scripted()
    heard = Heard(script)
    server, port = script.start(
        folder.server,
        grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Watch": grpc.unary_stream_rpc_method_handler(watch)}
        ),
    )
    config = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}})
    opening = grpc.secure_channel if kind == "blocking" else grpc.aio.secure_channel
    channel = Speaking(
        Identity(**folder.files, token=Token(SECRET)),
        lambda credentials: opening(f"127.0.0.1:{port}", credentials, (("grpc.service_config", config),)),
    )
    method = channel.unary_unary(
        "/policy.v1.DecisionService/Check",
        request_serializer=pb.CheckRequest.SerializeToString,
        response_deserializer=pb.CheckResponse.FromString,
    )
    reply = method(pb.CheckRequest(), timeout=PATIENCE)
    assert (await reply if kind == "asyncio" else reply).allowed
    assert (watched, heard.tokens) == ([token], [[token]])
    closed = channel.close()
    if closed is not None:
        await closed
    server.stop(None).wait()


def test_streams_and_clients_made_of_a_client_bear_it_too(script, heard, port):
    with PolicyClient(f"127.0.0.1:{port}", credentials=Identity(token=Token(SECRET)), timeout=PATIENCE) as policy:
        with policy.on(f"127.0.0.1:{port}", SeedClient) as seeds:
            script.answers = [lambda context: heard.answer(context) and ()]
            assert list(seeds.everything()) == []
    assert heard.tokens == [[f"Bearer {SECRET}"]]


@pytest.mark.parametrize("target", ["policy.internal:1", "10.0.0.7:1", "dns:policy.internal:1", "0.0.0.0:1"])
def test_a_token_never_leaves_this_machine_in_plain_text(asking, target):
    with pytest.raises(ValueError, match="so it needs TLS") as refused:
        asking(target, credentials=Identity(token=Token(SECRET)))
    assert SECRET not in str(refused.value)


def test_without_a_token_nothing_is_sent(script, heard, port):
    with PolicyClient(f"127.0.0.1:{port}", timeout=PATIENCE) as policy:
        assert policy.check(*QUESTION)
    assert heard.tokens == [[]]


async def test_a_token_file_is_read_again_when_it_changes(asking, heard, port, tmp_path, caplog):
    file = tmp_path / "token"
    file.write_text("first\n")
    file.chmod(0o600)
    client = asking(f"127.0.0.1:{port}", credentials=Identity(token=Token.in_file(file)), timeout=PATIENCE)
    assert await check(client)
    replaced(file, b"second\r\n")
    assert await check(client)
    # While it is written, or away, the one before is good.
    for broken in (b"", b"half a\ntoken", None):
        if broken is None:
            file.unlink()
        else:
            replaced(file, broken)
        assert await check(client)
        assert await check(client)
    replaced(file, b"third")
    assert await check(client)
    await end(client)
    said = ["first", *["second"] * 7, "third"]
    assert heard.tokens == [[f"Bearer {token}"] for token in said]
    told = [record.getMessage() for record in caplog.records if record.name == "policy_client"]
    assert len(told) == 3, "each fault is told once"
    assert all(str(file) in words for words in told)
    assert "half a" not in caplog.text


async def test_a_token_is_in_no_error_repr_or_log(asking, script, port, caplog):
    caplog.set_level(logging.DEBUG)
    script.answers = [failing(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")]
    token = Token(SECRET)
    identity = Identity(token=token)
    client = asking(f"127.0.0.1:{port}", credentials=identity, timeout=PATIENCE)
    with pytest.raises(PolicyError) as raised:
        await check(client)
    said = "".join(traceback.format_exception(raised.value))
    for words in (said, repr(token), str(token), repr(identity), repr(client), repr(vars(client)), caplog.text):
        assert SECRET not in words
        assert "s3cr3t" not in words
    await end(client)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("two words", "is no token"),
        ("line\nline", "is no token"),
        ("tökən", "is no token"),
        ("Bearer abc", "is no token"),
        ("a" * 5_000, "longer than 4,096"),
        ("=", "is no token"),
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as refused:
        Token(text)
    (tmp_path / "token").write_text(text)
    with pytest.raises(ValueError, match=words) as of_file:
        Token.in_file(tmp_path / "token")
    for said in (str(refused.value), str(of_file.value)):
        assert not text or text[:9] not in said
    assert str(tmp_path) in str(of_file.value)


@pytest.mark.parametrize("given", [b"bytes", SECRET, 7])
def test_what_is_of_another_kind_is_refused_and_not_repeated(given):
    with pytest.raises(TypeError) as refused:
        Identity(token=given)
    assert "s3cr3t" not in str(refused.value)
    if not isinstance(given, str):
        with pytest.raises(TypeError):
            Token(given)


def test_a_token_file_that_everybody_can_read_is_told(tmp_path, caplog):
    file = tmp_path / "token"
    file.write_text("abc")
    file.chmod(0o644)
    Token.in_file(file)
    assert "can be read by everybody on this machine" in caplog.text
    assert "abc" not in caplog.text
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        Token.in_file(tmp_path / "nowhere")


async def test_a_new_certificate_is_shown_by_new_connections_and_calls_in_hand_end_by_the_old(
    asking, script, heard, tls_port, folder
):
    client = asking(f"127.0.0.1:{tls_port}", credentials=Identity(**folder.files), timeout=PATIENCE)
    assert await check(client)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(context):
        begun.set()
        go_on.wait(PATIENCE)
        return heard.answer(context)

    script.answers = [slowly, heard.answer]

    async def in_hand() -> bool:
        if isinstance(client, AsyncPolicyClient):
            return await check(client)
        return bool(await asyncio.to_thread(client.check, *QUESTION))

    slow = asyncio.create_task(in_hand())
    await asyncio.to_thread(begun.wait, PATIENCE)
    second = folder.renew()
    assert await check(client)
    assert heard.certificates[-1] == second
    go_on.set()
    assert await slow
    assert heard.certificates[-1] != second
    assert await check(client)
    assert heard.certificates[-1] == second
    await end(client)


async def test_files_that_cannot_be_used_leave_the_client_as_it_was(asking, heard, tls_port, folder, caplog):
    first = folder.renew()
    client = asking(f"127.0.0.1:{tls_port}", credentials=Identity(**folder.files), timeout=PATIENCE)
    kept = folder.key.read_bytes()
    for broken in (b"", b"no key", folder.authority.issue_cert("x").private_key_pem.bytes()):
        replaced(folder.key, broken)
        for _ in range(3):
            assert await check(client)
    folder.key.unlink()
    assert await check(client)
    assert set(heard.certificates) == {first}
    told = [record.getMessage() for record in caplog.records if record.name == "policy_client"]
    assert 1 <= len(told) <= 3
    assert all("key_file" in words for words in told)
    replaced(folder.key, kept)
    second = folder.renew()

    async def renewed() -> bool:
        assert await check(client)
        return heard.certificates[-1] == second

    await until(renewed)
    await end(client)
