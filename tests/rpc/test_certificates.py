"""Certificates, keys and authorities are renewed while serving, on both planes, without a failed call."""

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from policy_service.app import open_app
from policy_service.errors import StartError
from policy_service.metrics import registry
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc import certificates, server, tls_files
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached, register
from tests.support.patience import patiently, until
from tests.support.rpc import Refused, Wire

MEMBERS = mu.ListMembersRequest(actor="olive", physician="dr-a")
VIEW = pb.CheckRequest(user="olive", physician="dr-a", action="claim:view")
FILES = ("cert.pem", "key.pem", "ca.pem")


def chain(own: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in own.cert_chain_pems)


class Mounted:
    """Three files as Kubernetes mounts a secret: links into a folder that is itself swapped by a link."""

    def __init__(self, folder):
        self.folder, self.turn = folder, 0
        self.authority = trustme.CA()
        self.swap(*self.made(self.authority))
        for name in FILES:
            (folder / name).symlink_to(f"..data/{name}")

    @staticmethod
    def made(authority, *trusted, **more) -> tuple[bytes, bytes, bytes]:
        """A new pair, and the authorities to trust, which are its own unless others are named."""
        own = authority.issue_cert("localhost", "127.0.0.1", **more)
        bundle = b"".join(one.cert_pem.bytes() for one in trusted or (authority,))
        return chain(own), own.private_key_pem.bytes(), bundle

    def swap(self, *contents: bytes) -> None:
        """All three at once."""
        self.turn += 1
        new = self.folder / f"..{self.turn}"
        new.mkdir()
        for name, content in zip(FILES, contents, strict=True):
            (new / name).write_bytes(content)
        (self.folder / "..new").symlink_to(new.name)
        (self.folder / "..new").replace(self.folder / "..data")

    def now(self) -> tuple[bytes, ...]:
        return tuple((self.folder / name).read_bytes() for name in FILES)

    def settings(self, dsn):
        names = ("tls_cert_file", "tls_key_file", "tls_client_ca_file")
        return settings_for(dsn, **{name: self.folder / file for name, file in zip(names, FILES, strict=True)})


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(certificates, "SECONDS", 0.01)


@pytest.fixture
def mounted(tmp_path):
    return Mounted(tmp_path)


@contextlib.asynccontextmanager
async def serving(mounted, store, database, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(mounted.settings(database)) as opened:
        await reached(opened, await register(opened, "dr-a", "olive"))
        yield opened


@pytest.fixture
async def app(mounted, store, database, seed):
    async with serving(mounted, store, database, seed) as opened:
        yield opened


def wire(port, trusted: bytes, own: trustme.LeafCert) -> Wire:
    """On a connection of its own."""
    credentials = grpc.ssl_channel_credentials(trusted, own.private_key_pem.bytes(), chain(own))
    options = (("grpc.use_local_subchannel_pool", 1),)
    return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials, options))


async def shown_at(port) -> bytes:
    """The certificate that a new connection is shown, in DER."""

    def look() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True) or b""

    return await asyncio.to_thread(look)


async def shows(app, pem: bytes) -> None:
    """Wait until both planes show this certificate."""
    wanted = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
    for port in (app.planes.decision_port, app.planes.management_port):

        async def shown(port=port) -> bool:
            return await shown_at(port) == wanted

        await until(shown)


def metric(name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_all_is_renewed_under_load_without_a_failed_call(app, mounted):
    """Old and new callers on both planes, through a new certificate, a new authority and the end of the old one."""
    old, new = mounted.authority, trustme.CA()
    both = old.cert_pem.bytes() + new.cert_pem.bytes()
    done = {"decision": 0, "management": 0}
    stop = asyncio.Event()
    callers = {
        "decision": ("billing", app.planes.decision_port),
        "management": ("manage-users-page", app.planes.management_port),
    }

    async def ask(plane: str, caller: Wire) -> None:
        if plane == "decision":
            assert (await caller.check("olive", "dr-a", "claim:view")).allowed
        else:
            await caller("ListMembers", MEMBERS)
        done[plane] += 1

    async def stay(plane: str) -> None:
        """One connection from the first to the last."""
        name, port = callers[plane]
        async with wire(port, both, old.issue_cert(name)) as caller:
            while not stop.is_set():
                await ask(plane, caller)

    async def come_and_go(plane: str) -> None:
        """A connection for each call, as a caller of whoever is trusted then."""
        name, port = callers[plane]
        own = old.issue_cert(name)
        while not stop.is_set():
            async with wire(port, both, theirs.get("own", {}).get(name, own)) as caller:
                await ask(plane, caller)

    theirs: dict[str, dict[str, trustme.LeafCert]] = {}
    async with patiently(), asyncio.TaskGroup() as group:
        for plane in callers:
            for work in (stay, stay, come_and_go):
                group.create_task(work(plane))

        async def after_some(more: int = 5) -> None:
            wanted = {plane: done[plane] + more for plane in done}

            async def asked() -> bool:
                return all(done[plane] >= wanted[plane] for plane in done)

            await until(asked)

        await after_some()
        for contents in (mounted.made(old), mounted.made(old, old, new), mounted.made(new, old, new)):
            mounted.swap(*contents)
            await shows(app, contents[0])
            await after_some()
        # Callers get theirs of the new authority; then the old one is taken away.
        theirs["own"] = {name: new.issue_cert(name) for name, _ in callers.values()}
        await after_some(10)
        contents = mounted.made(new)
        mounted.swap(*contents)
        await shows(app, contents[0])
        await after_some()
        stop.set()
    for name, port in callers.values():
        async with wire(port, both, old.issue_cert(name)) as caller:
            with pytest.raises(Refused) as refused:
                await caller("Check", VIEW)
            assert refused.value.code is grpc.StatusCode.UNAVAILABLE


def broken(kind: str, mounted: Mounted) -> tuple[bytes, bytes, bytes]:
    certificate, key, bundle = mounted.made(mounted.authority)
    now = datetime.now(UTC)
    pem = (Encoding.PEM, PrivateFormat.PKCS8)
    return {
        "another key": (certificate, mounted.made(mounted.authority)[1], bundle),
        "no key": (certificate, b"", bundle),
        "half a key": (certificate, key[: len(key) // 2], bundle),
        "half a certificate": (certificate[: len(certificate) // 2], key, bundle),
        "text": (b"to come", key, bundle),
        "no authority": (certificate, key, b""),
        "half an authority more": (certificate, key, bundle + bundle[: len(bundle) // 2]),
        "ended": mounted.made(mounted.authority, not_after=now - timedelta(minutes=1)),
        "begins tomorrow": mounted.made(mounted.authority, not_before=now + timedelta(days=1)),
        "locked": (
            certificate,
            ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem, BestAvailableEncryption(b"word")),
            bundle,
        ),
        "weak": (
            certificate,
            rsa.generate_private_key(65_537, 1_024).private_bytes(*pem, NoEncryption()),  # noqa: S505
            bundle,
        ),
        "not spoken": (
            certificate,
            ec.generate_private_key(ec.SECP521R1()).private_bytes(*pem, NoEncryption()),
            bundle,
        ),
    }[kind]


FAULTS = {
    "another key": "is not the key of POLICY_TLS_CERT_FILE",
    "no key": "holds no key in PEM",
    "half a key": "holds no key in PEM",
    "half a certificate": "POLICY_TLS_CERT_FILE",
    "text": "holds no certificate in PEM",
    "no authority": "POLICY_TLS_CLIENT_CA_FILE",
    "half an authority more": "POLICY_TLS_CLIENT_CA_FILE",
    "ended": "ended on",
    "begins tomorrow": "begins on",
    "locked": "locked with a password",
    "weak": "of a kind that callers' TLS does not take",
    "not spoken": "of a kind that callers' TLS does not take",
}


@pytest.mark.parametrize(("kind", "words"), FAULTS.items())
async def test_a_start_with_files_that_cannot_be_used_says_which(mounted, database, kind, words):
    mounted.swap(*broken(kind, mounted))
    with pytest.raises(StartError, match=words) as refused:
        certificates.Certificates(certificates.TlsFiles.of(mounted.settings(database)), lambda: datetime.now(UTC))
    assert "BEGIN" not in str(refused.value)


async def test_files_that_cannot_be_used_change_nothing_and_are_told_once(app, mounted):
    """Each kind after the other, on a service that goes on showing what it began with; then they are mended."""
    first = mounted.now()
    own = mounted.authority.issue_cert("billing")
    async with wire(app.planes.decision_port, first[2], own) as open_before:
        with capture_logs() as told:
            for kind, words in FAULTS.items():
                mounted.swap(*broken(kind, mounted))
                await logged(told, words, f"of {kind}")
                assert metric("policy_tls_files_unusable") == 1
                assert (await open_before.check("olive", "dr-a", "claim:view")).allowed
                async with wire(app.planes.decision_port, first[2], own) as new:
                    assert (await new.check("olive", "dr-a", "claim:view")).allowed
                await looked(app, 5)
                mounted.swap(*first)
                await logged(told, "in force again", "again")
                assert metric("policy_tls_files_unusable") == 0
                del told[:]
            (mounted.folder / "..data" / "key.pem").unlink()
            await logged(told, "cannot be read: No such file", "away")
            mended = mounted.made(mounted.authority)
            mounted.swap(*mended)
            await logged(told, "TLS files were renewed", "mended")
        await shows(app, mended[0])
        assert metric("policy_tls_files_unusable") == 0
        assert (await open_before.check("olive", "dr-a", "claim:view")).allowed


async def logged(told, words: str, when: str) -> None:
    async def there() -> bool:
        return any(words in f"{entry['event']} {entry.get('fault', '')}" for entry in told)

    await until(there)
    said = [entry for entry in told if entry["log_level"] == "error"]
    assert len(said) <= 1, when
    assert "BEGIN" not in str(said)


async def looked(app, times: int) -> None:
    """Wait for so many looks at the files more."""
    look, left = app.planes.certificates.look, times
    done = asyncio.Event()

    def counted(*found):
        nonlocal left
        look(*found)
        left -= 1
        if left == 0:
            done.set()

    app.planes.certificates.look = counted
    async with patiently():
        await done.wait()
    app.planes.certificates.look = look


async def test_when_what_is_in_force_ends_is_a_metric(app, mounted):
    ends = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
    contents = mounted.made(mounted.authority, not_after=ends)
    mounted.swap(*contents)
    await shows(app, contents[0])
    assert metric("policy_tls_expiry_timestamp_seconds", of="certificate") == ends.timestamp()
    authority = x509.load_pem_x509_certificate(mounted.authority.cert_pem.bytes())
    assert metric("policy_tls_expiry_timestamp_seconds", of="authorities") == authority.not_valid_after_utc.timestamp()


async def test_a_listener_that_asks_nobody_for_a_certificate_is_renewed_too(tmp_path, mounted):
    """As one for callers with tokens: it knows no authorities."""
    files = tls_files.TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem", authorities=None)
    watched = certificates.Certificates(files, lambda: datetime.now(UTC))
    listening = grpc.aio.server()
    port = listening.add_secure_port("127.0.0.1:0", watched.credentials(require_client=False))
    await listening.start()
    before = await shown_at(port)
    mounted.swap(*mounted.made(mounted.authority))
    for _ in range(2):
        watched.look(files.read(), None)
    assert await shown_at(port) != before
    await listening.stop(None)


async def test_files_written_one_after_the_other_are_no_fault(app, mounted):
    """As tools write them that know no swap: between two looks they are whole again, and nothing is told."""
    written = mounted.made(mounted.authority)
    with capture_logs() as told:
        certificate, key, bundle = written
        held = certificates.Pems(certificate=certificate, key=mounted.now()[1], authorities=bundle)
        whole = certificates.Pems(certificate=certificate, key=key, authorities=bundle)
        watched = certificates.Certificates(app.planes.certificates._files, lambda: datetime.now(UTC))
        for found in (held, whole, whole):
            watched.look(found, None)
    assert [entry["event"] for entry in told] == ["TLS files were renewed"]


async def test_who_was_vouched_for_by_a_removed_authority_is_out_when_the_connection_is_of_age(
    monkeypatch, mounted, store, database, seed
):
    """No session of before opens a new connection either."""
    short = {"grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 100}
    for name in ("_OPTIONS", "_MANAGEMENT_OPTIONS"):
        options = tuple((key, short.get(key, value)) for key, value in getattr(server, name))
        monkeypatch.setattr(server, name, options)
    async with serving(mounted, store, database, seed) as app:
        old, new = mounted.authority, trustme.CA()
        own = old.issue_cert("manage-users-page")
        trusted = old.cert_pem.bytes() + new.cert_pem.bytes()
        contents = mounted.made(new)
        async with (
            wire(app.planes.decision_port, trusted, own) as checks,
            wire(app.planes.management_port, trusted, own) as changes,
        ):
            assert (await checks.check("olive", "dr-a", "claim:view")).allowed
            await changes("ListMembers", MEMBERS)
            mounted.swap(*contents)
            await shows(app, contents[0])
            for caller, method, request in (
                (
                    checks,
                    "Check",
                    server.decision_pb2.CheckRequest(user="olive", physician="dr-a", action="claim:view"),
                ),
                (changes, "ListMembers", MEMBERS),
            ):

                async def out(caller=caller, method=method, request=request) -> bool:
                    try:
                        await caller(method, request)
                    except Refused as refused:
                        assert refused.code is grpc.StatusCode.UNAVAILABLE
                        return True
                    return False

                await until(out)


async def test_a_session_of_before_opens_nothing_after(app, mounted):
    """What TLS remembers of a caller ends with the authority that vouched for them."""
    old = mounted.authority
    own = old.issue_cert("billing")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    own.configure_cert(context)
    port = app.planes.decision_port

    def connect(session):
        """The session to come back with, and whether the service spoke to us."""
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(20)
            with context.wrap_socket(plain, session=session) as secure:
                # The service's first frame is its settings; before it come TLS's tickets.
                return bool(secure.recv(64)), secure.session, secure.session_reused

    spoke, session, _ = await asyncio.to_thread(connect, None)
    assert spoke
    assert session is not None
    spoke, session, reused = await asyncio.to_thread(connect, session)
    assert (spoke, reused) == (True, True)
    contents = mounted.made(trustme.CA())
    mounted.swap(*contents)
    await shows(app, contents[0])
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        spoke, _, reused = await asyncio.to_thread(connect, session)
        assert (spoke, reused) == (False, False)
