"""TLS for tokens alone: the other addresses are this host's, and nobody from elsewhere is ``local``."""

from datetime import UTC, datetime
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from policy_service.app import open_app
from policy_service.pb import callers_pb2 as pb
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.callers import Authority, added, bearer
from tests.support.patience import PATIENCE
from tests.support.rpc import Refused, Wire, question

WHY = {"actor": "olga", "reason": "a test"}
CHECK = ("Check", question("olive", "dr-a", "claim:view"))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def refused(call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


@pytest.fixture
async def app(store, database, seed, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    authority = Authority(tmp_path)
    addresses = dict.fromkeys(("decision_token_address", "management_token_address"), "127.0.0.1:0")
    settings = authority.settings(database, **addresses, tls_client_ca_file=None)
    async with open_app(settings) as opened:
        opened_to = authority.without_certificate
        yield opened, opened_to


async def test_the_address_for_tokens_takes_nobody_without_one(app, store):
    opened, door = app
    await register(opened, "dr-a", "olive")
    token = await added(store, "claims", "check")
    await reached(opened, await store.revision())
    async with door(opened.planes.decision_token_port) as wire:
        assert await wire(*CHECK, metadata=bearer(token))
        found = await refused(wire(*CHECK))
        assert (found.reason, found.facts["found"]) == ("CALLER_NOT_IDENTIFIED", "no token")
    async with door(opened.planes.management_token_port) as wire:
        assert (await refused(wire("ListCallers", pb.ListCallersRequest()))).reason == "CALLER_NOT_IDENTIFIED"
    async with Wire(opened.planes.decision_port) as wire:
        assert await wire(*CHECK)
        assert await wire(*CHECK, metadata=bearer(token))
        assert (await refused(wire(*CHECK, metadata=bearer("x")))).reason == "CALLER_NOT_IDENTIFIED"
    # The address for tokens speaks TLS and nothing else.
    async with Wire(opened.planes.decision_token_port) as wire:
        found = await refused(wire(*CHECK, metadata=bearer(token)))
        assert found.code is grpc.StatusCode.UNAVAILABLE


def begun_with(method, message, *, metadata):
    """A stream that says one thing, each time anew."""
    return method(iter([message]), metadata=metadata)


async def refused_with(begin) -> str:
    """What a stream is told. Where it was refused before its message was sent, gRPC's client sees only that: ask again."""
    while True:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(begin()))
        if refused.value.details() != "Internal error from Core":
            return str(refused.value.details())


async def test_who_opens_a_lasting_stream_there_shows_a_token(app, store):
    """Else nobody in particular would hold the places of whoever watches by certificate. One question is answered."""
    opened, door = app
    token = await added(store, "claims", "check")
    await reached(opened, await store.revision())
    for port in (opened.planes.decision_token_port, opened.planes.management_token_port):
        async with door(port) as wire:
            health = health_pb2_grpc.HealthStub(wire.channel)
            serving = health_pb2.HealthCheckResponse.SERVING
            assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status == serving
            reflection = reflection_pb2_grpc.ServerReflectionStub(wire.channel)
            listed = reflection_pb2.ServerReflectionRequest(list_services="")
            watch = partial(health.Watch, health_pb2.HealthCheckRequest())
            ask = partial(begun_with, reflection.ServerReflectionInfo, listed)
            for metadata, told in (((), "no token"), (bearer(token), None), (bearer("x"), "not known")):
                for begin in (
                    partial(watch, metadata=metadata),
                    partial(ask, metadata=metadata),
                ):
                    if told is None:
                        stream = begin()
                        assert await anext(aiter(stream))
                        stream.cancel()
                    else:
                        assert told in await refused_with(begin)
