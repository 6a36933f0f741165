"""Each write has a time of its own: what is not done in it never will be, and what may be is said to be unknown."""

import asyncio
import contextlib
import os
import signal
import tempfile
from pathlib import Path

import asyncpg
import pytest

from policy_service.members import manage_users
from policy_service.seed import install
from policy_service.store import connect_store
from policy_service.store.errors import OutcomeUnknown, StoreUnavailable, WriteTimedOut
from policy_service.vocabulary import Physician, Role, User, domain_of, grant_row, subject_of_user
from tests.conftest import SHIPPED_MODEL
from tests.support.patience import until

DR = Physician("dr-a")
BY = {"caller": "test", "actor": "test"}
ROW = grant_row(subject_of_user(User("dan")), Role("data_entry"), domain_of(DR))


@pytest.fixture
async def account(store, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    await manage_users.register_physician(store, DR, User("olive"), "", caller="test", actor=User("olive"))
    return store


@contextlib.contextmanager
def stopped(pid: int):
    """A session of the server that does nothing, and is not gone."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def session_gone(database: str, pid: int) -> bool:
    connection = await asyncpg.connect(database)
    found = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)
    await connection.close()
    return found == 0


async def test_a_frozen_database_costs_a_write_its_time_and_does_not_do_it_later(account, database):
    async with connect_store(database, write_seconds=1.0) as store, contextlib.AsyncExitStack() as frozen:
        with pytest.raises(WriteTimedOut, match="Nothing was changed, nor will be; try again"):
            async with asyncio.timeout(60), store.transaction(**BY) as tx:
                pid = tx.connection.get_server_pid()
                frozen.enter_context(stopped(pid))
                await tx.change("test", DR, begun=[ROW])
        assert issubclass(WriteTimedOut, StoreUnavailable)
        # It goes on, finds what was sent to it, and the end of the connection or of its time.
        await frozen.aclose()
        await until(lambda: session_gone(database, pid))
        assert await store.revision() == 2
        assert (await manage_users.grant(store, DR, User("dan"), Role("data_entry"), **BY)).revision == 3


async def test_the_server_ends_a_transaction_whose_writer_is_gone_without_a_word(account, database):
    """As when the machine with the writer is cut off: the lock is not held for longer than a write may take."""
    async with connect_store(database, write_seconds=1.0) as store:
        with pytest.raises(StoreUnavailable):
            async with store.transaction(**BY) as tx:
                await tx.change("test", DR, begun=[ROW])
                pid = tx.connection.get_server_pid()
                limits = await tx.connection.fetch(
                    "SELECT setting::int FROM pg_settings WHERE name IN ('lock_timeout', 'transaction_timeout')"
                )
                assert [0 < limit["setting"] <= 1_000 for limit in limits] == [True, True]
                # Whoever has the story does not know that time passes.
                await asyncio.shield(until(lambda: session_gone(database, pid)))
        assert await account.revision() == 2


async def test_who_waits_for_the_lock_until_the_time_is_up_is_told_and_does_nothing_later(account, database):
    other = await asyncpg.connect(database)
    async with connect_store(database, write_seconds=0.5) as store:
        async with other.transaction():
            await other.execute("SELECT FROM policy_revision FOR UPDATE")
            results = await asyncio.gather(
                *(manage_users.grant(store, DR, User(f"u{n}"), Role("data_entry"), **BY) for n in range(5)),
                return_exceptions=True,
            )
        assert {type(result) for result in results} <= {WriteTimedOut, StoreUnavailable}
        assert (await manage_users.grant(store, DR, User("dan"), Role("data_entry"), **BY)).revision == 3
    await other.close()


async def test_a_commit_under_way_when_the_time_is_up_is_unknown_and_may_have_happened(account, database):
    """The word to commit is passed on, the answer is not; and nobody else can be asked, as all is frozen by then."""
    real = Path(database.split("host=")[1]) / ".s.PGSQL.5432"
    frozen, tasks, opened = asyncio.Event(), [], []

    async def pass_on(reader, writer) -> None:
        if frozen.is_set():
            opened.append(writer)
            return
        there, back = await asyncio.open_unix_connection(real)

        async def answers() -> None:
            while data := await there.read(65536):
                if not frozen.is_set():
                    writer.write(data)

        tasks.append(asyncio.ensure_future(answers()))
        try:
            while data := await reader.read(65536):
                if data.endswith(b"COMMIT\0"):
                    frozen.set()
                back.write(data)
        finally:
            back.close()
            writer.close()

    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = await asyncio.start_unix_server(
            lambda reader, writer: tasks.append(asyncio.ensure_future(pass_on(reader, writer))),
            Path(folder) / ".s.PGSQL.5432",
        )
        dsn = database.split("host=")[0] + f"host={folder}"
        async with connect_store(dsn, write_seconds=1.0) as store:
            with pytest.raises(OutcomeUnknown, match="again with the same idempotency key"):
                async with asyncio.timeout(60):
                    await manage_users.grant(store, DR, User("dan"), Role("data_entry"), **BY)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in opened:
            writer.close()

    async def committed() -> bool:
        return await account.revision() == 3

    await until(committed)
