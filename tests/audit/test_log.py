"""The change log in a real database: nobody rewrites it unseen, and the service's role not at all."""

import errno
import io
import json
import os
import random
import resource
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from policy_service.audit import Checkpointer, Verdict, verify
from policy_service.audit.checkpointing import add_line
from policy_service.audit.errors import CheckpointOfAnotherLog
from policy_service.chain import START, Signer, read_signer, read_verifier
from policy_service.decide import vetted_model
from policy_service.errors import InvalidRequest, StartError
from policy_service.pb import audit_pb2 as pb
from policy_service.rpc import contract_methods
from policy_service.seed import install
from policy_service.store import SERVICE_ROLE, allow_service, as_role, connect_store, log
from policy_service.transfer import moving, moving_check
from policy_service.vocabulary import Progress
from tests.conftest import DATA_DIR, SHIPPED_MODEL, TEMPLATE, in_database
from tests.support.accounts import grant, register, revoke
from tests.support.rpc import Refused

SIGNER = Signer(Ed25519PrivateKey.generate())


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def history(app) -> int:
    """Some dozen changes made through the service; the last revision."""
    for name in ("dr-a", "dr-b", "dr-c"):
        await register(app, name, f"owner-of-{name}")
    chance = random.Random(1)
    held = set()
    for _ in range(40):
        one = (f"dr-{chance.choice('abc')}", f"user-{chance.randrange(4)}", "data_entry")
        await (revoke if one in held else grant)(app, *one)
        held ^= {one}
    return await app.store.revision()


@asynccontextmanager
async def intruder(database: str):
    """The database's superuser, past every trigger."""
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def verdict(store, *lines: str, signer: Signer = SIGNER) -> Verdict:
    found = [part async for part in verify(store, [signer.verifier.read(line) for line in lines])]
    assert all(isinstance(part, Progress) for part in found[:-1])
    return found[-1]


async def checkpoint(store, signer: Signer = SIGNER) -> str:
    head = await store.log_head()
    return await Checkpointer(store, signer, "", seconds=1, clock=now).sign(head.revision, head.hash)


async def test_what_the_service_writes_is_whole(app, store, history):
    found = await verdict(store, await checkpoint(store))
    assert (found.fault, found.entries, found.checkpoints_met) == ("", history, 1)
    assert found.head_revision == history


async def test_the_first_entry_begins_the_chain(app, database, history):
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT previous_hash FROM changes WHERE revision = 1") == START
    await connection.close()


EDITS = {
    "at": "at + interval '1 microsecond'",
    "caller": "caller || 'x'",
    "actor": "'somebody-else'",
    "reason": "'no reason'",
    "kind": "'grant'",
    "physician": "'dr-z'",
    "before": '\'[["g","user:x","role:owner","physician:dr-a"]]\'',
    "after": '\'[["g","user:x","role:owner","physician:dr-a"]]\'',
    "detail": '\'{"user": "x"}\'',
    "mark": "gen_random_uuid()",
    "previous_hash": "sha256(previous_hash)",
    "hash": "sha256(hash)",
}


@pytest.mark.parametrize("column", EDITS)
async def test_an_edit_of_any_column_is_named(app, store, database, history, column):
    async with intruder(database) as connection:
        await connection.execute(f"UPDATE changes SET {column} = {EDITS[column]} WHERE revision = 20")
    found = await verdict(store)
    assert found.broken_revision == 20
    assert found.entries == 19


async def test_an_entry_that_was_deleted_is_named(app, store, database, history):
    async with intruder(database) as connection:
        await connection.execute("DELETE FROM changes WHERE revision = 17")
    found = await verdict(store)
    assert (found.broken_revision, found.fault) == (17, "revision 17 is missing; the next entry is 18")


async def test_entries_that_were_swapped_are_named(app, store, database, history):
    async with intruder(database) as connection:
        await connection.execute("UPDATE changes SET revision = -1 WHERE revision = 11")
        await connection.execute("UPDATE changes SET revision = 11 WHERE revision = 12")
        await connection.execute("UPDATE changes SET revision = 12 WHERE revision = -1")
    assert (await verdict(store)).broken_revision == 11


async def test_an_end_that_was_cut_off_is_found_by_the_policys_own_revision(app, store, database, history):
    async with intruder(database) as connection:
        await connection.execute("DELETE FROM changes WHERE revision > 30")
    found = await verdict(store)
    assert (found.broken_revision, found.entries) == (31, 30)


async def test_an_end_that_was_cut_off_everywhere_is_found_by_a_checkpoint_alone(app, store, database, history):
    line = await checkpoint(store)
    async with intruder(database) as connection:
        await _cut(connection, 30)
    assert (await verdict(store)).fault == ""
    found = await verdict(store, line)
    assert (found.broken_revision, found.fault) == (31, f"the log ends at revision 30, and there was {history}")


async def _cut(connection: asyncpg.Connection, revision: int) -> None:
    """Take back everything after a revision, in every table."""
    await connection.execute("DELETE FROM changes WHERE revision > $1", revision)
    await connection.execute("DELETE FROM rules WHERE from_revision > $1", revision)
    await connection.execute("UPDATE rules SET until_revision = NULL WHERE until_revision > $1", revision)
    await connection.execute("DELETE FROM users WHERE created_at_revision > $1", revision)
    await connection.execute(
        "UPDATE policy_revision SET revision = $1, mark = (SELECT mark FROM changes WHERE revision = $1)", revision
    )


async def test_a_log_that_was_rewritten_whole_is_found_by_a_checkpoint_alone(app, store, database, history):
    line = await checkpoint(store)
    async with intruder(database) as connection:
        records = await connection.fetch("SELECT * FROM changes ORDER BY revision")
        previous = START
        for record in records:
            fields = {**record, "previous_hash": previous}
            if record["revision"] == 20:
                fields["actor"] = "somebody-else"
            entry = log.entry_of(fields)
            previous = entry.hash()
            await connection.execute(
                "UPDATE changes SET actor = $2, previous_hash = $3, hash = $4 WHERE revision = $1",
                entry.revision, entry.actor, entry.previous, previous,
            )  # fmt: skip
    assert (await verdict(store)).fault == ""
    found = await verdict(store, line)
    assert (found.broken_revision, found.fault) == (
        history,
        "its hash is not the one of the checkpoint: the log was rewritten",
    )


async def test_a_grant_that_no_entry_tells_of_is_found(app, store, database, history):
    """The chain is whole, and the policy is not what it says."""
    async with intruder(database) as connection:
        await connection.execute(
            "INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision) "
            "VALUES ('g', 'user:mallory', 'role:administrator', 'physician:dr-a', 'api', 9)"
        )
    found = await verdict(store)
    assert found.broken_revision == 9
    assert found.fault == "the row 'g, user:mallory, role:administrator, physician:dr-a' began and no entry says so"


async def test_a_grant_that_was_ended_without_an_entry_is_found(app, store, database, history):
    async with intruder(database) as connection:
        await connection.execute(
            "UPDATE rules SET until_revision = 12 WHERE v1 = 'role:owner' AND domain = 'physician:dr-a'"
        )
    found = await verdict(store)
    assert (found.broken_revision, "ended and no entry says so" in found.fault) == (12, True)


async def test_a_grant_that_ended_and_was_put_back_by_the_services_own_role_is_found(app, store, database, history):
    await grant(app, "dr-a", "mia", "data_entry")
    ended = await revoke(app, "dr-a", "mia", "data_entry")
    connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
    # The very row that an entry began, a second time.
    await connection.execute(
        "INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision) "
        "SELECT ptype, v0, v1, v2, origin, from_revision FROM rules WHERE v0 = 'user:mia'"
    )
    await connection.close()
    found = await verdict(store)
    assert (found.broken_revision, "began and no entry says so" in found.fault) == (ended - 1, True)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (
            SERVICE_ROLE,
            """INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision)
               VALUES ('g', 'user:eve', 'role:owner', 'physician:dr-a', 'api', 1)""",
        ),
        (
            "postgres",
            "UPDATE rules SET v0 = 'user:eve' WHERE v0 = 'user:owner-of-dr-a' AND v1 = 'role:owner'",
        ),
        ("postgres", "DELETE FROM rules WHERE v0 = 'user:owner-of-dr-a'"),
    ],
    ids=["added", "altered", "deleted"],
)
async def test_a_grant_of_an_import_that_is_another_is_found(
    app, store, database, history, postgres, tmp_path, role, statement
):
    file = tmp_path / "policy.jsonl"
    async with store.reading() as look:
        file.write_text("".join([part.text async for part in moving.export(look, SHIPPED_MODEL.text)]))
    *_, checked = moving_check.check(file, contract_methods())
    empty = f"{TEMPLATE}_import"
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE {empty} TEMPLATE {TEMPLATE}")
    async with connect_store(in_database(postgres, empty)) as other:
        await moving.install(other, checked, actor="ops", reason="")
        assert (await verdict(other)).fault == ""
        connection = await asyncpg.connect(as_role(in_database(postgres, empty), role))
        if role != SERVICE_ROLE:
            await connection.execute("SET session_replication_role = replica")
        assert (await connection.execute(statement)).split()[-1] == "1"
        await connection.close()
        found = await verdict(other)
    await owner.execute(f"DROP DATABASE {empty} WITH (FORCE)")
    await owner.close()
    assert (found.broken_revision, "the rows that began with the import are not those" in found.fault) == (1, True)


async def test_a_row_that_was_deleted_is_found(app, store, database, history):
    async with intruder(database) as connection:
        await connection.execute("DELETE FROM rules WHERE v1 = 'role:owner' AND domain = 'physician:dr-b'")
    assert "that the row 'g, user:owner-of-dr-b, role:owner, physician:dr-b' began" in (await verdict(store)).fault


async def test_a_log_is_not_judged_by_a_checkpoint_of_another_one(app, store, history):
    head = await store.log_head()
    line = SIGNER.sign(log="another", revision=head.revision, hash=head.hash, at=now())
    with pytest.raises(CheckpointOfAnotherLog, match=f"revision: {history}"):
        await verdict(store, line)


def test_a_checkpoint_says_nothing_under_another_key_or_when_it_was_edited():
    line = SIGNER.sign(log="l", revision=7, hash=bytes(32), at=now())
    assert SIGNER.verifier.read(line).revision == 7
    with pytest.raises(InvalidRequest, match="signed with another key"):
        Signer(Ed25519PrivateKey.generate()).verifier.read(line)
    refused = 0
    for place in range(len(line)):
        edited = line[:place] + chr(ord(line[place]) ^ 1) + line[place + 1 :]
        try:
            if json.loads(edited) == json.loads(line):
                continue
        except ValueError:
            pass
        with pytest.raises(InvalidRequest):
            SIGNER.verifier.read(edited)
        refused += 1
    assert refused > 300
    for nonsense in (
        "",
        "[]",
        "{}",
        "null",
        "x" * 10_000,
        "[" * 1_999,
        json.dumps({**json.loads(line), "revision": True}),
    ):
        with pytest.raises(InvalidRequest):
            SIGNER.verifier.read(nonsense)


def test_checkpoints_of_all_keys_that_an_auditor_knows_are_believed(tmp_path):
    """As after a key was lost, or where each replica had its own."""
    lines = [read_signer(tmp_path / f"{n}.key").sign(log="l", revision=n, hash=bytes(32), at=now()) for n in range(3)]
    verifier = read_verifier(tmp_path / "0.pub", tmp_path / "2.pub")
    assert [verifier.read(line).revision for line in (lines[0], lines[2])] == [0, 2]
    with pytest.raises(InvalidRequest, match=r"signed with another key, not \w+ or \w+$"):
        verifier.read(lines[1])


async def test_decisions_that_come_from_nowhere_are_found(app, store, database, history):
    line = "\t".join([now().isoformat(), "r-1", "1", "c", "u", "p", "a", "web", "", "", "t", "granted", "", "1"])
    async with intruder(database) as connection:
        await connection.execute("SELECT decisions_make_day(current_date)")
        await connection.copy_to_table("decisions", source=io.BytesIO(line.encode() + b"\n"))
    found = await verdict(store)
    assert found.fault == "process r-1 recorded decisions, and nothing says that it ever started"
    assert next(log.decisions for log in found.replicas if log.replica == "r-1") == 1


async def test_a_request_takes_two_thousand_checkpoints(app, management, history):
    signer = read_signer(DATA_DIR / "checkpoint.key")
    head = await app.store.log_head()
    line = signer.sign(log=await app.store.log_name(), revision=head.revision, hash=head.hash, at=now())
    *_, last = await management.parts("VerifyLog", pb.VerifyLogRequest(against=[line] * 2_000))
    assert last.verdict.whole, last.verdict.fault
    with pytest.raises(Refused) as refused:
        await management.parts("VerifyLog", pb.VerifyLogRequest(against=[line] * 2_001))
    assert refused.value.reason == "INVALID_REQUEST"


def test_the_key_is_made_once_and_only_for_its_owner(tmp_path):
    path = tmp_path / "checkpoint.key"
    line = read_signer(path).sign(log="l", revision=1, hash=bytes(32), at=now())
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_signer(path).verifier.read(line).revision == 1
    assert read_verifier(tmp_path / "checkpoint.pub").read(line).revision == 1
    path.chmod(0o644)
    with pytest.raises(StartError, match="chmod 600"):
        read_signer(path)


async def test_checkpoints_are_written_when_the_log_has_grown(app, store, history, tmp_path):
    place = tmp_path / "checkpoints.jsonl"
    writer = Checkpointer(store, SIGNER, str(place), seconds=1, clock=now)
    await writer.write()
    await writer.write()
    assert len(place.read_text().splitlines()) == 1
    await grant(app, "dr-a", "late", "data_entry")
    await writer.write()
    lines = place.read_text().splitlines()
    assert [SIGNER.verifier.read(line).revision for line in lines] == [history, history + 1]
    assert (await verdict(store, *lines)).checkpoints_met == 2


def checkpoint_at(revision: int) -> str:
    return SIGNER.sign(log="l", revision=revision, hash=bytes(32), at=now())


def revisions_in(place: Path) -> list[int]:
    return [SIGNER.verifier.read(line).revision for line in place.read_text().splitlines()]


@pytest.mark.parametrize("last", ["cut", "without its end"])
def test_a_checkpoint_follows_whole_lines_only(tmp_path, last):
    """The machine lost power while a line was written, or somebody's editor left the end away."""
    place = tmp_path / "checkpoints.jsonl"
    whole = checkpoint_at(2)
    place.write_text(checkpoint_at(1) + "\n" + (whole[:200] if last == "cut" else whole))
    add_line(str(place), checkpoint_at(3))
    assert revisions_in(place) == ([1, 3] if last == "cut" else [1, 2, 3])


def test_a_checkpoint_that_the_disk_has_no_room_for_leaves_nothing(tmp_path):
    place = tmp_path / "checkpoints.jsonl"
    add_line(str(place), checkpoint_at(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system writes as much as there is room for, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (place.stat().st_size + 20, before[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            add_line(str(place), checkpoint_at(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    add_line(str(place), checkpoint_at(3))
    assert revisions_in(place) == [1, 3]


def test_a_key_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.key"

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StartError, match="No space left"):
            read_signer(path)
    assert list(tmp_path.iterdir()) == []
    assert read_signer(path).verifier


def test_a_key_whose_public_half_cannot_be_written_beside_it_signs_all_the_same(tmp_path):
    """As one that is handed in, in a folder for reading only."""
    (tmp_path / "checkpoint.pub").mkdir()
    assert read_signer(tmp_path / "checkpoint.key").verifier


def test_a_key_is_not_where_its_public_half_goes(tmp_path):
    with pytest.raises(StartError, match="choose another ending"):
        read_signer(tmp_path / "checkpoint.pub")
    assert list(tmp_path.iterdir()) == []


FORBIDDEN = [
    "UPDATE changes SET actor = 'x'",
    "DELETE FROM changes",
    "TRUNCATE changes",
    "DROP TABLE changes",
    "ALTER TABLE changes DISABLE TRIGGER ALL",
    "ALTER TABLE changes DROP COLUMN hash",
    "UPDATE decisions SET allowed = true",
    "DELETE FROM decisions",
    "TRUNCATE decisions",
    "DELETE FROM decisions_20260101",
    "TRUNCATE decisions_20260101",
    "TRUNCATE decision_replicas",
    "DROP TABLE decisions_20260101",
    "UPDATE decision_replicas SET lost = 0",
    "DELETE FROM decision_replicas",
    "DELETE FROM rules",
    "UPDATE rules SET v1 = 'role:owner'",
    "UPDATE rules SET from_revision = 1",
    "DELETE FROM policy_revision",
    "DELETE FROM physicians",
    "SET session_replication_role = replica",
    "CREATE TABLE mine (x int)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SET ROLE postgres",
]  # fmt: skip


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_services_role_may_not(database, statement):
    owner = await asyncpg.connect(database)
    await owner.execute("SELECT decisions_make_day('2026-01-01')")
    await owner.close()
    connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


SHADOWS = {
    "view": """
        CREATE FUNCTION pg_temp.rewrite() RETURNS oid LANGUAGE plpgsql AS $$ BEGIN
          ALTER TABLE public.changes DISABLE TRIGGER ALL;
          UPDATE public.changes SET reason = 'forged';
          RETURN 0; END $$;
        CREATE TEMP VIEW pg_inherits AS SELECT pg_temp.rewrite() AS inhrelid, pg_temp.rewrite() AS inhparent""",
    "table": """
        CREATE TEMP TABLE decisions (at timestamptz) PARTITION BY RANGE (at);
        CREATE TEMP TABLE decisions_20260101 (x int)""",
}


@pytest.mark.parametrize("shadow", SHADOWS)
async def test_temporary_objects_do_not_lend_the_service_the_owners_rights(app, database, history, shadow):
    connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
    await connection.execute(SHADOWS[shadow])
    await connection.execute("SELECT decisions_make_day('2026-01-01')")
    assert await connection.fetchval("SELECT to_regclass('public.decisions_20260101') IS NOT NULL")
    assert await connection.fetchval("SELECT decisions_drop_before('2026-01-02')") == 1
    assert await connection.fetchval("SELECT to_regclass('public.decisions_20260101') IS NULL")
    assert not await connection.fetchval("SELECT EXISTS (SELECT FROM changes WHERE reason = 'forged')")
    await connection.close()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("CREATE ROLE {role} LOGIN SUPERUSER", "superuser"),
        ("CREATE ROLE {role} LOGIN IN ROLE postgres", "is a member of their owner"),
        ("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}", "REVOKE CREATE ON SCHEMA public FROM"),
    ],
)
async def test_a_role_that_could_rewrite_a_log_all_the_same_is_refused(database, made, words):
    role = f"strong_{len(words)}"
    owner = await asyncpg.connect(database)
    await owner.execute(made.format(role=role))
    with pytest.raises(StartError, match=words):
        await allow_service(database, role)
    await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await owner.close()


@pytest.mark.parametrize("statement", [s for s in FORBIDDEN[:11] if s.split()[0] in ("UPDATE", "DELETE", "TRUNCATE")])
async def test_not_even_the_owner_rewrites_a_log_by_accident(database, app, history, statement):
    connection = await asyncpg.connect(database)
    await connection.execute("SELECT decisions_make_day(current_date), decisions_make_day('2026-01-01')")
    await connection.execute(
        "INSERT INTO decisions SELECT at, 'r', extract(day FROM at)::int + 100 * extract(year FROM at)::int, 'c', 'u', 'p', 'a', 'web', '', '', true, 'granted', '', 1 "
        "FROM unnest(ARRAY[now(), '2026-01-01T12:00Z']) AS at"
    )
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await connection.execute(statement)
    await connection.close()


async def test_a_service_with_too_many_rights_is_warned_of(store, database):
    assert await store.may_rewrite_log()
    async with connect_store(as_role(database, SERVICE_ROLE)) as limited:
        assert not await limited.may_rewrite_log()


async def test_a_new_day_waits_for_no_reader(database, store):
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        # As a backup at midnight, or a long verification.
        await reader.fetch("SELECT FROM decisions")
        line = "2031-01-01 00:00:00+00\tr\tc\t1\tu\tp\ta\tweb\t\t\tt\tgranted\t\t1\n"
        await store.append_decisions(line.encode())
    assert await reader.fetchval("SELECT count(*) FROM decisions_20310101") == 1
    await reader.close()


async def test_the_service_cannot_drop_decisions_of_the_last_month(database):
    connection = await asyncpg.connect(as_role(database, SERVICE_ROLE))
    today = now().date()
    for age in (0, 29, 31, 400):
        await connection.execute("SELECT decisions_make_day($1)", today - timedelta(days=age))
    assert await connection.fetchval("SELECT decisions_drop_before($1)", today + timedelta(days=5)) == 2
    await connection.close()


async def test_times_in_the_log_never_go_back(app, store, database):
    """ATTACKS 29: the clock is moved back. Whoever runs the service is told, as questions by time go wrong until then."""
    with capture_logs() as told:
        await register(app, "dr-a", "olive")
    assert "warning" not in {line["log_level"] for line in told}
    async with intruder(database) as connection:
        ahead = await connection.fetchval(
            "UPDATE policy_revision SET changed_at = now() + '1 hour' RETURNING changed_at"
        )
    with capture_logs() as told:
        await grant(app, "dr-a", "mia", "data_entry")
    assert [line["at"] for line in told if line["log_level"] == "warning"] == [ahead]
    async with intruder(database) as connection:
        assert await connection.fetchval("SELECT at FROM changes ORDER BY revision DESC LIMIT 1") == ahead
    assert (await verdict(store)).fault == ""


async def test_a_model_that_changed_is_an_entry_and_the_same_one_is_none(store, model, seed):
    await install.install_first(store, seed, model)
    await install.record_model(store, model)
    assert await store.revision() == 1
    other = vetted_model(model.text + "# as before\n", "model.conf")
    await install.record_model(store, other)
    await install.record_model(store, other)
    assert await store.revision() == 2
    async with store.reading() as look:
        assert await look.model_at(1) == model.text
        assert await look.model_at(2) == await look.model_at(99) == other.text
        assert await look.model_at(0) is None
