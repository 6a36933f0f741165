"""ATTACKS 25 and 43: one identity in one credential; and ``local`` is a process of this host, not whoever a proxy lets in."""

import datetime
import ipaddress
import itertools

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from policy_service.app import open_app
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc.identity import _require_local, read_certificate
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, Wire, question

PREFIX = "spiffe://clinic.example/service/"


class Authority:
    """Signs any certificate that a test thinks of."""

    def __init__(self, folder) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clinic authority")])
        self.pem = self._sign(self._name, self._key.public_key(), [], ca=True)
        (folder / "ca.pem").write_bytes(self.pem)
        for file, pem in zip(("cert.pem", "key.pem"), self.issue(names=[x509.DNSName("localhost")]), strict=True):
            (folder / file).write_bytes(pem)

    def issue(self, *, names=(), common=(), more=()) -> tuple[bytes, bytes]:
        """A certificate with these alternative and common names, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([*(x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common), *more])
        return self._sign(subject, key.public_key(), names, ca=False), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _sign(self, subject, key, names, *, ca: bool) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        if not ca:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
            made = made.add_extension(usage, critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def app(store, database, seed, authority, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    files = {
        f"tls_{name}_file": tmp_path / f"{name.removeprefix('client_')}.pem" for name in ("cert", "key", "client_ca")
    }
    async with open_app(settings_for(database, **files, tls_caller_uri=PREFIX)) as opened:
        await reached(opened, await register(opened, "dr-a", "olive"))
        yield opened


def wire(port, authority, **names) -> Wire:
    certificate, key = authority.issue(**names)
    credentials = grpc.ssl_channel_credentials(authority.pem, key, certificate)
    options = (("grpc.use_local_subchannel_pool", 1),)
    return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials, options))


BILLING, PAGE = x509.DNSName("billing"), x509.DNSName("manage-users-page")


ACCEPTED = {
    "a DNS name": {"names": [BILLING]},
    "the same name twice": {"names": [BILLING], "common": ["billing"]},
    "a common name": {"common": ["billing"]},
    "a URI": {"names": [x509.UniformResourceIdentifier(f"{PREFIX}billing")]},
}


async def test_one_identity_of_an_accepted_kind_is_a_caller(app, authority):
    for kind, names in ACCEPTED.items():
        async with wire(app.planes.decision_port, authority, **names) as billing:
            for _ in range(2):  # read, then remembered
                assert (await billing.check("olive", "dr-a", "claim:view")).allowed, kind


EMAIL = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "billing@clinic.example")


DOUBTFUL = (
    {"common": ["billing", "manage-users-page"]},
    {"common": ["billing", "billing"]},
    {"common": ["billing", "manage-users-page"], "names": [BILLING]},
    {"common": ["manage-users-page"], "names": [BILLING]},
    {"common": ["billing"], "more": [EMAIL]},
    {"names": [BILLING, PAGE]},
    {"names": [BILLING, BILLING]},
    {"names": [x509.RFC822Name("billing")]},
    {"names": [x509.RFC822Name("billing@clinic.example"), BILLING]},
    {"names": [x509.UniformResourceIdentifier("spiffe://elsewhere.example/service/billing")]},
    {"names": [x509.UniformResourceIdentifier("billing")]},
    {"names": [x509.UniformResourceIdentifier(f"{PREFIX}billing/../ops")]},
    {"names": [x509.UniformResourceIdentifier(f"{PREFIX}billing"), BILLING]},
    {"names": [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))]},
    {"names": [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]},
    {"names": [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "billing")]))]},
    {"names": [x509.DNSName("*.clinic.example")]},
    {"names": [x509.DNSName("local")]},
    {"names": [x509.UniformResourceIdentifier(f"{PREFIX}local")]},
    {"common": ["local"]},
    {"common": []},
)


async def test_any_other_certificate_is_nobodys(app, authority):
    members = mu.ListMembersRequest(actor="olive", physician="dr-a")
    asked = (app.planes.decision_port, "Check", question("olive", "dr-a", "claim:view"))
    managed = (app.planes.management_port, "ListMembers", members)
    for names, (port, method, request) in itertools.product(DOUBTFUL, (asked, managed)):
        async with wire(port, authority, **names) as caller:
            with pytest.raises(Refused) as refused:
                await caller(method, request)
        found = refused.value
        assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_IDENTIFIED"), names
        assert "billing" not in found.details


def test_without_a_setting_no_uri_is_an_identity(authority):
    pem, _ = authority.issue(names=[x509.UniformResourceIdentifier(f"{PREFIX}billing")])
    assert read_certificate(pem, PREFIX) == ("billing", "")
    assert read_certificate(pem, "")[0] == ""
    assert read_certificate(b"no certificate", "")[0] == ""


@pytest.mark.parametrize("plane", ["decision_port", "management_port"])
async def test_an_identity_named_by_a_header_is_not_believed(app, authority, plane):
    async with wire(getattr(app.planes, plane), authority, common=["nobody"]) as caller:
        with pytest.raises(Refused) as refused:
            await caller("Check" if plane == "decision_port" else "ListMembers",
                question("olive", "dr-a", "claim:view") if plane == "decision_port" else mu.ListMembersRequest(),
                metadata=(("x-forwarded-client-cert", "URI=spiffe://clinic.example/service/billing"),))  # fmt: skip
    assert refused.value.reason == "CALLER_NOT_ALLOWED"


FORWARDED = (
    "x-forwarded-for",
    "x-forwarded-client-cert",
    "forwarded",
    "via",
    "x-real-ip",
    "x-envoy-external-address",
)


class TestLocal:
    """Without TLS, as in development."""

    @pytest.fixture
    async def app(self, store, settings, seed):
        await install.install_first(store, seed, SHIPPED_MODEL)
        async with open_app(settings) as opened:
            await reached(opened, await register(opened, "dr-a", "olive"))
            yield opened

    async def test_what_a_proxy_passes_on_is_not_local(self, app):
        check = (app.planes.decision_port, "Check", question("olive", "dr-a", "claim:view"))
        members = (app.planes.management_port, "ListMembers", mu.ListMembersRequest(actor="olive", physician="dr-a"))
        for port, method, request in (check, members):
            async with Wire(port) as caller:
                assert await caller(method, request)
                for header in FORWARDED:
                    with pytest.raises(Refused) as refused:
                        await caller(method, request, metadata=((header, "192.0.2.7"),))
                    found = refused.value
                    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_LOCAL")
                    assert header in found.details

    @pytest.mark.parametrize(
        "peer", ["ipv4:192.0.2.7:1", "ipv6:%5B2001:db8::1%5D:1", "vsock:2:3", "", "ipv4:12.7.0.0:1"]
    )
    def test_an_address_elsewhere_is_not_local(self, peer):
        with pytest.raises(Exception, match="another address"):
            _require_local(peer, ())


async def test_a_certificate_of_another_authority_is_no_certificate(app, authority):
    other = trustme.CA().issue_cert("billing")
    chain = b"".join(blob.bytes() for blob in other.cert_chain_pems)
    credentials = grpc.ssl_channel_credentials(authority.pem, other.private_key_pem.bytes(), chain)
    async with Wire(0, grpc.aio.secure_channel(f"localhost:{app.planes.decision_port}", credentials)) as caller:
        with pytest.raises(Refused) as refused:
            await caller.check("olive", "dr-a", "claim:view")
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
