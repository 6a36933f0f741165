"""Verifying a change log of a million entries: the chain, and the policy held against it."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from policy_service.audit import Verdict, verify
from policy_service.chain import START, Entry
from policy_service.store import connect_store, migrate
from policy_service.store.records import digest_of
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench

_ENTRY = [
    "revision",
    "at",
    "caller",
    "actor",
    "reason",
    "kind",
    "physician",
    "before",
    "after",
    "detail",
    "mark",
    "previous_hash",
    "hash",
]
_RULE = ("ptype", "v0", "v1", "v2", "origin", "from_revision")
_INDEXES = ("changes_of_users", "changes_of_actor", "changes_of_kind", "changes_at", "changes_of_physician")


def measure(bench: Workbench) -> Iterator[Figure]:
    """Fill a database, then walk it once."""
    entries = bench.sizes.large * 10
    bench.say(f"filling a database: a change log of {entries:,} entries")
    dsn = bench.empty_database("change_log")
    bench.run(fill(dsn, entries))
    bench.say("verifying it")
    found = bench.fresh(walk, dsn=dsn)
    assert found["fault"] == "", found
    assert found["entries"] == entries
    yield Figure(
        name="verify",
        what=f"verifying a change log of {entries:,} entries",
        value=found["seconds"],
        unit="s",
        at_most=60,
    )
    yield Figure(name="verify_rate", what="the same, a second", value=entries / found["seconds"], unit="entries/s")


def log(entries: int) -> Iterator[tuple[Entry, bytes]]:
    """A log in which each entry gives somebody a role."""
    previous, start = START, datetime(2026, 1, 1, tzinfo=UTC)
    for revision in range(1, entries + 1):
        physician = f"dr-{revision % 100_000:06}"
        entry = Entry(
            revision=revision,
            at=start + timedelta(seconds=revision),
            caller="manage-users-page",
            actor=f"owner-{physician}",
            reason="",
            kind="invitation.accept",
            physician=physician,
            before=(),
            after=(("g", f"user:user-{revision}", "role:data_entry", f"physician:{physician}"),),
            detail={
                "invitation": f"inv-{revision:024x}",
                "invited_by": f"owner-{physician}",
                "records": {"users": {f"user-{revision}": [None, digest_of(_user(revision))]}},
            },
            mark=f"00000000-0000-4000-8000-{revision:012x}",
            previous=previous,
        )
        previous = entry.hash()
        yield entry, previous


async def fill(dsn: str, entries: int) -> None:
    """Migrate an empty database and copy a log in, with the rules and users that it tells of."""
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    # A row that comes by COPY sees none of those that came with it.
    await connection.execute("SET session_replication_role = replica")
    for index in _INDEXES:
        await connection.execute(f"DROP INDEX {index}")
    # The log is made twice rather than kept.
    await connection.copy_records_to_table("changes", records=map(_record, log(entries)), columns=_ENTRY)
    rules = (("g", *entry.after[0][1:], "api", entry.revision) for entry, _ in log(entries))
    await connection.copy_records_to_table("rules", records=rules, columns=_RULE)
    users = (tuple(_user(entry.revision).values()) for entry, _ in log(entries))
    await connection.copy_records_to_table("users", records=users, columns=tuple(_user(1)))
    await connection.execute(
        "UPDATE policy_revision SET revision = $1, mark = (SELECT mark FROM changes WHERE revision = $1)", entries
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _user(revision: int) -> dict[str, object]:
    return {
        "username": f"user-{revision}",
        "email": f"user-{revision}@clinic.example",
        "created_at_revision": revision,
        "active_since_revision": revision,
    }


def _record(kept: tuple[Entry, bytes]) -> tuple[Any, ...]:
    entry, own = kept
    return (
        entry.revision, entry.at, entry.caller, entry.actor, entry.reason, entry.kind, entry.physician,
        json.dumps(entry.before), json.dumps(entry.after), json.dumps(entry.detail), entry.mark, entry.previous, own,
    )  # fmt: skip


def walk(dsn: str) -> dict[str, Any]:
    """Verify, in a process of its own."""
    import asyncio

    async def verified() -> Verdict:
        async with connect_store(dsn) as store:
            *_, verdict = [part async for part in verify(store, [])]
            return verdict

    with closing(asyncio.new_event_loop()) as loop:
        began = time.perf_counter()
        verdict = loop.run_until_complete(verified())
        return {"seconds": time.perf_counter() - began, "entries": verdict.entries, "fault": verdict.fault}
