"""A database that takes no writes any more: it is said so, checks go on, and the next that takes them is found."""

import asyncpg
import pytest

from policy_service.store.connection import _attributes
from tests.support.accounts import grant, reached, register
from tests.support.people import Page
from tests.support.rpc import Refused


async def make(database: str, *, read_only: bool) -> None:
    """As after a failover: sessions that begin from now on may (not) write; those that there are, end."""
    connection = await asyncpg.connect(database, server_settings={"default_transaction_read_only": "off"})
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(
        f'ALTER DATABASE "{name}" SET default_transaction_read_only = {"on" if read_only else "off"}'
    )
    if read_only:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            name,
        )
    await connection.close()


async def test_writes_say_read_only_checks_go_on_and_the_primary_is_found_again(app, wire, management, database):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "dan", "data_entry")
    await reached(app, revision)
    await make(database, read_only=True)
    page = Page(management, "olive", "dr-a")
    reasons = set()
    # What was cut says that the database is away; whoever is connected since, that it takes no writes.
    while "STORE_READ_ONLY" not in reasons:
        with pytest.raises(Refused) as refused:
            await page.create_role("desk", "claim:view")
        reasons.add(refused.value.reason)
    assert reasons <= {"STORE_READ_ONLY", "STORE_UNAVAILABLE"}
    assert (await wire.check("dan", "dr-a", "claim:view")).allowed
    await make(database, read_only=False)
    # The sessions that were begun meanwhile would stay read-only for as long as they live: none is used again. At most
    # one write meets one that was handed out before.
    try:
        made = await page.create_role("desk", "claim:view")
    except Refused:
        made = await page.create_role("desk", "claim:view")
    assert made.revision > revision


@pytest.mark.parametrize(
    ("dsn", "attributes"),
    [
        ("postgresql://a:5432/policy", {}),
        ("postgresql://u:p@a:5432,b:5432/policy", {"target_session_attrs": "read-write"}),
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_used(dsn, attributes):
    assert _attributes(dsn) == attributes
