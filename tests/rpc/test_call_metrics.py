"""What Prometheus is told of calls, the replica, the pool, letters and checkpoints; no name from outside is a label."""

import asyncio
import threading
from concurrent.futures import wait
from datetime import timedelta

import asyncpg
import grpc
import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from policy_service import metrics
from policy_service.app import open_app
from policy_service.counting import Calls
from policy_service.decision_log.recorder import DecisionLog
from policy_service.members.carriers import Folder
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.replicate import follower
from policy_service.rpc import Readiness, showing_metrics
from policy_service.rpc.turned_away import Threads
from policy_service.seed import install
from policy_service.store import connect_store
from policy_service.vocabulary import DecisionLogMode, Outcome, Reason
from tests.conftest import SHIPPED_MODEL
from tests.members.test_delivery import office  # noqa: F401 - a fixture.
from tests.rpc.test_metrics_port import asked
from tests.support.accounts import grant, reached, register
from tests.support.patience import PATIENCE, until
from tests.support.people import Page
from tests.support.rpc import Refused, Wire, question


def told(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def shown(name: str, *values: float, **labels: str) -> None:
    """Wait until a metric has one of these values."""

    async def has() -> bool:
        return told(name, **labels) in values

    await until(has)


async def test_calls_are_counted_by_method_code_and_reason_and_answered_ones_timed(app, wire, management):
    await reached(app, await register(app, "dr-a", "olive"))

    def counts() -> list[float]:
        check = "DecisionService/Check"
        return [
            told("policy_calls_total", method=check, code="OK", reason=""),
            told("policy_call_seconds_count", method=check),
            told("policy_calls_total", method=check, code="INVALID_ARGUMENT", reason="INVALID_REQUEST"),
            told("policy_calls_total", method="ManageUsersService/ListMembers", code="OK", reason=""),
            told(
                "policy_calls_total",
                method="ManageUsersService/ListRoles",
                code="NOT_FOUND",
                reason="UNKNOWN_PHYSICIAN",
            ),
        ]

    before, seconds = counts(), told("policy_call_seconds_sum", method="DecisionService/Check")
    for _ in range(3):
        await wire.check("olive", "dr-a", "claim:view")
    for _ in range(2):
        with pytest.raises(Refused):
            await wire.check("", "dr-a", "claim:view")
    await Page(management, "olive", "dr-a").members()
    with pytest.raises(Refused) as unknown:
        await Page(management, "olive", "dr-nobody").roles()
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [3, 3, 2, 1, 1], unknown.value
    assert told("policy_call_seconds_sum", method="DecisionService/Check") > seconds


def test_classic_buckets_and_the_native_histogram_tell_the_same():
    calls = Calls()
    note = calls.answered("X/Y")
    for seconds in (0.0001, 0.001, 0.001, 0.25, 0.2500001, 100.0, 0.0):
        note(seconds)
    counted, times = calls.collect()
    assert not any(sample.native_histogram for sample in times.samples)
    assert [(sample.labels["code"], sample.value) for sample in counted.samples] == [("OK", 7), ("INTERNAL", 0)]
    classic = {sample.labels["le"]: sample.value for sample in times.samples if sample.name.endswith("_bucket")}
    assert (classic["0.0001220703125"], classic["0.25"], classic["0.5"], classic["16.0"], classic["+Inf"]) == (
        2,
        5,
        6,
        6,
        7,
    )
    (native,) = [sample.native_histogram for sample in calls.native()]
    at, ends, count = 0, {}, 0
    deltas = iter(native.pos_deltas)
    for offset, length in native.pos_spans:
        at += offset
        for _ in range(length):
            count += next(deltas)
            ends[2 ** (at / 8)] = count
            at += 1
    assert sum(ends.values()) == native.count_value == 7
    # A bucket holds what is at most its end, which is at most an eighth power of two away.
    assert sum(count for end, count in ends.items() if end <= 0.25) == classic["0.25"]
    assert ends[min(end for end in ends if end >= 0.25)] == 1
    assert all(any(seconds <= end < seconds * 1.1 for end in ends) for seconds in (0.0001, 0.001, 100.0))


async def test_only_whoever_takes_openmetrics_2_is_told_native_histograms(app, wire):
    await wire.check("olive", "dr-a", "claim:view")
    bucket = b'policy_call_seconds_bucket{le="0.0009765625",method="DecisionService/Check"}'
    async with showing_metrics("127.0.0.1:0", Readiness()) as port:
        for version, native in (("", 0), ("0.0.1", 0), ("1.0.0", 0), ("2.0.0", 1)):
            accept = f"Accept: application/openmetrics-text; version={version}\r\n" if version else ""
            text = await asked(port, "GET", "/metrics", accept)
            assert bucket in text
            # Older formats would tell it as a number.
            assert text.count(b'policy_call_seconds{method="DecisionService/Check"}') == native, version
            assert text.count(b"positive_spans") >= native


async def test_a_limit_is_told_with_the_caller_if_the_policy_knows_it(store, settings, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    limit = "questions a second of one caller"
    before = told("policy_limits_hit_total", caller="local", limit=limit)
    more = settings.model_copy(update={"max_questions_per_second": 1.0})
    async with open_app(more) as app, Wire(app.planes.decision_port) as wire:
        await shown("policy_replica_fresh", 1)
        batch = pb.BatchCheckRequest(checks=[question("olive", "dr-a", "claim:view")] * 1_000)
        with pytest.raises(Refused, match="RATE_LIMITED"):
            for _ in range(3):
                await wire("BatchCheck", batch)
    assert told("policy_limits_hit_total", caller="local", limit=limit) == before + 1
    assert metrics.caller_label("local") == "local"
    assert metrics.caller_label("billing") == "billing"
    for name in ("mallory", "", "role:any"):
        assert metrics.caller_label(name) == "unknown"


def test_calls_that_grpc_turns_away_are_counted():
    threads, go = Threads(2), threading.Event()
    handlers = grpc.method_handlers_generic_handler(
        "x", {"y": grpc.unary_unary_rpc_method_handler(lambda *_: bytes(not go.wait(PATIENCE)))}
    )
    server = grpc.server(threads, maximum_concurrent_rpcs=1)
    server.add_generic_rpc_handlers((threads.given_by(handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    before = told("policy_calls_turned_away_total")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/x/y")
        calls = [ask.future(b"") for _ in range(8)]
        for call in calls:
            call.add_done_callback(lambda _: len([one for one in calls if one.done()]) == 7 and go.set())
        codes = [call.code() for call in calls]
        assert sorted(code.name for code in codes) == ["OK"] + ["RESOURCE_EXHAUSTED"] * 7
        ask(b"")
        assert told("policy_calls_turned_away_total") == before + 7
        # What is not ours is nobody's that was turned away.
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/x/z")(b"")
        ask(b"")
        assert told("policy_calls_turned_away_total") == before + 7
    server.stop(None).wait()
    wait([threads.submit(int)])
    threads.shutdown()


async def allow_connections(database: str, *, yes: bool) -> None:
    name = database.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(database.replace(f"/{name}?", "/postgres?"))
    await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"true" if yes else "false"}')
    if not yes:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await connection.close()


async def test_the_follower_its_age_and_the_bytes_that_wait_are_told_while_the_database_is_away(app, wire, database):
    await register(app, "dr-a", "olive")
    await reached(app, revision := await grant(app, "dr-a", "dan", "data_entry"))
    await shown("policy_follower_state", 1, state="following")
    await shown("policy_replica_revision", revision)
    await shown("policy_decision_log_waiting_bytes", 0)
    assert told("policy_replica_behind") == 0
    await allow_connections(database, yes=False)
    await shown("policy_follower_state", 1, state="paused")
    assert told("policy_follower_state", state="following") == 0
    age = told("policy_replica_age_seconds")
    await asyncio.gather(*(wire.check("dan", "dr-a", "claim:view") for _ in range(50)))

    async def waits() -> bool:
        return told("policy_decision_log_waiting_bytes") > 50 * 50 and told("policy_replica_age_seconds") > age

    await until(waits)
    await allow_connections(database, yes=True)
    await shown("policy_follower_state", 1, state="following")
    await shown("policy_decision_log_waiting_bytes", 0)


async def test_a_replica_tells_how_far_it_is_behind(app, monkeypatch):
    seen, real = [], follower._next

    def noticed(*moved):
        seen.append((told("policy_replica_behind"), told("policy_follower_state", state="catching_up")))
        return real(*moved)

    monkeypatch.setattr(follower, "_next", noticed)
    await reached(app, await register(app, "dr-a", "olive"))
    assert seen
    assert all(behind >= 1 and catching == 1 for behind, catching in seen)
    await shown("policy_replica_behind", 0)


async def test_a_question_is_cold_once(app, wire):
    await reached(app, await register(app, "dr-a", "olive"))
    before = told("policy_decisions_cold_total")
    await wire.check("olive", "dr-a", "claim:view")
    asked = told("policy_decisions_cold_total")
    assert asked > before
    for _ in range(5):
        await wire.check("olive", "dr-a", "claim:view")
    assert told("policy_decisions_cold_total") == asked


async def test_the_pool_tells_its_connections_and_who_waits_for_one(database):
    async with connect_store(database, pool_size=1) as store:
        assert store.pool_states == {"busy": 0, "idle": 1, "most": 1, "waiting": 0}
        async with store.reading():
            second = asyncio.create_task(store.reading().__aenter__())

            async def waits() -> bool:
                return store.pool_states == {"busy": 1, "idle": 0, "most": 1, "waiting": 1}

            await until(waits)
            second.cancel()
            await asyncio.wait([second])


async def test_the_oldest_letter_and_bounces_are_told_by_state(office, tmp_path):  # noqa: F811
    await office.invite("nina")
    office.clock.move(hours=1)
    await office.invite("otto")
    office.clock.move(hours=1)

    sender = office.sender(Folder(tmp_path))
    # It only looks.
    sender.send_due = lambda: asyncio.sleep(0, 0)
    rounds = asyncio.Event()
    running = asyncio.create_task(sender.run(rounds.set))
    await rounds.wait()
    assert told("policy_letters_not_done", state="queued") == 2
    assert told("policy_letters_oldest_seconds", state="queued") == timedelta(hours=2).total_seconds()
    assert told("policy_letters_oldest_seconds", state="failed") == 0
    running.cancel()
    await asyncio.wait([running])


def test_losses_are_told_by_caller(tmp_path):
    log = DecisionLog(tmp_path, "abc", mode=DecisionLogMode.ALL, most_bytes=0)
    before = (
        told("policy_decisions_lost_total", caller="billing"),
        told("policy_decisions_lost_total", caller="unknown"),
    )
    metrics.know_callers(frozenset({"billing"}))
    outcome = Outcome(allowed=False, reason=Reason.NOT_GRANTED)
    many = [question("a" * 64, "b" * 64, "claim:view", resource="c" * 256)] * 1_000
    while not log.lost:
        log.record_all("mallory", many, ["web"] * 1_000, [outcome] * 1_000, 1, or_lose=True)
    assert told("policy_decisions_lost_total", caller="unknown") == before[1] + log.lost
    while log.lost == 1_000:
        log.record_all("billing", many, ["web"] * 1_000, [outcome] * 1_000, 1, or_lose=True)
    assert told("policy_decisions_lost_total", caller="billing") == before[0] + 1_000
    log.close(whole=True)


async def test_a_checkpoint_is_young_and_names_its_revision(app):
    await shown("policy_checkpoint_revision", await app.store.revision())
    assert told("policy_checkpoint_age_seconds") < PATIENCE


async def test_what_runs_here_and_what_it_takes_is_told(app):
    found = {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    (build,) = found["policy_build_info"].samples
    assert set(build.labels) == {"version", "commit", "python"}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info", "python_gc_collections"} <= set(found)
    assert {sample.labels["plane"] for sample in found["policy_calls_in_hand"].samples} == {"decision", "management"}


async def test_what_is_alerted_on_is_there_before_it_happens(app):
    """A counter that begins at 1 has never grown, so nobody would be told of the first."""
    await shown("policy_replica_fresh", 1)
    for method in ("DecisionService/Check", "ManageUsersService/InviteUser", "AuditService/VerifyLog"):
        labels = {"method": method, "code": "INTERNAL", "reason": "INTERNAL"}
        assert metrics.registry.get_sample_value("policy_calls_total", labels) is not None
    for caller in ("local", "billing", "unknown"):
        assert metrics.registry.get_sample_value("policy_decisions_lost_total", {"caller": caller}) is not None
    assert metrics.registry.get_sample_value("policy_letters_total", {"state": "bounced"}) is not None


async def test_no_label_comes_from_outside(app, wire, management):
    with pytest.raises(Refused):
        await wire.check("mallory-the-user", "dr-evil", "not:an:action")
    await wire.check("mallory-the-user", "dr-evil", "claim:view")
    with pytest.raises(Refused):
        await management("ListMembers", mu.ListMembersRequest(physician="dr-evil", actor="mallory-the-user"))
    text = openmetrics(metrics.with_native, version="2.0.0")
    assert b"mallory" not in text
    assert b"dr-evil" not in text
