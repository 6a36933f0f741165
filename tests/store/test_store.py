"""The store: history, one way to write, nothing half done."""

import asyncio
import json

import asyncpg
import pytest

from policy_service.decide import UnknownPhysician
from policy_service.members import RoleDefinition, custom_roles, manage_users
from policy_service.members.errors import (
    BuiltInRole,
    EmptyRole,
    LastOwner,
    NotGranted,
    OwnerOnly,
    RoleInUse,
    UnknownRole,
)
from policy_service.seed import install
from policy_service.seed.errors import RoleNameTaken
from policy_service.store import (
    Caps,
    PhysicianExists,
    StoreUnavailable,
    connect_store,
    known,
    migrate,
    motion,
    schema_is_current,
)
from policy_service.store import rules as statements
from policy_service.vocabulary import OWNER, Effect, Physician, Role, Row, User, grant_row, rule_row, subject_of_user
from tests.conftest import SHIPPED_MODEL, in_database
from tests.support.actions import Action

DR = Physician("dr-a")
BY = {"caller": "test", "actor": User("olive")}
VIEW = RoleDefinition(allow=frozenset({Action.CLAIM_VIEW}))


@pytest.fixture
async def account(store, seed):
    """A store with the seed and one account."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    await manage_users.register_physician(store, DR, User("olive"), "Dr. A", **BY)
    return store


async def changes(dsn: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch("SELECT * FROM changes ORDER BY revision")
    finally:
        await connection.close()


async def test_every_change_has_one_revision_and_one_entry(account, database):
    await manage_users.grant(account, DR, User("dan"), Role("data_entry"), caller="page", actor="olive")
    await manage_users.revoke(account, DR, User("dan"), Role("data_entry"), caller="page", actor="olive")
    entries = await changes(database)
    assert [entry["revision"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["kind"] for entry in entries] == ["seed.install", "physician.register", "grant", "revoke"]
    granted = ["g", "user:dan", "role:data_entry", "physician:dr-a"]
    assert (entries[2]["caller"], entries[2]["actor"], entries[2]["physician"]) == ("page", "olive", "dr-a")
    assert (json.loads(entries[2]["before"]), json.loads(entries[2]["after"])) == ([], [granted])
    assert (json.loads(entries[3]["before"]), json.loads(entries[3]["after"])) == ([granted], [])


async def test_what_held_at_each_revision_can_be_read_later(account):
    dan = grant_row(subject_of_user(User("dan")), Role("data_entry"), "physician:dr-a")
    given = (await manage_users.grant(account, DR, User("dan"), Role("data_entry"), **BY)).revision
    taken = (await manage_users.revoke(account, DR, User("dan"), Role("data_entry"), **BY)).revision
    again = (await manage_users.grant(account, DR, User("dan"), Role("data_entry"), **BY)).revision
    held = {
        revision: dan in [row for row, _ in await account.rows_at(revision, "physician:dr-a")]
        for revision in (given - 1, given, taken, again)
    }
    assert held == {given - 1: False, given: True, taken: False, again: True}


async def test_what_changes_nothing_leaves_no_revision_and_no_entry(account, seed, database):
    await manage_users.grant(account, DR, User("dan"), Role("data_entry"), **BY)
    before = await account.revision()
    for repeated in (
        manage_users.grant(account, DR, User("dan"), Role("data_entry"), **BY),
        install.install(account, seed, **BY),
        install.install_first(account, seed, SHIPPED_MODEL),
    ):
        written = await repeated
        assert (written.revision, written.changed) == (before, False)
    assert await account.revision() == before == len(await changes(database))


async def test_a_story_that_fails_in_the_middle_leaves_nothing(account, database):
    before = await account.revision()
    with pytest.raises(ZeroDivisionError):
        async with account.transaction(caller="test", actor="test") as transaction:
            await transaction.add_user(User("half"))
            await transaction.change(
                "test", DR, begun=[rule_row(Role("desk"), "physician:dr-a", "claim:view", Effect.ALLOW)]
            )
            raise ZeroDivisionError
    assert await account.revision() == before == len(await changes(database))
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM users WHERE username = 'half'") == 0
    await connection.close()


async def test_one_transaction_tells_one_story(account):
    row = rule_row(Role("desk"), "physician:dr-a", "claim:view", Effect.ALLOW)
    with pytest.raises(RuntimeError, match="one story"):
        async with account.transaction(caller="test", actor="test") as transaction:
            await transaction.change("one", DR, begun=[row])
            await transaction.change("two", DR, ended=[row])
    assert row not in [held for held, _ in await account.rows_at(await account.revision())]


async def test_ending_a_row_that_does_not_hold_is_an_error_not_a_silence(account):
    with pytest.raises(LookupError):
        async with account.transaction(caller="test", actor="test") as transaction:
            await transaction.change("test", DR, ended=[grant_row("user:nobody", OWNER, "physician:dr-a")])


async def test_concurrent_writers_each_get_a_revision_of_their_own(account, database):
    written = await asyncio.gather(
        *(manage_users.grant(account, DR, User(f"u{number}"), Role("data_entry"), **BY) for number in range(40))
    )
    revisions = sorted(done.revision for done in written)
    assert revisions == list(range(3, 43))
    assert [entry["revision"] for entry in await changes(database)] == list(range(1, 43))


async def test_two_registrations_of_one_account_at_once_one_wins(store, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    owners = [User(f"owner-{letter}") for letter in "abcdef"]
    results = await asyncio.gather(
        *(manage_users.register_physician(store, DR, owner, "", caller="test", actor=owner) for owner in owners),
        return_exceptions=True,
    )
    assert sum(isinstance(result, PhysicianExists) for result in results) == 5
    assert len(await store.rows_at(await store.revision(), "physician:dr-a")) == 1


@pytest.mark.parametrize(
    ("refusal", "attempt"),
    [
        (OwnerOnly, lambda s: manage_users.grant(s, DR, User("dan"), OWNER, **BY)),
        (LastOwner, lambda s: manage_users.revoke(s, DR, User("olive"), OWNER, **BY)),
        (UnknownRole, lambda s: manage_users.grant(s, DR, User("dan"), Role("dsk"), **BY)),
        (UnknownPhysician, lambda s: manage_users.grant(s, Physician("dr-no"), User("dan"), Role("data_entry"), **BY)),
        (NotGranted, lambda s: manage_users.revoke(s, DR, User("dan"), Role("data_entry"), **BY)),
        (PhysicianExists, lambda s: manage_users.register_physician(s, DR, User("olive"), "", **BY)),
        (BuiltInRole, lambda s: custom_roles.define(s, DR, Role("administrator"), VIEW, **BY)),
        (UnknownPhysician, lambda s: custom_roles.define(s, Physician("dr-no"), Role("desk"), VIEW, **BY)),
        (UnknownRole, lambda s: custom_roles.define(s, DR, Role("desk"), RoleDefinition(includes=frozenset({Role("no")})), **BY)),
        (OwnerOnly, lambda s: custom_roles.define(s, DR, Role("desk"), RoleDefinition(includes=frozenset({OWNER})), **BY)),
        (UnknownRole, lambda s: custom_roles.delete(s, DR, Role("desk"), **BY)),
    ],
)  # fmt: skip
async def test_what_is_refused_changes_nothing(account, refusal, attempt):
    before = await account.revision()
    with pytest.raises(refusal):
        await attempt(account)
    assert await account.revision() == before


async def test_a_role_in_use_stays_until_nobody_has_it(account):
    await custom_roles.define(account, DR, Role("desk"), VIEW, **BY)
    await custom_roles.define(account, DR, Role("lead"), RoleDefinition(includes=frozenset({Role("desk")})), **BY)
    await manage_users.grant(account, DR, User("leo"), Role("desk"), **BY)
    with pytest.raises(RoleInUse) as refused:
        await custom_roles.delete(account, DR, Role("desk"), **BY)
    assert refused.value.held_by == ("role:lead", "user:leo")
    await custom_roles.delete(account, DR, Role("lead"), **BY)
    await manage_users.revoke(account, DR, User("leo"), Role("desk"), **BY)
    await custom_roles.delete(account, DR, Role("desk"), **BY)


async def test_a_built_in_role_cannot_take_a_custom_roles_name(account, seed):
    await custom_roles.define(account, DR, Role("desk"), VIEW, **BY)
    with pytest.raises(RoleNameTaken):
        await install.install(account, [*seed, rule_row(Role("desk"), "*", "invoice:pay", Effect.ALLOW)], **BY)


async def test_14_a_huge_write_is_whole_or_not_at_all(account, monkeypatch):
    # Larger than any account may be: it is the write that is looked at.
    monkeypatch.setattr(account._writer, "_caps", Caps(members=30_000))
    rows = {Row(ptype="g", values=(f"user:u{n}", "role:data_entry", "physician:dr-a")) for n in range(20_000)}
    async with account.transaction(caller="test", actor="test") as transaction:
        await transaction.change("huge", DR, begun=rows)
    held = {row for row, _ in await account.rows_at(transaction.written.revision, "physician:dr-a")}
    assert rows <= held


async def test_a_slow_statement_and_a_held_lock_end_by_themselves(account, database):
    connection = await asyncpg.connect(database)
    async with connection.transaction(), connect_store(database, write_seconds=0.5) as store:
        await connection.execute("SELECT * FROM policy_revision FOR UPDATE")
        with pytest.raises(StoreUnavailable):
            await manage_users.grant(store, DR, User("dan"), Role("data_entry"), **BY)
    await connection.close()
    assert (await manage_users.grant(account, DR, User("dan"), Role("data_entry"), **BY)).changed


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM casbin_rule",
        "UPDATE casbin_rule SET v1 = 'role:owner'",
        "INSERT INTO casbin_rule (ptype, v0, v1, v2) VALUES ('g', 'user:eve', 'role:owner', 'physician:dr-a')",
    ],
)
async def test_no_adapter_writes_through_the_view(account, database, statement):
    connection = await asyncpg.connect(database)
    with pytest.raises(asyncpg.RaiseError, match="for reading"):
        await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "lost on the way"])
async def test_a_commit_whose_answer_was_lost_is_looked_up(database, seed, tmp_path_factory, committed):
    """A proxy cuts the connection at COMMIT, having passed it on or not: the write answers by what happened."""
    import tempfile
    from pathlib import Path

    real = Path(database.split("host=")[1]) / ".s.PGSQL.5432"
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        cut = {"at": b""}
        proxies = []

        def connected(reader, writer) -> None:
            proxies.append(asyncio.ensure_future(_proxy(reader, writer, real, cut, committed)))

        server = await asyncio.start_unix_server(connected, Path(folder) / ".s.PGSQL.5432")
        async with connect_store(database.split("host=")[0] + f"host={folder}") as store:
            await install.install_first(store, seed, SHIPPED_MODEL)
            cut["at"] = b"COMMIT"
            if committed:
                written = await manage_users.register_physician(store, DR, User("olive"), "", **BY)
                assert written.revision == 2
            else:
                with pytest.raises(StoreUnavailable):
                    await manage_users.register_physician(store, DR, User("olive"), "", **BY)
            assert await store.revision() == (2 if committed else 1)
        server.close()
        await asyncio.gather(*proxies)


async def _proxy(reader, writer, real, cut, pass_on) -> None:
    there, back = await asyncio.open_unix_connection(real)

    async def answers() -> None:
        while data := await there.read(65536):
            writer.write(data)
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(answers())
        while data := await reader.read(65536):
            if cut["at"] and cut["at"] in data:
                cut["at"] = b""
                answering.cancel()
                await asyncio.wait([answering])
                if pass_on:
                    back.write(data)
                    await there.read(65536)  # the server's word, which nobody hears
                break
            back.write(data)
        back.close()
        writer.close()


async def test_a_custom_role_that_somebody_holds_keeps_its_name_from_the_seed(account, seed):
    await custom_roles.define(account, DR, Role("desk"), VIEW, **BY)
    await manage_users.grant(account, DR, User("leo"), Role("desk"), **BY)
    with pytest.raises(EmptyRole):
        await custom_roles.define(account, DR, Role("desk"), RoleDefinition(), **BY)
    with pytest.raises(RoleNameTaken):
        await install.install(account, [*seed, rule_row(Role("desk"), "*", "invoice:pay", Effect.ALLOW)], **BY)


async def test_every_connection_has_its_timeouts(account):
    async with account._pool.acquire() as connection:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert await connection.fetchval(f"SHOW {name}") not in ("0", None)


async def test_migrating_twice_and_at_once_does_it_once(postgres):
    connection = await asyncpg.connect(postgres)
    await connection.execute("CREATE DATABASE unmigrated")
    await connection.close()
    dsn = in_database(postgres, "unmigrated")
    assert not await schema_is_current(dsn)
    results = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    (version,) = {after for _, after in results}
    assert sorted(str(before) for before, _ in results) == [version, version, version, "None"]
    assert await schema_is_current(dsn)
    async with connect_store(dsn) as store:
        assert await store.revision() == 0


@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        # Both begin with the domain.
        (statements._CURRENT_OF, (["physician:dr-a"],), {"rules_current", "rules_begun"}),
        (known._SINCE, (["physician:dr-a"], [10], ["00000000-0000-0000-0000-000000000000"]), {"rules_begun"}),
        (known._SINCE, (["physician:dr-a"], [10], ["00000000-0000-0000-0000-000000000000"]), {"rules_ended"}),
        (motion.SINCE, (10,), {"rules_from"}),
        (motion.SINCE, (10,), {"rules_until"}),
    ],
)
async def test_the_followers_statements_use_their_index(account, database, statement, arguments, index):
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision) "
        "SELECT 'g', 'user:u' || n, 'role:data_entry', 'physician:dr-' || n % 900, 'api', 2 FROM generate_series(1, 20000) n"
    )
    await connection.execute("UPDATE rules SET until_revision = 3 + id % 20 WHERE id % 20 = 1")
    await connection.execute("ANALYZE rules")
    plan = await connection.fetch(f"EXPLAIN {statement}", *arguments)
    await connection.close()
    assert any(name in record[0] for record in plan for name in index), [record[0] for record in plan]
