"""Bearer tokens: who is known by one, until when, and how it is told from another."""

import hashlib
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from policy_service.app import open_app
from policy_service.pb import callers_pb2 as pb
from policy_service.rpc.errors import CallerNotIdentified
from policy_service.rpc.identity import Identities
from policy_service.seed import install
from policy_service.vocabulary import Credentials, KnownToken, issue_token
from policy_service.vocabulary import callers as spelling
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.callers import Authority, added, bearer
from tests.support.patience import PATIENCE, until
from tests.support.rpc import Refused, Wire, question

WHY = {"actor": "olga", "reason": "a test"}
CHECK = ("Check", question("olive", "dr-a", "claim:view"))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Context:
    """What gRPC tells of a call over TLS at an address for tokens."""

    def __init__(self, metadata) -> None:
        self._metadata = metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.7:1"

    def invocation_metadata(self):
        return self._metadata

    def auth_context(self):
        return {"transport_security_type": [b"ssl"]}


def identified(text: str, credentials: Credentials, now: datetime) -> str:
    identities = Identities(certificates=True, tokens=True, clock=lambda: now)
    return identities.of(Context(bearer(text)), credentials)


async def refused(call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


def test_a_token_is_valid_until_its_time_and_not_at_it():
    issued = issue_token()
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    assert identified(issued.text, known, NOW - timedelta(microseconds=1)) == "claims"
    for late in (NOW, NOW + timedelta(microseconds=1)):
        with pytest.raises(CallerNotIdentified) as found:
            identified(issued.text, known, late)
        assert found.value.found == "a token that has expired"


def test_that_a_token_has_expired_learns_only_who_holds_it():
    issued = issue_token()
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    with pytest.raises(CallerNotIdentified) as found:
        identified(issued.text[:-1] + ("A" if issued.text[-1] != "A" else "B"), known, NOW)
    assert "expired" not in found.value.found


def test_digests_are_compared_in_constant_time_whether_there_is_such_a_token_or_not(monkeypatch):
    """What is compared is SHA-256 of all of the token, by the library's comparison; and nothing else decides."""
    issued, compared = issue_token(), []
    real = spelling.hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(spelling.hmac, "compare_digest", noted)
    known = Credentials({issued.id: KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)})
    stranger = issue_token().text
    for text in (issued.text, issued.text[:-1], stranger, "", "pst_", "x" * 5_000):
        known.find(text)
        assert compared[-1][0] == hashlib.sha256(text.encode()).digest()
        assert len(compared[-1][1]) == 32
    assert len(compared) == 6
    assert real(*compared[0])
    # Were the comparison to say no, nothing else would say yes.
    monkeypatch.setattr(spelling.hmac, "compare_digest", lambda *_: False)
    assert known.find(issued.text) is None


def test_a_token_is_long_recognizable_and_shown_by_no_repr():
    issued = issue_token()
    assert issued.text.startswith(f"pst_{issued.id}_")
    assert len(issued.text.split("_", 2)[2]) == 43
    known = KnownToken(caller="claims", digest=issued.digest, expires_at=NOW)
    for shown in (repr(issued), repr(known), str(issued)):
        assert issued.text not in shown
        assert repr(issued.digest) not in shown
    assert len({issue_token().text for _ in range(100)}) == 100


def test_a_plain_connection_is_nobodys_where_callers_show_certificates():
    identities = Identities(certificates=True, tokens=True)
    for secured in ({}, {"transport_security_type": [b"insecure"]}, {"transport_security_type": [b"local"]}):
        context = Context(())
        context.auth_context = lambda secured=secured: secured
        context.peer = lambda: "ipv4:127.0.0.1:1"
        with pytest.raises(CallerNotIdentified):
            identities.of(context, Credentials({}))


class TestOnLoopback:
    """Without TLS, as in development: a token says who it is, and without one it is ``local``."""

    @pytest.fixture(autouse=True)
    async def account(self, app):
        await reached(app, await register(app, "dr-a", "olive"))

    async def test_a_token_is_its_caller_from_one_revision_to_another(self, app, wire, management):
        made = await management("AddCaller", pb.AddCallerRequest(caller="claims", may=["check"], **WHY))
        await reached(app, made.revision)
        assert (await wire(*CHECK, metadata=bearer(made.token))).allowed
        # Not "local", who may do that.
        found = await refused(management("ListCallers", pb.ListCallersRequest(), metadata=bearer(made.token)))
        assert (found.reason, found.facts["caller"]) == ("CALLER_NOT_ALLOWED", "claims")
        ended = await management("RemoveToken", pb.RemoveTokenRequest(caller="claims", token_id=made.token_id, **WHY))
        await reached(app, ended.revision)
        found = await refused(wire(*CHECK, metadata=bearer(made.token)))
        assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_IDENTIFIED")
        assert (await wire(*CHECK)).allowed

    async def test_a_wrong_token_is_never_taken_for_none(self, wire):
        for metadata in (bearer(issue_token().text), bearer(""), (("authorization", "Basic bG9jYWw6"),)):
            found = await refused(wire(*CHECK, metadata=metadata))
            assert found.reason == "CALLER_NOT_IDENTIFIED"

    async def test_what_a_proxy_passes_on_is_refused_with_a_token_too(self, app, wire, store):
        token = await added(store, "claims", "check")
        await reached(app, await store.revision())
        found = await refused(wire(*CHECK, metadata=(*bearer(token), ("x-forwarded-for", "192.0.2.7"))))
        assert found.reason == "CALLER_NOT_LOCAL"

    async def test_rights_change_and_go_without_a_restart(self, app, wire, management, store):
        token = await added(store, "claims", "check")
        await reached(app, await store.revision())
        assert await wire(*CHECK, metadata=bearer(token))
        changed = await management("ChangeCaller", pb.ChangeCallerRequest(caller="claims", may=["explain"], **WHY))
        await reached(app, changed.revision)
        assert (await refused(wire(*CHECK, metadata=bearer(token)))).reason == "CALLER_NOT_ALLOWED"
        back = await management("ChangeCaller", pb.ChangeCallerRequest(caller="claims", may=["check"], **WHY))
        await reached(app, back.revision)
        assert await wire(*CHECK, metadata=bearer(token))
        gone = await management("RemoveCaller", pb.RemoveCallerRequest(caller="claims", **WHY))
        await reached(app, gone.revision)
        assert (await refused(wire(*CHECK, metadata=bearer(token)))).reason == "CALLER_NOT_IDENTIFIED"

    async def test_a_warm_check_by_token_asks_neither_the_database_nor_casbin(self, app, wire, store, monkeypatch):
        token = await added(store, "claims", "check", physicians=("dr-a",))
        await reached(app, await store.revision())
        assert await wire(*CHECK, metadata=bearer(token))

        def never(*_):
            raise AssertionError("asked")

        monkeypatch.setattr("policy_service.decide.callers.over", never)
        monkeypatch.setattr("policy_service.store.database.reading", never)
        before = app.replica.snapshot.callers
        for _ in range(20):
            assert (await wire(*CHECK, metadata=bearer(token))).allowed
        assert app.replica.snapshot.callers is before

    async def test_what_is_remembered_of_accounts_and_rights_outlives_a_new_token(self, app, wire, store):
        assert await wire(*CHECK)
        account, rights = app.replica.snapshot.account("dr-a"), app.replica.snapshot.callers
        assert account.remembered
        await added(store, "claims")
        await reached(app, await store.revision())
        after = app.replica.snapshot
        assert after.account("dr-a") is account
        assert after.callers is not rights
        assert after.callers._reaches is rights._reaches

    async def test_last_use_is_seen_and_costs_a_call_no_write(self, app, wire, management, store):
        token = await added(store, "claims", "check")
        await reached(app, await store.revision())
        revision = await store.revision()
        before = datetime.now(UTC) - timedelta(seconds=1)
        for _ in range(50):
            await wire(*CHECK, metadata=bearer(token))

        async def seen():
            got = (await management("GetCaller", pb.GetCallerRequest(caller="claims"))).caller.tokens[0]
            return got.last_used_at.ToDatetime(tzinfo=UTC) if got.HasField("last_used_at") else None

        assert before <= await until(seen) <= datetime.now(UTC)
        assert await store.revision() == revision


class TestWithoutClientCertificates:
    """TLS for tokens alone: the other addresses are this host's, and nobody from elsewhere is ``local``."""

    @pytest.fixture
    async def app(self, store, database, seed, tmp_path):
        await install.install_first(store, seed, SHIPPED_MODEL)
        authority = Authority(tmp_path)
        addresses = dict.fromkeys(("decision_token_address", "management_token_address"), "127.0.0.1:0")
        settings = authority.settings(database, **addresses, tls_client_ca_file=None)
        async with open_app(settings) as opened:
            opened_to = authority.without_certificate
            yield opened, opened_to

    async def test_the_address_for_tokens_takes_nobody_without_one(self, app, store):
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

    async def test_who_opens_a_lasting_stream_there_shows_a_token(self, app, store):
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
                for metadata, told in (((), "no token"), (bearer(token), None), (bearer("x"), "not known")):
                    for stream in (
                        health.Watch(health_pb2.HealthCheckRequest(), metadata=metadata),
                        reflection.ServerReflectionInfo(iter([listed]), metadata=metadata),
                    ):
                        if told is None:
                            assert await anext(aiter(stream))
                            stream.cancel()
                        else:
                            with pytest.raises(grpc.aio.AioRpcError, match=told):
                                await anext(aiter(stream))
