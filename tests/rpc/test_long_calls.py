"""Plans, exports and verifications last longer than a connection does before it is renewed."""

import asyncio

import grpc
import pytest

from policy_service.app import open_app
from policy_service.pb import audit_pb2 as pb
from policy_service.pb import seeds_pb2
from policy_service.rpc import LogWalk, guard, server
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.patience import patiently
from tests.support.rpc import Refused, Wire, refused

pytestmark = pytest.mark.over_tls


def renewing(options: tuple, **more: int) -> tuple:
    """The same, with connections that are renewed every tenth of a second."""
    return tuple({**dict(options), "grpc.max_connection_age_ms": 100, **more}.items())


@pytest.fixture
def slow(monkeypatch):
    """A verification that takes two seconds: of millions of entries it takes minutes."""

    async def verify(self, request):
        for done in range(20):
            yield pb.VerifyLogResponse(progress=seeds_pb2.Progress(done=done, total=20))
            await asyncio.sleep(0.1)
        yield pb.VerifyLogResponse(verdict=pb.Verdict(whole=True))

    monkeypatch.setattr(LogWalk, "verify", verify)


async def verified(store, seed, settings) -> bool:
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings) as app, Wire(app.planes.management_port) as wire:
        try:
            *_, last = await wire.parts("VerifyLog", pb.VerifyLogRequest())
        except Refused as ended:
            assert ended.details == "max connection age"
            return False
        return last.verdict.whole


async def test_a_long_call_ends_although_its_connection_is_renewed(store, seed, settings, slow, monkeypatch):
    monkeypatch.setattr(server, "_MANAGEMENT_OPTIONS", renewing(server._MANAGEMENT_OPTIONS))
    assert await verified(store, seed, settings)


async def test_with_the_decision_planes_patience_it_would_not(store, seed, settings, slow, monkeypatch):
    short = renewing(server._OPTIONS, **{"grpc.max_connection_age_grace_ms": 100})
    monkeypatch.setattr(server, "_MANAGEMENT_OPTIONS", short)
    assert not await verified(store, seed, settings)


@pytest.fixture
def endless(monkeypatch):
    """A verification that says ever more; the event tells that it was ended."""
    ended = asyncio.Event()

    async def verify(self, request):
        try:
            while True:
                yield pb.VerifyLogResponse(verdict=pb.Verdict(fault="x" * 1_000_000))
        finally:
            ended.set()

    monkeypatch.setattr(LogWalk, "verify", verify)
    monkeypatch.setattr(guard, "_TAKEN_SECONDS", 0.2)
    return ended


async def test_an_answer_that_nobody_reads_ends(endless, management):
    """It would hold one of the few long reads for as long as its reader likes."""
    verify = management.channel.unary_stream(
        "/policy.v1.AuditService/VerifyLog", pb.VerifyLogRequest.SerializeToString, pb.VerifyLogResponse.FromString
    )
    call = verify(pb.VerifyLogRequest())
    async with patiently():
        await endless.wait()
    with pytest.raises(grpc.aio.AioRpcError) as found:
        async for _ in call:
            pass
    assert refused(found.value).reason == "ANSWER_NOT_TAKEN"
