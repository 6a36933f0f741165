"""One process at a time has a seat; who dies gives it up."""

import json

import asyncpg

from policy_service.audit.checkpointing import add_line
from policy_service.store import CHECKPOINTS, Store
from tests.support.patience import until


async def test_one_has_it_and_the_next_takes_it_when_its_connection_ends(store: Store, database):
    first, second = store.seat(CHECKPOINTS), store.seat(CHECKPOINTS)
    assert [await first.take(), await second.take(), await first.take()] == [True, False, True]
    owner = await asyncpg.connect(database)
    await owner.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()"
    )
    await owner.close()
    assert await second.take()
    # The first one does not go on as if it were still its own.
    assert not await first.take()
    second.leave()
    await until(first.take)
    first.leave()


async def test_it_is_no_lock_that_anything_else_waits_for(store: Store, database):
    """Else whoever has it would hold up, for ever, what takes a lock for a moment."""
    seat = store.seat(CHECKPOINTS)
    assert await seat.take()
    connection = await asyncpg.connect(database, timeout=60)
    # Each function of the schema that takes one.
    await connection.execute("SET lock_timeout = '20s'")
    await connection.execute("SELECT decisions_make_day(current_date)")
    await connection.execute("SELECT decisions_drop_before(current_date)")
    await connection.close()
    seat.leave()


def test_a_point_that_stands_last_is_not_written_again(tmp_path):
    """Whoever wrote it was killed, and the next one begins with the same."""
    place = tmp_path / "checkpoints.jsonl"

    def point(log: str, revision: int, digest: str) -> str:
        return json.dumps({"log": log, "revision": revision, "hash": digest})

    written = [point("a", 1, "x"), point("a", 2, "y"), point("a", 1, "z"), point("b", 1, "z")]
    for line in written:
        add_line(str(place), line)
        add_line(str(place), line)
    assert place.read_text().splitlines() == written
