"""The decision log in the database: as many as were made, whatever happens to the database meanwhile."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from policy_service.app import open_app
from policy_service.audit import Verdict, verify
from policy_service.decision_log import DecisionLog, shipping
from policy_service.decision_log.shipping import Shipper
from policy_service.decision_log.spool import Segment
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.settings import Settings
from policy_service.store import SERVICE_ROLE, Store, StoreUnavailable, as_role, connect_store
from policy_service.store import connection as connection_settings
from policy_service.vocabulary import DecisionLogMode, Outcome, Reason
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import grant, reached, register
from tests.support.patience import PATIENCE, patiently, until
from tests.support.rpc import Refused, Wire, question


@pytest.fixture
def quiet(database, tmp_path, monkeypatch):
    """Settings of a service whose files are its own, with the least spool there is, and time to ship at its end."""
    monkeypatch.setattr(shipping, "_LAST_SECONDS", PATIENCE)
    return settings_for(as_role(database, SERVICE_ROLE), data_dir=tmp_path, decision_log_spool_mb=8)


@asynccontextmanager
async def serving(settings: Settings, store: Store, seed):
    """A service with one account; when the block ends, everything that can be shipped is."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings) as app, Wire(app.planes.decision_port) as wire:
        if app.replica.snapshot.account("dr-a") is None:
            await register(app, "dr-a", "olive")
            await reached(app, await grant(app, "dr-a", "mia", "data_entry"))
        yield wire


async def rows(
    database: str, query: str = "SELECT * FROM decisions ORDER BY replica, sequence"
) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database)
    found = await connection.fetch(query)
    await connection.close()
    return found


async def recovered(database: str) -> None:
    """Wait until what a process left behind is in the database."""
    await until(lambda: rows(database, "SELECT FROM decision_replicas WHERE event = 'recovered'"))


async def verdict(store: Store) -> Verdict:
    found = [part async for part in verify(store, [])][-1]
    assert found.fault == ""
    return found


async def test_a_decision_is_recorded_as_it_was_asked_and_answered(quiet, store, seed, database):
    async with serving(quiet, store, seed) as wire:
        allowed = await wire.check("mia", "dr-a", "claim:submit", resource="claim\\9", correlation_id="r-1")
        denied = await wire.check("mia", "dr-a", "claim:submit", pb.CHANNEL_MOBILE)
        stranger = await wire.check("nobody", "dr-a", "claim:submit")
        unknown = await wire.check("mia", "dr-none", "no:such")
        revision = allowed.revision
    found = await rows(database)
    replica = allowed.decision_id.partition("-")[0]
    fields = ("username", "physician", "action", "channel", "resource", "correlation_id", "allowed", "reason", "role")
    assert [tuple(row[name] for name in fields) for row in found] == [
        ("mia", "dr-a", "claim:submit", "web", "claim\\9", "r-1", True, "granted", "data_entry"),
        ("mia", "dr-a", "claim:submit", "mobile", "", "", False, "channel not allowed", ""),
        ("nobody", "dr-a", "claim:submit", "web", "", "", False, "not a member", ""),
        ("mia", "dr-none", "no:such", "web", "", "", False, "unknown physician", ""),
    ]
    assert {(row["caller"], row["revision"], row["replica"]) for row in found} == {("local", revision, replica)}
    ids = [answer.decision_id for answer in (allowed, denied, stranger, unknown)]
    assert ids == [f"{replica}-{row['sequence']}" for row in found]


async def test_a_batch_and_an_explanation_are_recorded_and_errors_are_not(quiet, store, seed, database):
    async with serving(quiet, store, seed) as wire:
        asked = [question("mia", "dr-a", action) for action in ("claim:view", "invoice:pay", "claim:view")]
        answer = await wire("BatchCheck", pb.BatchCheckRequest(checks=asked))
        explained = await wire("Explain", pb.ExplainRequest(check=asked[1]))
        with pytest.raises(Refused):
            await wire.check("mia", "*", "claim:view")
        with pytest.raises(Refused):
            await wire("BatchCheck", pb.BatchCheckRequest(checks=[asked[0], question("", "", "")]))
    found = await rows(database)
    assert [(row["action"], row["allowed"]) for row in found] == [
        ("claim:view", True), ("invoice:pay", False), ("claim:view", True), ("invoice:pay", False),
    ]  # fmt: skip
    ids = [one.decision_id for one in answer.answers] + [explained.decision.decision_id]
    assert ids == [f"{row['replica']}-{row['sequence']}" for row in found]


@pytest.mark.parametrize(("mode", "recorded"), [("all", 4), ("denials", 2), ("off", 0)])
async def test_the_mode_says_what_is_recorded(quiet, store, seed, database, mode, recorded):
    settings = quiet.model_copy(update={"decision_log": DecisionLogMode(mode)})
    async with serving(settings, store, seed) as wire:
        for user in ("mia", "nobody"):
            await wire.check(user, "dr-a", "claim:view")
            await wire("BatchCheck", pb.BatchCheckRequest(checks=[question(user, "dr-a", "claim:view")]))
    found = await rows(database)
    assert [row["sequence"] for row in found] == list(range(1, recorded + 1))


async def ask(wire: Wire, batches: int) -> int:
    """So many batches of a thousand."""
    request = pb.BatchCheckRequest(
        checks=[question("mia", "dr-a", "claim:view", resource="r" * 200, correlation_id="c" * 100)] * 1_000
    )
    for _ in range(batches):
        assert len((await wire("BatchCheck", request)).answers) == 1_000
    return batches * 1_000


@asynccontextmanager
async def away(postgres: str, database: str):
    """The database refuses everybody, and ends whoever is there."""
    name = database.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = $1"
    # Whoever was just coming in is told too.
    while await connection.fetchval(end, name):
        pass
    yield
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await connection.close()


async def test_while_the_database_is_away_decisions_wait_and_then_all_are_there(quiet, store, seed, database, postgres):
    async with serving(quiet, store, seed) as wire:
        made = await ask(wire, 3)
        async with away(postgres, database):
            made += await ask(wire, 8)
        made += await ask(wire, 1)
    async with connect_store(database) as again:
        (replica,) = (await verdict(again)).replicas
    assert (replica.decisions, replica.last_sequence, replica.lost) == (made, made, 0)
    assert replica.ended_at is not None


async def test_lines_go_to_the_disk_while_the_database_is_away(tmp_path, monkeypatch):
    class Away:
        async def note_start(self, replica: str) -> None:  # noqa: ARG002
            raise StoreUnavailable

    decisions, synced = DecisionLog(tmp_path, "abc", mode=DecisionLogMode.ALL, most_bytes=64 << 20), set[bytes]()
    monkeypatch.setattr(Segment, "sync", lambda segment: synced.add(segment.waiting()))
    outcome = Outcome(allowed=True, reason=Reason.GRANTED)
    while len(decisions.waiting()) < 2:
        decisions.record_all(
            "c", [question("mia", "dr-a", "claim:view")] * 1_000, ["web"] * 1_000, [outcome] * 1_000, 1
        )
    with pytest.raises(StoreUnavailable):
        await Shipper(Away(), decisions, tmp_path, keep_days=400).ship()
    assert synced == {segment.waiting() for segment in decisions.waiting()}
    decisions.close(whole=True)


async def test_a_service_that_ends_while_the_database_is_away_leaves_them_to_the_next(
    quiet, store, seed, database, postgres
):
    async with serving(quiet, store, seed) as wire:
        made = await ask(wire, 1)
        gone = away(postgres, database)
        await gone.__aenter__()
        made += await ask(wire, 5)
    await gone.__aexit__(None, None, None)
    assert len(await rows(database)) < made
    async with connect_store(database) as again, serving(quiet, again, seed):
        await recovered(database)
    assert len(await rows(database)) == made


async def test_damage_to_one_file_keeps_no_decision_from_the_database(quiet, store, seed, database):
    await install.install_first(store, seed, SHIPPED_MODEL)
    folder = quiet.data_dir / "decisions" / await store.log_name()
    outcome, asked = Outcome(allowed=True, reason=Reason.GRANTED), question("mia", "dr-a", "claim:view")
    for replica in ("aaa", "bbb", "ccc"):
        decisions = DecisionLog(folder, replica, mode=DecisionLogMode.ALL, most_bytes=64 << 20)
        for _ in range(3):
            decisions.record("c", asked, "web", outcome, 1)
        if replica == "bbb":
            # A loss of power: the second line did not get to the disk.
            (segment,) = decisions.waiting()
            start, end = (segment.waiting().find(b"\n", at) + 1 for at in (0, segment.waiting().find(b"\n") + 1))
            segment.bytes[64 + start : 64 + end] = bytes(end - start)
            # Killed while it made its next file.
            (folder / "bbb-00000009.lines").touch()
        decisions.close(whole=False)
    async with serving(quiet, store, seed):
        await until(lambda: rows(database, "SELECT FROM decision_replicas WHERE event = 'recovered' OFFSET 2"))
    found = [(row["replica"], row["sequence"]) for row in await rows(database)]
    assert found == [("aaa", 1), ("aaa", 2), ("aaa", 3), ("bbb", 1), ("ccc", 1), ("ccc", 2), ("ccc", 3)]
    assert [path.name for path in folder.iterdir()] == ["bbb.broken"]


async def test_lines_that_were_committed_though_nobody_heard_are_not_doubled(quiet, store, seed, database):
    async with serving(quiet, store, seed) as wire:
        await ask(wire, 1)
    before = await rows(database)
    lines = "".join(
        f"{row['at'].isoformat(sep=' ')}\t{row['replica']}\tlocal\t{row['sequence']}\tmia\tdr-a\tclaim:view\tweb\tr\\\\s\tc\tt\t"
        f"granted\tdata_entry\t3\n"
        for row in before[500:]
    )
    more = lines.splitlines(keepends=True)[-1].replace("\t1000\t", "\t1001\t")
    async with connect_store(as_role(database, SERVICE_ROLE)) as shipping:
        await shipping.append_decisions((lines + more).encode())
    after = await rows(database)
    assert after[:1_000] == before
    assert (after[-1]["sequence"], after[-1]["resource"], len(after)) == (1_001, "r\\s", 1_001)


async def test_lines_of_any_day_find_their_table(quiet, store, seed, database):
    line = "{day} 23:59:59.999999+00\tr\tlocal\t{n}\tmia\tdr-a\tclaim:view\tweb\t\t\tt\tgranted\tdata_entry\t3\n"
    days = ("2026-01-31", "2026-02-01", "2024-02-29", "2027-12-31")
    lines = "".join(line.format(day=day, n=number) for number, day in enumerate(days, start=1))
    async with connect_store(as_role(database, SERVICE_ROLE)) as shipping:
        await shipping.append_decisions(lines.encode())
    tables = await rows(database, "SELECT tableoid::regclass::text AS name FROM decisions ORDER BY sequence")
    assert [row["name"] for row in tables] == [f"decisions_{day.replace('-', '')}" for day in days]


async def test_another_databases_lines_stay_where_they_are(quiet, store, seed, database, postgres):
    """One folder, two databases in turn: what one process left for the first never ends up in the second."""
    async with serving(quiet, store, seed) as wire:
        gone = away(postgres, database)
        await gone.__aenter__()
        made = await ask(wire, 1)
    name = "another_house"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    other = postgres.replace("/postgres?", f"/{name}?")
    async with connect_store(other) as second:
        elsewhere = quiet.model_copy(update={"database_url": settings_for(other).database_url})
        async with serving(elsewhere, second, seed):
            pass
    assert await rows(other) == []
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()
    await gone.__aexit__(None, None, None)
    async with connect_store(database) as again, serving(quiet, again, seed):
        await recovered(database)
    assert len(await rows(database)) == made


async def test_after_a_restore_its_processes_are_known_again(quiet, database, store, seed):
    """A backup of before this process started says nothing of it; what it goes on recording is no forgery."""
    async with serving(quiet, store, seed) as wire:
        await wire.check("mia", "dr-a", "claim:view")
        connection = await asyncpg.connect(database)
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM decision_replicas")
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1", SERVICE_ROLE
        )
        await connection.close()
        await wire.check("mia", "dr-a", "claim:view")
    (replica,) = (await verdict(store)).replicas
    assert replica.decisions == 2


async def test_a_day_whose_table_went_is_made_again(quiet, database, store, seed):
    """As after a restore from a backup of yesterday, or where another replica dropped an old day."""
    async with serving(quiet, store, seed) as wire:
        await wire.check("mia", "dr-a", "claim:view")
        tables = await until(lambda: rows(database, "SELECT DISTINCT tableoid::regclass::text AS name FROM decisions"))
        connection = await asyncpg.connect(database)
        await connection.execute(f"DROP TABLE {tables[0]['name']}")
        await connection.close()
        await wire.check("mia", "dr-a", "claim:view")
        await until(lambda: rows(database, "SELECT FROM decisions HAVING array_agg(sequence) = ARRAY[2::bigint]"))


async def killed(quiet: Settings, store: Store, replica: str) -> None:
    """A process that recorded one decision and was killed."""
    folder = quiet.data_dir / "decisions" / await store.log_name()
    decisions = DecisionLog(folder, replica, mode=DecisionLogMode.ALL, most_bytes=64 << 20)
    outcome = Outcome(allowed=True, reason=Reason.GRANTED)
    decisions.record("c", question("mia", "dr-a", "claim:view"), "web", outcome, 1)
    decisions.close(whole=False)


async def test_where_nothing_is_recorded_any_more_what_a_killed_process_left_still_is(quiet, database, store, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    await killed(quiet, store, "aaa")
    off = quiet.model_copy(update={"decision_log": DecisionLogMode.OFF})
    async with serving(off, store, seed) as wire:
        await wire.check("mia", "dr-a", "claim:view")
        await recovered(database)
    assert [row["replica"] for row in await rows(database)] == ["aaa"]
    assert [log.replica for log in (await verdict(store)).replicas] == ["aaa"]


async def test_what_cannot_be_brought_in_keeps_nothing_else_waiting(quiet, database, store, seed, monkeypatch):
    """Neither the other killed processes, nor this one's decisions, nor the dropping of old days."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    for replica in ("aaa", "bbb", "ccc"):
        await killed(quiet, store, replica)
    noted, forgotten = Store.note_replica, asyncio.Event()
    forget = Store.forget_decisions

    async def note(self, replica, *rest, **more):
        if replica == "bbb":
            raise ValueError("cannot be written down")
        await noted(self, replica, *rest, **more)

    async def forget_and_tell(self, before):
        dropped = await forget(self, before)
        forgotten.set()
        return dropped

    monkeypatch.setattr(Store, "note_replica", note)
    monkeypatch.setattr(Store, "forget_decisions", forget_and_tell)
    async with serving(quiet, store, seed) as wire:
        await wire.check("mia", "dr-a", "claim:view")
        async with patiently():
            await forgotten.wait()
    closed = await rows(database, "SELECT replica FROM decision_replicas WHERE event = 'recovered' ORDER BY replica")
    assert [row["replica"] for row in closed] == ["aaa", "ccc"]
    folder = quiet.data_dir / "decisions" / await store.log_name()
    assert {path.name.partition("-")[0].partition(".")[0] for path in folder.iterdir()} == {"bbb"}


async def test_old_days_wait_for_whoever_reads_and_nobody_waits_for_them(database, monkeypatch):
    # The function's own limit, and no other of the service's, is what ends the wait.
    for limit in ("lock_timeout", "statement_timeout"):
        monkeypatch.setitem(connection_settings.TIMEOUTS, limit, "0")
    monkeypatch.setattr(connection_settings, "_COMMAND_SECONDS", 2 * PATIENCE)
    old = datetime.now(UTC).date() - timedelta(days=400)
    owner = await asyncpg.connect(database)
    await owner.execute("SELECT decisions_make_day($1)", old)
    async with connect_store(database) as store:
        async with owner.transaction():
            # As a backup, or a long verification.
            await owner.fetch("SELECT FROM decisions")
            async with patiently():
                with pytest.raises(StoreUnavailable):
                    await store.forget_decisions(old + timedelta(days=5))
        assert await store.forget_decisions(old + timedelta(days=5)) == 1
    await owner.close()


@pytest.mark.parametrize("which", ["true", "sequence <= 3", "sequence = 2"])
async def test_decisions_of_the_last_month_that_were_taken_away_are_missed(quiet, database, store, seed, which):
    """Whichever they are: the first of a process, some, or all."""
    async with serving(quiet, store, seed) as wire:
        for _ in range(5):
            await wire.check("mia", "dr-a", "claim:view")
    await verdict(store)
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = replica")
    gone = int((await connection.execute(f"DELETE FROM decisions WHERE {which}")).split()[1])
    await connection.close()
    (*_, found) = [part async for part in verify(store, [])]
    assert f"lacks {gone} decisions not counted as lost" in found.fault
