"""Decisions in the order of their arrival: whoever reads on misses nothing, and an id is given once."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from alembic import command
from google.protobuf.timestamp_pb2 import Timestamp

from policy_service.audit import verify
from policy_service.pb import audit_pb2 as pb
from policy_service.store import (
    BEGINNING,
    SERVICE_ROLE,
    DecisionFilter,
    Place,
    arrived,
    as_role,
    connect_store,
    migrate,
)
from policy_service.store.errors import ForeignArrival
from policy_service.store.migrate import _config, _engine
from tests.support.rpc import Refused

NOW = datetime.now(UTC).replace(microsecond=0)
EVERYTHING = DecisionFilter()


def lines(replica: str, first: int, count: int, at: datetime = NOW, user: str = "mia") -> bytes:
    """So many lines of a process, from a sequence on."""
    return "".join(
        f"{at + timedelta(milliseconds=sequence):%Y-%m-%d %H:%M:%S.%f}+00\t{replica}\tlocal\t{sequence}\t{user}\tdr-a\t"
        "claim:view\tweb\t\t\tt\tgranted\tdata_entry\t3\n"
        for sequence in range(first, first + count)
    ).encode()


async def read_on(store, place: Place, wanted: DecisionFilter = EVERYTHING, size: int = 1_000) -> tuple[list, Place]:
    """All there is behind a place, page by page."""
    found, more = [], True
    while more:
        async with store.reading() as look:
            page = await arrived(look, wanted, after=place, size=size)
        found += [(decision.replica, decision.sequence) for decision in page.decisions]
        place, more = page.place, page.more
    return found, place


@pytest.fixture
async def shipping(database, store):
    """A store with the rights of the service."""
    async with connect_store(as_role(database, SERVICE_ROLE)) as opened:
        yield opened


@contextlib.asynccontextmanager
async def intruder(database: str):
    """Whoever holds the database, past its triggers."""
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def fault(store) -> str:
    return [part async for part in verify(store, [])][-1].fault


@pytest.mark.parametrize("chance", [random.Random(number) for number in range(2)])
async def test_an_export_that_goes_on_misses_nothing_whoever_ships_meanwhile(store, shipping, database, chance):
    """Six processes, of which some are hours late, ship side by side; some shipments wait, some are taken back."""
    expected = set()
    reading = asyncio.Event()

    async def ship(replica: str, late: timedelta) -> None:
        sequence = 1
        for _ in range(8):
            await asyncio.sleep(0)
            count = chance.randrange(1, 30)
            batch = lines(replica, sequence, count, NOW - late)
            if chance.random() < 0.3:
                connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
                transaction = connection.transaction()
                await transaction.start()
                rows = [tuple(line.split("\t")) for line in batch.decode().splitlines()]
                await connection.executemany(
                    "INSERT INTO decisions (at, replica, caller, sequence, username, physician, action, channel, "
                    "resource, correlation_id, allowed, reason, role, revision) SELECT $1::text::timestamptz, $2, $3, "
                    "$4::text::bigint, $5, $6, $7, $8, $9, $10, $11::text::boolean, $12, $13, $14::text::bigint",
                    rows,
                )
                # There, and not yet for others: an export passes meanwhile.
                reading.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reading.wait(), 0.2)
                if kept := chance.random() < 0.5:
                    await transaction.commit()
                else:
                    await transaction.rollback()
                await connection.close()
                if not kept:
                    continue
            else:
                await shipping.append_decisions(batch)
            expected.update((replica, number) for number in range(sequence, sequence + count))
            sequence += count + chance.randrange(2)

    # Day tables are made beforehand here, as the transactions above do not.
    for hours in range(6):
        await shipping.append_decisions(lines(f"day-{hours}", 1, 1, NOW - timedelta(hours=9 * hours)))
        expected.add((f"day-{hours}", 1))
    writers = [asyncio.create_task(ship(f"replica-{n}", timedelta(hours=9 * n))) for n in range(6)]
    found, place = [], BEGINNING
    while True:
        done = all(writer.done() for writer in writers)
        more, place = await read_on(store, place, size=chance.randrange(1, 40))
        found += more
        reading.set()
        if done:
            break
    await asyncio.gather(*writers)
    assert len(found) == len(set(found))
    assert set(found) == expected


async def test_what_comes_late_is_passed_by_time_and_not_by_arrival(app, management, shipping):
    """A process was cut off for an hour, and an export passed meanwhile."""
    await shipping.append_decisions(lines("aaa", 1, 5))
    asked = pb.ListDecisionsRequest(by_arrival=True)
    by_time = await management("ListDecisions", pb.ListDecisionsRequest())
    by_arrival = await management("ListDecisions", asked)
    await shipping.append_decisions(lines("bbb", 1, 5, NOW - timedelta(hours=1)))
    later = await management("ListDecisions", pb.ListDecisionsRequest(since=by_time.decisions[0].at))
    assert {one.replica for one in later.decisions} == {"aaa"}
    asked.after = by_arrival.cursor
    later = await management("ListDecisions", asked)
    assert [(one.replica, one.sequence) for one in later.decisions] == [("bbb", n) for n in range(1, 6)]


async def test_each_process_is_read_in_its_order_and_filters_change_no_place(store, shipping):
    await shipping.append_decisions(lines("aaa", 1, 5))
    await shipping.append_decisions(lines("bbb", 1, 5, NOW - timedelta(days=3), user="leo"))
    await shipping.append_decisions(lines("aaa", 6, 2))
    everything = [("aaa", n) for n in range(1, 6)] + [("bbb", n) for n in range(1, 6)] + [("aaa", 6), ("aaa", 7)]
    found, end = await read_on(store, BEGINNING)
    assert found == everything
    for size in (1, 2, 3, 5, 7):
        assert (await read_on(store, BEGINNING, size=size)) == (everything, end)
    leos, place = await read_on(store, BEGINNING, DecisionFilter(user="leo"), size=2)
    assert (leos, place) == ([("bbb", n) for n in range(1, 6)], end)
    assert await read_on(store, end) == ([], end)
    await shipping.append_decisions(lines("bbb", 6, 1, NOW - timedelta(days=3)))
    assert (await read_on(store, place))[0] == [("bbb", 6)]


async def test_an_id_is_given_once(store, shipping, database):
    """Whatever its time, by whoever may write, and also by two at once."""
    await shipping.append_decisions(lines("aaa", 1, 10))
    for at in (NOW, NOW + timedelta(hours=1), NOW + timedelta(days=2)):
        await shipping.append_decisions(lines("day", at.toordinal(), 1, at))
        connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
        row = lines("aaa", 5, 1, at).decode().split("\t")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                f"INSERT INTO decisions VALUES ('{row[0]}', 'aaa', 5, 'local', 'mallory', 'dr-a', 'claim:view', 'web', "
                "'', '', false, 'not granted', '', 3)"
            )
        await connection.close()
    # Lines that come again, as after a lost word, change nothing; new ones behind them are taken.
    await shipping.append_decisions(lines("aaa", 5, 10, NOW + timedelta(hours=1)))
    both = [shipping.append_decisions(lines("ccc", 1, 50, NOW + timedelta(hours=n))) for n in range(2)]
    await asyncio.gather(*both)
    found = await store._pool.fetch("SELECT replica, sequence FROM decisions WHERE replica IN ('aaa', 'ccc')")
    ids = sorted((row["replica"], row["sequence"]) for row in found)
    assert ids == [("aaa", n) for n in range(1, 15)] + [("ccc", n) for n in range(1, 51)]


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (
            (
                "INSERT INTO decisions SELECT at + interval '2 seconds', replica, sequence, caller, 'leo', physician, action, "
                "channel, resource, correlation_id, NOT allowed, reason, role, revision FROM decisions WHERE sequence = 3"
            ),
            "has 1 decisions under another's id",
        ),
        (
            (
                "INSERT INTO decisions SELECT at, replica, 11, caller, username, physician, action, channel, resource, "
                "correlation_id, allowed, reason, role, revision FROM decisions WHERE sequence = 3"
            ),
            "has 1 that never came in",
        ),
        # The last ones, of a process of which no end is known.
        ("DELETE FROM decisions WHERE sequence > 7", "lacks 3 that came in"),
        ("DELETE FROM decisions", "lacks 10 that came in"),
    ],
)
async def test_what_was_put_in_or_taken_out_past_the_service_is_found(app, shipping, database, done, words):
    await shipping.note_start("aaa")
    await shipping.append_decisions(lines("aaa", 1, 10))
    assert await fault(app.store) == ""
    async with intruder(database) as connection:
        await connection.execute(done)
    assert words in await fault(app.store)


async def test_the_services_role_cannot_write_of_arrivals_itself(shipping, database):
    await shipping.append_decisions(lines("aaa", 1, 10))
    connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
    for done in (
        "DELETE FROM decision_arrivals",
        "UPDATE decision_arrivals SET decisions = 0",
        "INSERT INTO decision_arrivals (replica, day, first_sequence, last_sequence, decisions) VALUES ('a', 'today', 1, 1, 1)",
        "DELETE FROM decision_losses",
        "UPDATE decision_losses SET lost = 1",
        "SELECT decisions_arrive()",
        "SELECT setval('decision_arrivals_arrival_seq', 1)",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
            await connection.execute(done)
    await connection.close()


async def test_a_place_of_another_history_is_refused_and_not_gone_on_from(store, shipping, database):
    await shipping.append_decisions(lines("aaa", 1, 10))
    await shipping.append_decisions(lines("aaa", 11, 10))
    _, end = await read_on(store, BEGINNING)
    async with intruder(database) as connection:
        # As a restore from a backup of before the second: others take its number.
        await connection.execute("DELETE FROM decisions WHERE sequence > 10")
        await connection.execute("DELETE FROM decision_arrivals WHERE arrival = 2")
        with pytest.raises(ForeignArrival):
            await read_on(store, end)
        await connection.execute("SELECT setval('decision_arrivals_arrival_seq', 1)")
    await shipping.append_decisions(lines("bbb", 1, 30))
    with pytest.raises(ForeignArrival):
        await read_on(store, end)


async def test_retention_takes_the_arrivals_of_its_days_along(store, shipping):
    old = NOW - timedelta(days=50)
    await shipping.append_decisions(lines("aaa", 1, 10, old))
    _, place = await read_on(store, BEGINNING)
    await shipping.append_decisions(lines("aaa", 11, 10))
    await shipping.note_start("aaa")
    assert await shipping.forget_decisions((NOW - timedelta(days=40)).date()) == 1
    assert (await read_on(store, BEGINNING))[0] == [("aaa", n) for n in range(11, 21)]
    with pytest.raises(ForeignArrival):
        await read_on(store, place)


async def test_auditors_read_on_from_a_cursor_over_the_wire(app, management, shipping):
    await shipping.append_decisions(lines("aaa", 1, 5))
    request = pb.ListDecisionsRequest(by_arrival=True, page_size=3)
    first = await management("ListDecisions", request)
    assert [one.sequence for one in first.decisions] == [1, 2, 3]
    second = await management(
        "ListDecisions", pb.ListDecisionsRequest(by_arrival=True, page_token=first.next_page_token)
    )
    assert ([one.sequence for one in second.decisions], second.next_page_token) == ([4, 5], "")
    # Late ones, behind the end and with another filter; and the times asked for hold as ever.
    await shipping.append_decisions(lines("bbb", 1, 2, NOW - timedelta(hours=30), user="leo"))
    since = Timestamp()
    since.FromDatetime(NOW - timedelta(hours=1))
    for more, wanted in (({"user": "leo"}, [1, 2]), ({"user": "mia"}, []), ({"since": since}, [])):
        page = await management("ListDecisions", pb.ListDecisionsRequest(by_arrival=True, after=second.cursor, **more))
        assert [one.sequence for one in page.decisions] == wanted
    for field, faulty in (
        ("after", pb.ListDecisionsRequest(after=second.cursor)),
        ("after", pb.ListDecisionsRequest(by_arrival=True, after="x" + second.cursor)),
        ("page_token", pb.ListDecisionsRequest(by_arrival=True, page_token="AAAA")),
        ("page_token", pb.ListDecisionsRequest(page_token=second.cursor)),
    ):
        with pytest.raises(Refused) as refused:
            await management("ListDecisions", faulty)
        assert (refused.value.reason, list(refused.value.fields)) == ("INVALID_REQUEST", [field])


async def test_decisions_of_before_this_order_come_first_in_it(postgres):
    name = "before_arrivals"
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE {name}")
    dsn = postgres.replace("/postgres?", f"/{name}?")
    engine = _engine(dsn)

    def upgraded(connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")

    async with engine.connect() as connection:
        await connection.run_sync(upgraded)
        await connection.commit()
    await engine.dispose()
    async with connect_store(dsn) as store:
        await store.append_decisions(lines("bbb", 1, 10))
        await store.append_decisions(lines("aaa", 3, 10, NOW - timedelta(days=3)))
    await migrate(dsn)
    async with connect_store(dsn) as store:
        found, place = await read_on(store, BEGINNING)
        assert found == [("aaa", n) for n in range(3, 13)] + [("bbb", n) for n in range(1, 11)]
        await store.append_decisions(lines("bbb", 5, 8))
        assert (await read_on(store, place))[0] == [("bbb", 11), ("bbb", 12)]
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()
