"""A connection whose other end went without a word is given up soon, though nothing tells of it."""

import asyncio
import contextlib

from policy_service.app import open_app
from policy_service.decision_log import shipping
from policy_service.members import manage_users
from policy_service.seed import install
from policy_service.store import connection, listening
from policy_service.vocabulary import Physician, User
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached
from tests.support.faulty_proxy import faulty_proxy
from tests.support.patience import until
from tests.support.rpc import Wire


async def write(store, physician: str) -> int:
    """By somebody else, whose connections are well."""
    written = await manage_users.register_physician(
        store, Physician(physician), User("olive"), "", caller="test", actor=User("olive")
    )
    return written.revision


async def test_a_replica_follows_again_after_its_connection_went_silent(store, database, seed, tmp_path, monkeypatch):
    """New connections are answered: it must not sit on the old one for as long as a statement may take."""
    monkeypatch.setattr(listening, "HEARTBEAT_SECONDS", 0.3)
    await install.install_first(store, seed, SHIPPED_MODEL)
    address, _, folder = database.partition("?host=")
    with faulty_proxy(f"{folder}/.s.PGSQL.5432") as proxy:
        settings = settings_for(
            f"postgresql://postgres@127.0.0.1:{proxy.port}/{address.rpartition('/')[2]}", data_dir=tmp_path
        )
        async with open_app(settings) as app:
            await reached(app, await write(store, "dr-a"))
            seen = app.replica.now()

            async def has_looked_again() -> bool:
                return app.replica.now() - app.replica.age > seen

            # It follows by a connection of its own, on which nothing is under way then.
            await until(has_looked_again)
            proxy.go_silent()
            revision = await write(store, "dr-b")
            # The service's limit of a statement is 20 s.
            async with asyncio.timeout(12):
                await reached(app, revision)
            # Else the stop would wait for what is silent.
            proxy.cut()


async def test_a_stop_does_not_wait_for_a_database_that_does_not_answer(store, database, seed, tmp_path, monkeypatch):
    """Neither for its answer, nor for the driver, which tells it of each question that is given up."""
    monkeypatch.setattr(shipping, "_LAST_SECONDS", 0.3)
    monkeypatch.setattr(connection, "_CLOSE_SECONDS", 0.3)
    await install.install_first(store, seed, SHIPPED_MODEL)
    address, _, folder = database.partition("?host=")
    with faulty_proxy(f"{folder}/.s.PGSQL.5432") as proxy:
        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/{address.rpartition('/')[2]}"
        opened = contextlib.AsyncExitStack()
        app = await opened.enter_async_context(open_app(settings_for(dsn, data_dir=tmp_path)))
        await reached(app, await write(store, "dr-a"))
        proxy.freeze()
        async with Wire(app.planes.decision_port) as wire:
            await wire.check("mia", "dr-a", "claim:view")
        # The driver's limit of a statement, and so of the word that it is given up, is 20 s.
        async with asyncio.timeout(12):
            await opened.aclose()
