"""Without TLS, as in development: a token says who it is, and without one it is ``local``."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from policy_service.pb import callers_pb2 as pb
from policy_service.vocabulary import issue_token
from tests.support.accounts import reached, register
from tests.support.callers import added, bearer
from tests.support.patience import until
from tests.support.rpc import Refused, question

WHY = {"actor": "olga", "reason": "a test"}
CHECK = ("Check", question("olive", "dr-a", "claim:view"))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def refused(call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


@pytest.fixture(autouse=True)
async def account(app):
    await reached(app, await register(app, "dr-a", "olive"))


async def test_a_token_is_its_caller_from_one_revision_to_another(app, wire, management):
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


async def test_a_wrong_token_is_never_taken_for_none(wire):
    for metadata in (bearer(issue_token().text), bearer(""), (("authorization", "Basic bG9jYWw6"),)):
        found = await refused(wire(*CHECK, metadata=metadata))
        assert found.reason == "CALLER_NOT_IDENTIFIED"


async def test_what_a_proxy_passes_on_is_refused_with_a_token_too(app, wire, store):
    token = await added(store, "claims", "check")
    await reached(app, await store.revision())
    found = await refused(wire(*CHECK, metadata=(*bearer(token), ("x-forwarded-for", "192.0.2.7"))))
    assert found.reason == "CALLER_NOT_LOCAL"


async def test_rights_change_and_go_without_a_restart(app, wire, management, store):
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


async def test_a_warm_check_by_token_asks_neither_the_database_nor_casbin(app, wire, store, monkeypatch):
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


async def test_what_is_remembered_of_accounts_and_rights_outlives_a_new_token(app, wire, store):
    assert await wire(*CHECK)
    account, rights = app.replica.snapshot.account("dr-a"), app.replica.snapshot.callers
    assert account.remembered
    await added(store, "claims")
    await reached(app, await store.revision())
    after = app.replica.snapshot
    assert after.account("dr-a") is account
    assert after.callers is not rights
    assert after.callers._reaches is rights._reaches


async def test_last_use_is_seen_and_costs_a_call_no_write(app, wire, management, store):
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
