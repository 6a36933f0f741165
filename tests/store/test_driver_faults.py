"""Whatever the driver raises when a connection dies under it is a database that is away, told once at the border."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from asyncpg import connection as driver

from policy_service.members import Sender
from policy_service.seed import install
from policy_service.store import DeliveryState, StoreUnavailable
from policy_service.store.border import translated
from tests.conftest import SHIPPED_MODEL
from tests.members.test_delivery import KEY, POSTMARK, office  # noqa: F401 - the fixture.
from tests.support.patience import patiently

_NOT_OF_THE_CONNECTION = ("DataError",)


def kinds(base: type) -> list[type]:
    return [base, *(kind for below in base.__subclasses__() for kind in kinds(below))]


CLIENT_SIDE = {
    kind.__name__: kind
    for base in (asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError)
    for kind in kinds(base)
    if kind.__module__.startswith("asyncpg")
}


@pytest.mark.parametrize("name", sorted(set(CLIENT_SIDE) - set(_NOT_OF_THE_CONNECTION)))
async def test_every_kind_that_the_driver_has_for_a_lost_connection_is_translated(name):
    with pytest.raises(StoreUnavailable), translated():
        raise CLIENT_SIDE[name]("cannot switch to state 12; another operation (2) is in progress")


async def test_a_value_that_no_column_takes_is_not_told_as_a_database_that_is_away():
    with pytest.raises(CLIENT_SIDE["DataError"]), translated():
        raise CLIENT_SIDE["DataError"]("invalid input for query argument $1")


async def test_what_the_driver_says_in_plain_words_when_a_connection_is_gone_is_translated_too(store):
    """Its pool gives back a connection that ended meanwhile: an attribute of nothing."""
    with pytest.raises(StoreUnavailable) as told, translated():
        async with store._pool.acquire() as connection:
            holder, connection._holder._con = connection._holder, None
            await holder.release(None)
    assert isinstance(told.value.__cause__, AttributeError)


async def test_a_fault_of_ours_is_not_told_as_a_database_that_is_away():
    with pytest.raises(AttributeError), translated():
        None.revision  # noqa: B018


class Killer:
    """Ends the server's process of a connection at the moment it is given back, as ``kill -9`` of the server does."""

    def __init__(self, monkeypatch, dsn: str) -> None:
        self.armed, self.killed = False, 0

        async def reset(it):
            if not self.armed:
                return await real(it)
            self.armed, self.killed = False, self.killed + 1
            other = await asyncpg.connect(dsn)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", it.get_server_pid())
            await other.close()
            # What the driver says then depends on what it was at; this is what it said under load.
            raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

        real = driver.Connection._reset
        monkeypatch.setattr(driver.Connection, "_reset", reset)


async def test_a_change_that_committed_stands_though_its_connection_died_on_the_way_back(office, database, monkeypatch):  # noqa: F811
    killer = Killer(monkeypatch, database)
    killer.armed = True
    invitation = await office.invite("nina")
    assert killer.killed == 1
    assert (await office.status(invitation))[0] is DeliveryState.QUEUED


async def still_queued(office) -> bool:  # noqa: F811
    """Does any letter wait? Whoever asks may be handed a connection that was killed: then it is not known yet."""
    try:
        return bool((await office.store.mail_not_done(office.clock.now)).get(DeliveryState.QUEUED))
    except StoreUnavailable:
        return True


async def test_connections_that_die_while_letters_are_sent_cost_a_pause_and_no_letter(office, database, monkeypatch):  # noqa: F811
    killer, sent = Killer(monkeypatch, database), []

    class Carrier:
        async def carry(self, message):
            sent.append(str(message["To"]))
            killer.armed = True  # while the outcome is recorded
            return "taken"

    for number in range(3):
        await office.invite(f"n{number}")
    sender = Sender(office.store, KEY, Carrier(), POSTMARK, office.clock)
    running = asyncio.create_task(sender.run())
    async with patiently():
        # A connection may die before the first try of a letter, too: that is made when the lease is over.
        while len(set(sent)) < 3 or await still_queued(office):
            office.clock.now += timedelta(minutes=3)
            sender.wake()
            await asyncio.sleep(0.01)
    assert not running.done()
    assert killer.killed
    assert set(sent) == {f"n{number}@clinic.example" for number in range(3)}
    running.cancel()


async def test_a_backend_that_ends_in_mid_query_is_a_database_that_is_away(store, seed, database):
    await install.install_first(store, seed, SHIPPED_MODEL)
    begun = asyncio.Event()

    async def long() -> None:
        async with store.reading() as look:
            pid = look.connection.get_server_pid()
            asking = asyncio.ensure_future(look.connection.fetchval("SELECT pg_sleep(60)"))
            begun.pid = pid
            begun.set()
            await asking

    waiting = asyncio.create_task(long())
    await begun.wait()
    other = await asyncpg.connect(database)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", begun.pid)
    await other.close()
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(20):
            await waiting
    assert await store.revision() == 1
