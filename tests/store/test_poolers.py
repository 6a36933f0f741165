"""A pooler in transaction mode before the database is refused at the start, in a sentence that says what to do."""

import tempfile
from pathlib import Path

import asyncpg
import pytest

from policy_service.app import open_app
from policy_service.errors import StartError
from policy_service.store import SERVICE_ROLE, as_role, connection, probe
from tests.conftest import settings_for
from tests.support.pooling import pooled_at


@pytest.fixture
async def pooler(database):
    with tempfile.TemporaryDirectory(prefix="pool-") as folder:
        async with pooled_at(database, Path(folder)) as dsn:
            yield dsn


async def test_the_stand_in_is_one_and_gives_a_transaction_another_session(pooler):
    """What a service would meet behind it: its session's settings are somebody else's."""
    mine, other = await asyncpg.connect(pooler), await asyncpg.connect(pooler)
    await mine.execute("SET application_name = 'mine'")
    await other.execute("BEGIN")
    assert await other.fetchval("SHOW application_name") == "mine"
    await other.execute("COMMIT")
    mine.terminate()
    other.terminate()


async def test_a_pooler_in_transaction_mode_is_refused_at_the_start(pooler):
    with pytest.raises(StartError, match=r"pooler in transaction mode.*in session mode"):
        async with open_app(settings_for(as_role(pooler, SERVICE_ROLE))):
            pass


async def test_what_takes_no_settings_of_a_session_is_refused_too(database, monkeypatch):
    async def refusing(dsn):
        raise asyncpg.ProtocolViolationError("unsupported startup parameter: statement_timeout")

    monkeypatch.setattr("policy_service.store.pooler.connect", refusing)
    with pytest.raises(StartError, match="takes no settings of a session"):
        await probe(database)


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
async def test_so_is_what_drops_them_silently(database, monkeypatch, limit):
    real = connection.TIMEOUTS

    async def dropping(dsn):
        return await asyncpg.connect(dsn, server_settings={name: real[name] for name in real if name != limit})

    monkeypatch.setattr("policy_service.store.pooler.connect", dropping)
    with pytest.raises(StartError, match=f"takes no {limit}"):
        await probe(database)


async def test_the_database_itself_is_taken(database):
    await probe(database)
