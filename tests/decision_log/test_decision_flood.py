"""A flood of questions, and a log without room: what was answered is recorded, or counted, and nobody else pays for it."""

import asyncio
import contextlib

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from policy_service.app import open_app
from policy_service.audit import Verdict, verify
from policy_service.pb import audit_pb2
from policy_service.pb import decision_pb2 as pb
from policy_service.rpc import LogWalk
from policy_service.seed import install
from policy_service.store import SERVICE_ROLE, ReplicaEvent, Store, as_role, connect_store
from policy_service.vocabulary import DecisionLogFull
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.decision_log.test_decision_log import away
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, Wire, question

pytestmark = pytest.mark.over_tls

FLOOD = pb.BatchCheckRequest(
    checks=[question("olive", "dr-a", "claim:view", resource="r" * 200, correlation_id="c" * 100)] * 1_000
)
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def verdict(database: str) -> Verdict:
    async with connect_store(database) as store:
        return [part async for part in verify(store, [])][-1]


async def recorded(database: str) -> dict[str, int]:
    async with connect_store(database) as store:
        found = await store._pool.fetch("SELECT caller, count(*) AS n FROM decisions GROUP BY caller")
    return {record["caller"]: record["n"] for record in found}


def secured(folder) -> tuple[trustme.CA, dict]:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    names = (("cert", "cert"), ("key", "key"), ("client_ca", "ca"))
    return authority, {f"tls_{name}_file": folder / f"{file}.pem" for name, file in names}


def as_caller(port: int, authority: trustme.CA, certificate: trustme.LeafCert) -> Wire:
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), certificate.private_key_pem.bytes(), chain)
    options = (("grpc.use_local_subchannel_pool", 1),)
    return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials, options=options))


async def test_six_streams_of_full_batches_slow_nobody_but_themselves(store, database, seed, tmp_path, monkeypatch):
    append, goes_on = Store.append_decisions, asyncio.Event()

    async def append_slowly(self, lines: bytes) -> None:
        # However slow this machine is, its database is slower than the flood.
        await goes_on.wait()
        await append(self, lines)

    monkeypatch.setattr(Store, "append_decisions", append_slowly)
    await install.install_first(store, seed, SHIPPED_MODEL)
    authority, files = secured(tmp_path)
    settings = settings_for(
        as_role(database, SERVICE_ROLE), data_dir=tmp_path, decision_log_spool_mb=8, decision_threads=16, **files
    )
    answered = {"billing": 0, "manage-users-page": 0}
    refused = dict[str, int]()
    async with open_app(settings) as app, contextlib.AsyncExitStack() as stack:
        await reached(app, await register(app, "dr-a", "olive"))

        async def caller(name: str) -> Wire:
            certificate = authority.issue_cert(name)
            return await stack.enter_async_context(as_caller(app.planes.decision_port, authority, certificate))

        done = asyncio.Event()

        async def flood(wire: Wire) -> None:
            while not done.is_set():
                try:
                    count = len((await wire("BatchCheck", FLOOD, timeout=60)).answers)
                except Refused as fault:
                    refused[fault.reason] = refused.get(fault.reason, 0) + 1
                else:
                    answered["billing"] += count

        floods = [asyncio.create_task(flood(await caller("billing"))) for _ in range(6)]
        good = await caller("manage-users-page")
        # Long enough for the flood to have used up its share and to have been told so.
        while not refused or answered["manage-users-page"] < 30:
            await good("Check", question("olive", "dr-a", "claim:view"), timeout=60)
            answered["manage-users-page"] += 1
        goes_on.set()
        # Room again, for the flood too.
        before = answered["billing"]
        while answered["billing"] == before:
            await good("Check", question("olive", "dr-a", "claim:view"), timeout=60)
            answered["manage-users-page"] += 1
        done.set()
        await asyncio.gather(*floods)
    assert set(refused) == {"DECISION_LOG_BEHIND"}
    assert await recorded(database) == answered
    found = await verdict(database)
    assert (found.is_whole, found.replicas[0].lost) == (True, 0)


async def health(wire: Wire, name: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(wire.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def says(wire: Wire, name: str, status: int) -> None:
    """Wait until health says so."""
    stub = health_pb2_grpc.HealthStub(wire.channel)
    async with asyncio.timeout(120):
        async for said in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
            if said.status == status:
                return


@pytest.mark.parametrize("full", list(DecisionLogFull))
async def test_without_room_nothing_is_answered_or_it_is_told_whose_and_when(
    store, database, postgres, seed, tmp_path, full
):
    """And in both cases health says it, and it goes on by itself when there is room."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    settings = settings_for(
        as_role(database, SERVICE_ROLE), data_dir=tmp_path, decision_log_spool_mb=8, decision_log_full=full
    )
    answered = 0
    async with (
        open_app(settings) as app,
        Wire(app.planes.decision_port) as wire,
        Wire(app.planes.management_port) as other,
    ):
        await reached(app, await register(app, "dr-a", "olive"))
        async with away(postgres, database):
            reasons = set[str]()
            # It takes a moment to be known that the database is away, and not only behind.
            while await health(wire, "policy.v1.DecisionLog") == SERVING:
                try:
                    answered += len((await wire("BatchCheck", FLOOD)).answers)
                except Refused as fault:
                    reasons.add((fault.code, fault.reason))
            await says(other, "policy.v1.DecisionLog", NOT_SERVING)
            if full is DecisionLogFull.REFUSE:
                assert (grpc.StatusCode.UNAVAILABLE, "DECISION_LOG_FULL") in reasons
                for plane in (wire, other):
                    await says(plane, "", NOT_SERVING)
            else:
                assert reasons == set()
                answered += len((await wire("BatchCheck", FLOOD)).answers)
                assert await health(wire) == SERVING
        for plane in (wire, other):
            await says(plane, "policy.v1.DecisionLog", SERVING)
            await says(plane, "", SERVING)
        assert (await wire.check("olive", "dr-a", "claim:view")).allowed
        answered += 1
    found = await verdict(database)
    (replica,) = found.replicas
    assert found.fault == ""
    assert answered == replica.decisions + replica.lost
    if full is DecisionLogFull.REFUSE:
        assert (found.is_whole, found.unrecorded, replica.lost) == (True, (), 0)
    else:
        assert not found.is_whole
        assert replica.last_sequence == answered
        (loss,) = found.unrecorded
        assert (loss.replica, loss.caller, loss.lost) == (replica.replica, "billing", replica.lost)
        assert replica.started_at < loss.first_at <= loss.last_at < replica.ended_at
        (told,) = (await told_by_verify(database)).losses
        assert (told.caller, told.lost) == ("billing", replica.lost)


async def told_by_verify(database: str) -> audit_pb2.Verdict:
    async with connect_store(database) as store:
        return [part async for part in LogWalk(store, None).verify(audit_pb2.VerifyLogRequest())][-1].verdict


async def test_losses_that_an_earlier_release_counted_are_of_nobody_known(store, database, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    await store.note_start("abc")
    await store.note_replica("abc", ReplicaEvent.ENDED, sequence=7, lost=7)
    told = await told_by_verify(database)
    assert (told.whole, told.fault, told.lost) == (False, "", 7)
    assert [(loss.replica, loss.caller, loss.lost) for loss in told.losses] == [("abc", "", 7)]
    assert told.checkpoint == ""
