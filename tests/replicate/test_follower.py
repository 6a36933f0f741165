"""The follower and the replica: at the store's revision, through every fault, and never a wrong allow."""

import asyncpg
import grpc
import pytest

from policy_service.app import open_app
from policy_service.decide import Account, Basis, Snapshot
from policy_service.pb import decision_pb2 as pb
from policy_service.replicate import Replica, follower
from policy_service.replicate.errors import ReplicaStale, RevisionNotReached
from policy_service.settings import Settings
from policy_service.store import StoreUnavailable
from policy_service.vocabulary import Held, Physician
from tests.support.accounts import grant, register, revoke
from tests.support.patience import patiently, until
from tests.support.rpc import METHODS, Refused, Wire

pytestmark = pytest.mark.over_tls

PAST_TRIGGERS = "SET session_replication_role = replica; "
"""As a restore does: no table is append-only to it."""


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


def others(dsn: str) -> str:
    """SQL that ends every connection of the service to a database."""
    return (
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
        f"WHERE datname = '{name_of(dsn)}' AND application_name = 'policy-service'"
    )


def name_of(dsn: str) -> str:
    """The database's name in an address of the embedded server."""
    return dsn.rsplit("@/", 1)[1].split("?")[0]


@pytest.fixture
def by_notice_alone(monkeypatch):
    """No look is due for an hour: what is seen, a notice told of."""
    monkeypatch.setattr(follower, "_POLL_SECONDS", 3_600.0)


async def test_a_write_is_seen_by_the_check_that_asks_for_its_revision(by_notice_alone, app, wire):
    await register(app, "dr-a", "olive")
    for number in range(30):
        given = await grant(app, "dr-a", f"u{number}", "data_entry")
        assert (await wire.check(f"u{number}", "dr-a", "claim:view", min_revision=given)).allowed
        taken = await revoke(app, "dr-a", f"u{number}", "data_entry")
        assert not (await wire.check(f"u{number}", "dr-a", "claim:view", min_revision=taken)).allowed


async def test_every_replica_answers_at_the_revision_asked_for(by_notice_alone, app, wire, settings):
    await register(app, "dr-a", "olive")
    async with open_app(settings) as other, Wire(other.planes.decision_port) as second:
        for number in range(10):
            revision = await grant(app, "dr-a", f"u{number}", "data_entry")
            for plane in (wire, second):
                answer = await plane.check(f"u{number}", "dr-a", "claim:view", min_revision=revision)
                assert (answer.allowed, answer.revision >= revision) == (True, True)


@pytest.mark.parametrize(
    "method", [name for name, (service, _) in METHODS.items() if service.name == "DecisionService"]
)
async def test_a_revision_that_is_not_there_is_unavailable_in_every_question(app, wire, method):
    await register(app, "dr-a", "olive")
    ahead = await app.store.revision() + 1
    asked = pb.CheckRequest(user="olive", physician="dr-a", action="claim:view", min_revision=ahead)
    requests = {
        "Check": asked,
        "BatchCheck": pb.BatchCheckRequest(checks=[pb.CheckRequest(user="a", physician="b", action="c:d"), asked]),
        "Explain": pb.ExplainRequest(check=asked),
        "ListActions": pb.ListActionsRequest(user="olive", physician="dr-a", min_revision=ahead),
        "ListUsers": pb.ListUsersRequest(physician="dr-a", action="claim:view", min_revision=ahead),
        "ListPhysicians": pb.ListPhysiciansRequest(user="olive", min_revision=ahead),
    }
    with pytest.raises(Refused) as refused:
        await wire(method, requests[method], patient=False)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "REVISION_NOT_REACHED")


async def test_with_every_connection_cut_checks_go_on_and_the_follower_comes_back(app, wire, database, postgres):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    assert (await wire.check("dan", "dr-a", "claim:view", min_revision=revision)).allowed
    for _ in range(3):
        await execute(postgres, others(database))
        assert (await wire.check("dan", "dr-a", "claim:view")).allowed
        # Written by another process, while the listening connection is down or just back.
        await execute(
            database,
            "WITH r AS (UPDATE policy_revision SET revision = revision + 1 RETURNING revision) "
            "UPDATE rules SET until_revision = r.revision FROM r WHERE v0 = 'user:dan' AND until_revision IS NULL",
        )
        revision += 1
        denied = await eventually(wire, "dan", revision)
        assert denied.reason == pb.REASON_NOT_A_MEMBER
        revision = await retried(lambda: grant(app, "dr-a", "dan", "data_entry"))
        assert (await eventually(wire, "dan", revision)).allowed


async def retried(write):
    """A write over a pool whose connections were cut: each try finds a dead one until they are replaced."""
    for _ in range(20):
        try:
            return await write()
        except StoreUnavailable:
            continue
    raise AssertionError("never written")


async def eventually(wire: Wire, user: str, revision: int) -> pb.CheckResponse:
    """Ask as the client does: again while UNAVAILABLE."""
    async with patiently():
        while True:
            try:
                return await wire.check(user, "dr-a", "claim:view", min_revision=revision)
            except Refused as refused:
                assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_with_the_database_gone_checks_end_at_the_age_set_and_never_become_an_allow(
    app, wire, database, postgres, monkeypatch
):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    assert (await wire.check("dan", "dr-a", "claim:view", min_revision=revision)).allowed
    name = name_of(database)
    await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await execute(postgres, others(database))
    assert (await wire.check("dan", "dr-a", "claim:view")).allowed  # from memory, for a while
    # The age set, and a second more, have passed since the database last answered.
    clock = app.replica._clock
    monkeypatch.setattr(app.replica, "_clock", lambda: clock() + Settings().max_staleness_seconds + 1)
    for user in ("dan", "eve") * 20:
        with pytest.raises(Refused) as refused:
            await wire.check(user, "dr-a", "claim:view")
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "REPLICA_STALE")
    await until(lambda: says(app, "NOT_SERVING"))
    await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (await eventually(wire, "dan", revision)).allowed
    await until(lambda: says(app, "SERVING"))


async def says(app, state: str) -> bool:
    return await health(app) == state


async def health(app) -> str:
    from grpc_health.v1 import health_pb2

    async with Wire(app.planes.decision_port) as wire:
        call = wire.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        state = (await call(health_pb2.HealthCheckRequest(service="policy.v1.DecisionService"))).status
    return health_pb2.HealthCheckResponse.ServingStatus.Name(state)


async def test_a_restored_backup_is_loaded_anew(app, wire, database):
    await register(app, "dr-a", "olive")
    kept = await grant(app, "dr-a", "dan", "data_entry")
    gone = await grant(app, "dr-a", "eve", "data_entry")
    assert (await wire.check("eve", "dr-a", "claim:view", min_revision=gone)).allowed
    # What restoring the backup of one revision ago does.
    await execute(
        database,
        PAST_TRIGGERS + "DELETE FROM rules WHERE from_revision > 3; DELETE FROM changes WHERE revision > 3;"
        "UPDATE policy_revision SET revision = 3",
    )
    async with patiently():
        while (await wire.check("eve", "dr-a", "claim:view")).allowed:
            pass
    answer = await wire.check("dan", "dr-a", "claim:view")
    assert (answer.allowed, answer.revision) == (True, kept)


async def test_another_history_that_reached_the_same_number_is_noticed(app, wire, database):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "eve", "data_entry")
    assert (await wire.check("eve", "dr-a", "claim:view", min_revision=revision)).allowed
    # Restored to the revision before, then written to by others, all between two looks.
    await execute(
        database,
        f"""
        {PAST_TRIGGERS}
        DO $$ BEGIN
        DELETE FROM rules WHERE from_revision = {revision}; DELETE FROM changes WHERE revision = {revision};
        UPDATE policy_revision SET mark = gen_random_uuid();
        INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision)
        VALUES ('g', 'user:dan', 'role:data_entry', 'physician:dr-a', 'api', {revision});
        END $$
        """,
    )
    async with patiently():
        while (await wire.check("eve", "dr-a", "claim:view")).allowed:
            pass
    answer = await wire.check("dan", "dr-a", "claim:view")
    assert (answer.allowed, answer.revision) == (True, revision)


async def test_a_schema_that_is_away_for_a_moment_ends_no_replica(app, wire, database):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    assert (await wire.check("dan", "dr-a", "claim:view", min_revision=revision)).allowed
    await execute(database, "ALTER TABLE policy_revision RENAME TO away")
    async with patiently():
        while app.replica.age < 1.5:  # it has looked, and failed
            assert (await wire.check("dan", "dr-a", "claim:view")).allowed
    await execute(database, "ALTER TABLE away RENAME TO policy_revision")
    revision = await grant(app, "dr-a", "eve", "data_entry")
    assert (await eventually(wire, "eve", revision)).allowed


async def test_an_emptied_policy_is_never_taken_over(app, wire, database):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    assert (await wire.check("dan", "dr-a", "claim:view", min_revision=revision)).allowed
    await execute(
        database,
        "WITH r AS (UPDATE policy_revision SET revision = revision + 1 RETURNING revision) "
        "UPDATE rules SET until_revision = r.revision FROM r WHERE origin = 'seed' AND until_revision IS NULL",
    )
    with pytest.raises(Refused) as refused:
        await wire.check("dan", "dr-a", "claim:view", patient=False, min_revision=revision + 1)
    assert refused.value.reason == "REVISION_NOT_REACHED"
    answer = await wire.check("dan", "dr-a", "claim:view")
    assert (answer.allowed, answer.revision) == (True, revision)


async def test_pages_are_of_one_revision_or_refused(app, wire):
    await register(app, "dr-a", "olive")
    for number in range(5):
        revision = await grant(app, "dr-a", f"u{number}", "data_entry")
    ask = {"physician": "dr-a", "action": "claim:view", "page_size": 2}
    first = await wire("ListUsers", pb.ListUsersRequest(**ask, min_revision=revision))
    other = await register(app, "dr-b", "oscar")  # a change elsewhere disturbs nobody
    second = await wire("ListUsers", pb.ListUsersRequest(**ask, page_token=first.next_page_token, min_revision=other))
    assert second.revision == first.revision == revision
    changed = await grant(app, "dr-a", "u9", "data_entry")
    with pytest.raises(Refused) as refused:
        await wire("ListUsers", pb.ListUsersRequest(**ask, page_token=second.next_page_token, min_revision=changed))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ABORTED, "LIST_CHANGED")


def test_a_replica_is_stale_by_its_own_clock(model, seed):
    now = 0.0
    basis = Basis(model, seed)
    snapshot = Snapshot.of(Held(revision=5), basis, [Account(basis, Physician("dr"), (), ())])
    replica = Replica(snapshot, max_age=10, longest_wait=0.01, clock=lambda: now)
    now = 10.0
    assert replica.at(5) is snapshot
    now = 10.1
    with pytest.raises(ReplicaStale):
        replica.at()
    replica.confirm(9.0)
    assert replica.at() is snapshot
    with pytest.raises(RevisionNotReached) as refused:
        replica.at(6)
    assert (refused.value.wanted, refused.value.reached) == (6, 5)
