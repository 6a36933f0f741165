"""Writes that come while another commits go together: one commit, and each on its own in all that its caller is told."""

import asyncio

import asyncpg
import pytest
from asyncpg.connection import Connection

from policy_service.audit import verify
from policy_service.members import manage_users
from policy_service.seed import install
from policy_service.store import StoreUnavailable, rounds
from policy_service.vocabulary import Physician, Role, User, domain_of, grant_row, subject_of_user
from tests.conftest import SHIPPED_MODEL
from tests.support.patience import PATIENCE

DR = Physician("dr-a")
BY = {"caller": "test", "actor": "test"}


@pytest.fixture
async def account(store, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    await manage_users.register_physician(store, DR, User("olive"), "", caller="test", actor=User("olive"))
    return store


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch):
    """A round takes turns until there are enough, however long each takes here."""
    monkeypatch.setattr(rounds, "_MOST_SECONDS", PATIENCE)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What was said to the database without parameters."""
    found: list[str] = []
    real = Connection.execute

    async def execute(it, query, *arguments, **options):
        if not arguments:
            found.append(query)
        return await real(it, query, *arguments, **options)

    monkeypatch.setattr(Connection, "execute", execute)
    return found


def give(store, number: int):
    return manage_users.grant(store, DR, User(f"u{number}"), Role("data_entry"), **BY)


def row(user: str):
    return grant_row(subject_of_user(User(user)), Role("data_entry"), domain_of(DR))


async def holders(store) -> set[str]:
    rows = await store.rows_at(await store.revision(), domain_of(DR))
    return {row.values[0].removeprefix("user:") for row, _ in rows} - {"olive"}


async def test_many_writes_at_once_take_few_commits_and_each_has_its_revision(account, said):
    written = await asyncio.gather(*(give(account, number) for number in range(40)))
    assert sorted(one.revision for one in written) == list(range(3, 43))
    commits = sum(query.endswith("COMMIT") for query in said)
    assert commits <= 5
    *_, verdict = [part async for part in verify(account, [], None)]
    assert verdict.fault == ""


async def test_who_fails_is_taken_back_alone(account):
    async def fail() -> None:
        async with account.transaction(**BY) as tx:
            await tx.add_user(User("half"))
            await tx.change("test", DR, begun=[row("half")])
            raise ZeroDivisionError

    async def break_off() -> None:
        async with account.transaction(**BY) as tx:
            # A statement that the database refuses: all after it in this turn would be refused too.
            await tx.connection.execute("SELECT 1 / 0")

    work = [give(account, 0), fail(), give(account, 1), break_off(), give(account, 2)]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(one, "revision", type(one)) for one in results] == [
        3,
        ZeroDivisionError,
        4,
        asyncpg.DivisionByZeroError,
        5,
    ]
    assert await holders(account) == {"u0", "u1", "u2"}


async def test_who_is_gone_is_taken_back_alone(account):
    begun = asyncio.Event()

    async def wait_for_ever() -> None:
        async with account.transaction(**BY) as tx:
            await tx.change("test", DR, begun=[row("gone")])
            begun.set()
            await tx.connection.fetchval("SELECT pg_sleep(600)")

    first = asyncio.ensure_future(wait_for_ever())
    await begun.wait()
    queued, others = asyncio.ensure_future(wait_for_ever()), [asyncio.ensure_future(give(account, n)) for n in range(3)]
    await asyncio.sleep(0)
    queued.cancel()
    first.cancel()
    assert len(await asyncio.gather(*others)) == 3
    assert await holders(account) == {"u0", "u1", "u2"}


async def test_nobody_is_told_what_rests_on_a_turn_that_was_not_committed(account, database):
    """The second finds the first's grant there, and changes nothing: its answer is as good as that grant, no better."""
    second: list[asyncio.Task] = []
    begun = asyncio.Event()

    async def first() -> None:
        async with account.transaction(**BY) as tx:
            second.append(asyncio.ensure_future(give(account, 0)))
            begun.set()
            await asyncio.sleep(0)
            await tx.change("test", DR, begun=[row("u0")])

    async def third() -> None:
        async with account.transaction(**BY) as tx:
            # It comes after the second, whose story is over.
            assert not second[0].done()
            other = await asyncpg.connect(database)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", tx.connection.get_server_pid())
            await other.close()
            await tx.rows([domain_of(DR)])

    one = asyncio.ensure_future(first())
    await begun.wait()
    last = asyncio.ensure_future(third())
    results = await asyncio.gather(one, *second, last, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    assert await holders(account) == set()
    assert (await give(account, 0)).revision == 3


async def test_no_writer_waits_behind_a_patient_one_for_a_round_of_their_own(account, said):
    """What may take long has a round alone: nobody's time is spent by it under the lock."""
    async with account.transaction(**BY, patient=True) as tx:
        waiting = [asyncio.ensure_future(give(account, number)) for number in range(3)]
        await asyncio.sleep(0.05)
        await tx.change("test", DR, begun=[row("patient")])
    assert [one.revision for one in await asyncio.gather(*waiting)] == [4, 5, 6]
    assert sum(query.endswith("COMMIT") for query in said) >= 2
