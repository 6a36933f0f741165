"""Transport security: who may listen where, and who a caller is."""

import grpc
import pytest
import trustme

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, Wire
from tests.support.silence import TLS_HALF_WAY, connections


@pytest.fixture
def authority(tmp_path):
    made = trustme.CA()
    server = made.issue_cert("localhost", "127.0.0.1")
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    return made


@pytest.fixture
async def app(store, database, seed, authority, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    files = {
        f"tls_{name}_file": tmp_path / f"{file}.pem"
        for name, file in (("cert", "cert"), ("key", "key"), ("client_ca", "ca"))
    }
    async with open_app(settings_for(database, **files)) as opened:
        await reached(opened, await register(opened, "dr-a", "olive"))
        yield opened


def wire(port, trusted, certificate=None) -> Wire:
    credentials = grpc.ssl_channel_credentials(
        trusted.cert_pem.bytes(),
        certificate and certificate.private_key_pem.bytes(),
        certificate and b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
    )
    return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials))


async def test_a_caller_is_the_one_name_in_its_certificate(app, authority):
    async with wire(app.planes.decision_port, authority, authority.issue_cert("billing")) as billing:
        assert (await billing.check("olive", "dr-a", "claim:view")).allowed


async def test_the_right_caller_on_the_wrong_plane_is_refused(app, authority):
    async with wire(app.planes.management_port, authority, authority.issue_cert("billing")) as billing:
        with pytest.raises(Refused) as refused:
            await billing("RegisterPhysician", mu.RegisterPhysicianRequest(actor="a", physician="b", owner="c"))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


async def test_an_unknown_identity_has_no_rights(app, authority):
    """Doubtful ones are in test_identity.py."""
    async with wire(app.planes.decision_port, authority, authority.issue_cert("nobody")) as caller:
        with pytest.raises(Refused) as refused:
            await caller.check("olive", "dr-a", "claim:view")
    assert refused.value.reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize("kind", ["no certificate", "another authority", "plain text"])
async def test_nobody_gets_in_without_a_certificate_of_our_authority(app, authority, kind):
    if kind == "plain text":
        caller = Wire(app.planes.decision_port)
    else:
        certificate = None if kind == "no certificate" else trustme.CA().issue_cert("billing")
        caller = wire(app.planes.decision_port, authority, certificate)
    async with caller:
        with pytest.raises(Refused) as refused:
            await caller("Check", pb.CheckRequest(user="olive", physician="dr-a", action="claim:view"))
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE


async def test_handshakes_that_stay_half_way_keep_nobody_out(app, authority):
    """ATTACKS 39, with TLS half way too."""
    port = app.planes.decision_port
    with connections(port, 300, first=TLS_HALF_WAY), connections(port, 300):
        async with wire(port, authority, authority.issue_cert("billing")) as billing:
            assert (await billing.check("olive", "dr-a", "claim:view")).allowed
