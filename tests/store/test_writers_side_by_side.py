"""ATTACKS 31: any number of writers leave one chain, and whatever else goes on meanwhile leaves it alone."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policy_service.audit import Checkpointer, Verdict, verify
from policy_service.chain import START, Fork, Signer, statements
from policy_service.errors import StartError
from policy_service.members import Holding, Invitations, Prompts, manage_users
from policy_service.members.tokens import TokenKey
from policy_service.pb import seeds_pb2
from policy_service.seed import install
from policy_service.store import SERVICE_ROLE, Store, StoreUnavailable, as_role, connect_store, log, migrate, records
from policy_service.vocabulary import Physician, Role, Row, User, domain_of, grant_row, subject_of_user
from tests.conftest import SHIPPED_MODEL
from tests.support import second_verifier
from tests.support.accounts import register
from tests.support.older import older_database
from tests.support.seeds import SEED

WRITERS = 16
SIGNER = Signer(Ed25519PrivateKey.generate())


def now() -> datetime:
    return datetime.now(UTC)


async def verdict(store: Store, *lines: str) -> Verdict:
    """What the service's own verifier finds."""
    *_, last = [part async for part in verify(store, [SIGNER.verifier.read(line) for line in lines], SIGNER.verifier)]
    assert isinstance(last, Verdict)
    return last


async def write(store: Store, physician: str, number: int, rounds: int) -> int:
    """One writer: gives somebody a role and takes it, over and over; how many changes it made."""
    account, user, changes = Physician(physician), User(f"user-{number}"), 0
    row = grant_row(subject_of_user(user), Role("data_entry"), domain_of(account))
    for _ in range(rounds):
        async with store.transaction(caller="test", actor=f"writer-{number}") as tx:
            held = {row} & set(await tx.rows([domain_of(account)]))
            await tx.add_user(user)
            await tx.change("test", account, ended=held, begun={row} - held)
        changes += tx.written.changed
    return changes


@pytest.fixture
async def replicas(database: str, seed: tuple[Row, ...]):
    """Stores of several processes: each has connections of its own, and the rights of a service."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(connect_store(as_role(database, SERVICE_ROLE))) for _ in range(3)]
        await install.install_first(opened[0], seed, SHIPPED_MODEL)
        yield opened


@pytest.mark.parametrize("accounts", [1, WRITERS], ids=["one account", "an account each"])
async def test_sixteen_writers_leave_one_chain(replicas, database, accounts):
    names = [f"dr-{number}" for number in range(accounts)]
    for name in names:
        owner = User(f"owner-{name}")
        await manage_users.register_physician(replicas[0], Physician(name), owner, "", caller="test", actor=owner)
    changes = await asyncio.gather(*(write(replicas[n % 3], names[n % accounts], n, 70) for n in range(WRITERS)))
    assert sum(changes) == WRITERS * 70
    found = await verdict(replicas[0])
    assert (found.fault, found.entries) == ("", 1 + accounts + sum(changes))
    assert await second_verifier.fault(database) == ""


async def test_no_release_can_fork_the_log(replicas, database):
    """Not even one that reads an older head: the database itself refuses, as it would a write while it is read-only."""
    async with replicas[0].transaction(caller="test", actor="test") as tx:
        await tx.change("test", None, detail={"a": "1"})
    forged = """
        INSERT INTO changes (revision, at, caller, actor, reason, kind, before, after, detail, mark, previous_hash, hash)
        SELECT revision + 1, at, caller, actor, reason, kind, before, after, {detail}, mark, {previous}, sha256(hash)
        FROM changes ORDER BY revision DESC LIMIT 1"""
    for statement, sqlstate in (
        (forged.format(detail="detail", previous="previous_hash"), "40001"),
        (forged.format(detail="detail - 'records'", previous="hash"), "25006"),
    ):
        connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute(statement)
        await connection.close()
        assert refused.value.sqlstate == sqlstate
    # And this is how it is told to whoever wanted to write.
    with pytest.raises(StoreUnavailable):
        async with replicas[0].transaction(caller="test", actor="test") as tx:
            await tx.connection.execute(forged.format(detail="detail", previous="previous_hash"))
    assert (await verdict(replicas[0])).fault == ""


async def test_one_chain_while_everything_else_goes_on(app, store, database, wire, management, tmp_path):
    """Decisions that are shipped, checkpoints, invitations that expire, and a seed that is applied again and again."""
    accounts = [f"dr-{number}" for number in range(4)]
    for name in accounts:
        await register(app, name, f"owner-{name}")
    done, place, turns = asyncio.Event(), tmp_path / "checkpoints.jsonl", Counter[str]()
    checkpointer = Checkpointer(store, SIGNER, str(place), seconds=1, clock=now)
    invitations = Invitations(SHIPPED_MODEL, TokenKey(bytes(32)), Prompts(1_000), valid_for=timedelta(days=7))

    async def check(turn: int) -> None:
        await wire.check("owner-dr-0", "dr-0", "claim:view", correlation_id=str(turn))

    async def checkpoint(_: int) -> None:
        await checkpointer.write()

    async def invite(turn: int) -> None:
        """The same person each time, a month later: the invitation before has expired."""
        async with store.transaction(caller="test", actor="owner-dr-0") as tx:
            await invitations.invite(
                tx, Physician("dr-0"), User("late"), "late@clinic.example", Holding(roles=frozenset({Role("data_entry")})),
                actor=User("owner-dr-0"), reuse_existing=True, now=now() + timedelta(days=30 * turn),
            )  # fmt: skip

    async def apply(turn: int) -> None:
        csv = SEED if turn % 2 else SEED.replace("p, role:financial_viewer, *, invoice:pay, allow\n", "")
        *_, last = await management.parts("PlanSeed", seeds_pb2.PlanSeedRequest(csv=csv))
        wanted = {"csv": csv, "actor": "ops", "reason": "test", "at_any_revision": True}
        plan = seeds_pb2.ApplySeedRequest(**wanted, revision=last.plan.revision, digest=last.plan.digest)
        await management("ApplySeed", plan, timeout=60)

    async def over_and_over(work: Callable[[int], Awaitable[None]]) -> None:
        while not done.is_set() or turns[work.__name__] < 3:
            await work(turns[work.__name__])
            turns[work.__name__] += 1

    beside = [asyncio.create_task(over_and_over(work)) for work in (check, checkpoint, invite, apply)]
    async with connect_store(as_role(database, SERVICE_ROLE)) as other:
        await asyncio.gather(*(write((store, other)[n % 2], accounts[n % 4], n, 12) for n in range(WRITERS)))
    done.set()
    await asyncio.gather(*beside)
    await checkpoint(0)

    lines = place.read_text().splitlines()
    found = await verdict(store, *lines)
    assert (found.fault, found.checkpoints_met) == ("", len(lines))
    assert await second_verifier.fault(database, SIGNER.sign_bytes(b"")[0], lines) == ""
    assert found.entries >= 5 + WRITERS * 12 + turns["invite"] + turns["apply"]
    assert await _eventually_recorded(store, turns["check"])


async def _eventually_recorded(store: Store, checks: int) -> bool:
    """Every decision that was answered is in the log, once it is shipped."""
    async with asyncio.timeout(120):
        while sum(log.decisions for log in (await verdict(store)).replicas) < checks:
            pass
    return True


@pytest.fixture
async def earlier_log(store: Store, database: str, postgres: str, seed: tuple[Row, ...]) -> AsyncIterator[str]:
    """A database as the release before left it: its writers forked the log, its entries vouch for rules only."""
    # To which actions were no rows.
    await install.install_first(store, [row for row in seed if row.ptype != "a"], SHIPPED_MODEL)
    owner = User("olive")
    await manage_users.register_physician(store, Physician("dr-a"), owner, "Dr. A", caller="test", actor=owner)
    await write(store, "dr-a", 1, 30)
    async with older_database(postgres, "0003") as older:
        now_, then = await asyncpg.connect(database), await asyncpg.connect(older)
        for table in ("users", "physicians", "rules"):
            for record in await now_.fetch(f"SELECT * FROM {table}"):
                fields = {
                    name: value for name, value in record.items() if name not in ("id", "domain", "set_up_revision")
                }
                await then.execute(_insert(table, fields), *fields.values())
        hashes = {0: START}
        for record in await now_.fetch("SELECT * FROM changes ORDER BY revision"):
            revision, detail = record["revision"], json.loads(record["detail"])
            del detail["records"]
            # Between 10 and 20, three writers at a time saw the same head.
            seen = revision - 1 if not 10 <= revision <= 20 else (revision - 1) // 3 * 3 - 1
            fields = {**record, "detail": json.dumps(detail), "previous_hash": hashes[seen]}
            fields["hash"] = hashes[revision] = log.entry_of(fields).hash()
            del fields["users"]
            await then.execute(_insert("changes", fields), *fields.values())
        point = await now_.fetchrow("SELECT revision, mark, changed_at FROM policy_revision")
        await then.execute("UPDATE policy_revision SET revision = $1, mark = $2, changed_at = $3", *point)
        await now_.close()
        await then.close()
        yield older


def _insert(table: str, fields: dict[str, Any]) -> str:
    places = ", ".join(f"${place}" for place in range(1, len(fields) + 1))
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({places})"


@pytest.fixture
async def earlier(earlier_log: str) -> AsyncIterator[Store]:
    """A store on that database."""
    async with connect_store(earlier_log) as opened:
        yield opened


async def test_a_log_that_an_earlier_release_forked_is_stated_and_not_rewritten(earlier_log, earlier):
    connection = await asyncpg.connect(earlier_log)
    before = await connection.fetch("SELECT * FROM changes ORDER BY revision")
    assert second_verifier.chain_fault(before, "") == "broken at revision 10"
    assert (await migrate(earlier_log, SIGNER.sign_bytes))[0] == "0003"
    await migrate(earlier_log, SIGNER.sign_bytes)
    after = await connection.fetch("SELECT * FROM changes ORDER BY revision")
    assert after[:-1] == before
    await write(earlier, "dr-a", 2, 4)

    found = await verdict(earlier)
    assert (found.fault, found.entries) == ("", len(before) + 5)
    assert "11 entries of revisions 10 to 20 follow another than the one before" in found.statement
    assert f"revision {len(before) + 1} found and sealed them" in found.statement
    key, _ = SIGNER.sign_bytes(b"")
    assert await second_verifier.fault(earlier_log, key) == ""
    # A statement is believed by whoever knows the key, and by nobody else.
    for verifier in (None, Signer(Ed25519PrivateKey.generate()).verifier):
        *_, doubted = [part async for part in verify(earlier, [], verifier)]
        assert (doubted.broken_revision, "public key" in doubted.fault or "not believed" in doubted.fault) == (
            len(before) + 1,
            True,
        )
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE changes SET previous_hash = (SELECT hash FROM changes WHERE revision = 9) WHERE revision = 16",
        "UPDATE changes SET actor = 'eve' WHERE revision = 15",
        "DELETE FROM changes WHERE revision = 15",
    ],
)
async def test_what_was_sealed_stays_as_it_was(earlier_log, earlier, statement):
    await migrate(earlier_log, SIGNER.sign_bytes)
    connection = await asyncpg.connect(earlier_log)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(statement)
    for record in await connection.fetch("SELECT * FROM changes WHERE revision IN (15, 16)"):
        # As whoever holds the database can make it: each entry's hash is good again.
        await connection.execute(
            "UPDATE changes SET hash = $2 WHERE revision = $1", record["revision"], log.entry_of(record).hash()
        )
    await connection.close()
    assert (await verdict(earlier)).fault != ""
    assert await second_verifier.fault(earlier_log, SIGNER.sign_bytes(b"")[0]) != ""


async def test_a_later_statement_explains_nothing(replicas, database):
    """Nobody who can write an entry, and has the key, can explain away what they then alter."""
    await write(replicas[0], "dr-a", 1, 8)
    fork = Fork(first=3, last=3, entries=1, sha256="00" * 32)
    async with replicas[0].transaction(caller="test", actor="eve") as tx:
        said = statements.statement(log="", fork=fork, records_sha256="00" * 32, sign=SIGNER.sign_bytes)
        await tx.change(statements.KIND, None, detail=said)
    found = await verdict(replicas[0])
    assert found.statement == ""
    assert found.fault != ""


async def test_between_the_steps_of_a_migration_nothing_is_written(earlier_log, earlier):
    """The process that migrated was killed before it stated what it found: the next one does."""
    assert await schema_of(earlier_log) == "0003"
    with pytest.raises(StartError, match="no key to sign with"):
        await migrate(earlier_log)
    with pytest.raises(StoreUnavailable):
        await write(earlier, "dr-a", 1, 1)
    await migrate(earlier_log, SIGNER.sign_bytes)
    assert await write(earlier, "dr-a", 1, 1) == 1
    assert (await verdict(earlier)).fault == ""


async def schema_of(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval("SELECT version_num FROM alembic_version")
    await connection.close()
    return str(found)


PAST_THE_SERVICE = {
    "a rule's v4": ("UPDATE rules SET v4 = 'x' WHERE v0 = 'user:olive'", "has more fields than a row of policy"),
    "a rule's origin": ("UPDATE rules SET origin = 'seed' WHERE v0 = 'user:olive'", "is of origin seed"),
    "an account's owner": (
        "UPDATE physicians SET owner = 'mia' WHERE physician = 'dr-a'",
        "physician dr-a is not as the last entry left it",
    ),
    "an account's title": (
        "UPDATE physicians SET display_name = 'x' WHERE physician = 'dr-a'",
        "physician dr-a is not as the last entry",
    ),
    "an account that came": (
        "INSERT INTO physicians VALUES ('dr-b', 'mia', 'x', 2)",
        "physician dr-b is there, and no entry says since when",
    ),
    "a link": ("UPDATE invitations SET token_hash = sha256('mine')", "is not as the last entry left it"),
    "what an invitation gives": (
        "UPDATE invitations SET roles = '{administrator}'",
        "is not as the last entry left it",
    ),
    "an invitation that ended": ("UPDATE invitations SET expires_at = now() + '9 years'", "is not as the last entry"),
    "an invitation that went": ("DELETE FROM outbox; DELETE FROM invitations", "is gone, and no entry says so"),
    "an address": ("UPDATE users SET email = 'eve@evil.example' WHERE username = 'mia'", "user mia is not as the last"),
    "credentials": ("UPDATE users SET set_up_revision = NULL WHERE username = 'mia'", "user mia is not as the last"),
    "a user that went": ("DELETE FROM users WHERE username = 'mia'", "user mia is gone"),
    "which history it is": ("UPDATE policy_revision SET mark = gen_random_uuid()", "its mark is not the one"),
}


@pytest.mark.parametrize("what", PAST_THE_SERVICE)
async def test_what_was_changed_past_the_service_is_named(store, database, seed, what):
    """Whatever decides, or is answered to an auditor, is vouched for by the chain."""
    statement, words = PAST_THE_SERVICE[what]
    await install.install_first(store, seed, SHIPPED_MODEL)
    for owner in ("olive", "mia"):
        async with store.transaction(caller="test", actor=owner) as tx:
            account = Physician("dr-a" if owner == "olive" else "dr-z")
            await manage_users.register(tx, account, User(owner), "", actor=User(owner), now=now())
    invitations = Invitations(SHIPPED_MODEL, TokenKey(bytes(32)), Prompts(1_000), valid_for=timedelta(days=7))
    async with store.transaction(caller="test", actor="olive") as tx:
        await invitations.invite(
            tx, Physician("dr-a"), User("nina"), "nina@clinic.example", Holding(roles=frozenset({Role("data_entry")})),
            actor=User("olive"), reuse_existing=False, now=now(),
        )  # fmt: skip
    assert (await verdict(store)).fault == await second_verifier.fault(database) == ""
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(statement)
    await connection.close()
    assert words in (await verdict(store)).fault


async def test_every_column_is_vouched_for(database):
    """A column that a later release adds is vouched for too, or this fails."""
    connection = await asyncpg.connect(database)
    for name, table in records.TABLES.items():
        columns = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1", name
        )
        assert {record["column_name"] for record in columns} == set(table.columns)
    await connection.close()
