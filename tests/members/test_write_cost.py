"""What a write asks of the database under the lock: a few statements, as many and as much however large its account."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from asyncpg.connection import Connection

from policy_service.store import known, outbox
from policy_service.vocabulary import Physician
from tests.support.accounts import grant, register
from tests.support.people import Page

_KEY = iter(range(1_000_000))


@pytest.fixture
def asked(monkeypatch) -> Counter[str]:
    """Statements in words, and the rows that came back."""
    found: Counter[str] = Counter()
    real, plain = Connection._do_execute, Connection.execute

    async def ask(it, query, *arguments, **options):
        answer = await real(it, query, *arguments, **options)
        if not _is_others(str(query).lstrip()):
            found["statements"] += 1
            found["rows"] += len(answer[0]) if isinstance(answer, tuple) else len(answer)
        return answer

    async def say(it, query, *arguments, **options):
        if not arguments:
            found["words"] += 1
        return await plain(it, query, *arguments, **options)

    monkeypatch.setattr(Connection, "_do_execute", ask)
    monkeypatch.setattr(Connection, "execute", say)
    # Letters go out by themselves and ask for themselves.
    monkeypatch.setattr("policy_service.members.delivery.Sender.wake", lambda _: None)
    return found


def _is_others(query: str) -> bool:
    """The follower looks for itself, and letters go by themselves."""
    return query.startswith(("SELECT 'held'", "SELECT revision, mark FROM policy_revision")) or "outbox SET" in query


async def cost(asked: Counter[str], call) -> tuple[int, int, int]:
    asked.clear()
    await call(f"key-{next(_KEY)}")
    return asked["words"], asked["statements"], asked["rows"]


async def costs(asked, app, management, physician: str, members: int) -> dict[str, tuple[int, int, int]]:
    """Of an account of so many, each write done once before, as everything is read once."""
    await register(app, physician, "olive")
    for number in range(members):
        await grant(app, physician, f"u{number}", "data_entry")
    page, found = Page(management, "olive", physician), {}
    for turn in ("viewer", "writer"):
        role = {"viewer": "financial_viewer", "writer": "data_entry"}[turn]
        calls = {
            "UpdatePermissions": lambda key, role=role: page.edit("u0", role, idempotency_key=key),
            "InviteUser": lambda key, turn=turn: page.invite(f"{turn}-{physician}", "data_entry", idempotency_key=key),
        }
        for name, call in calls.items():
            found[name] = await cost(asked, call)
    return found


async def test_a_writes_work_is_small_and_the_same_in_an_account_of_any_size(asked, app, management):
    small = await costs(asked, app, management, "dr-a", 3)
    large = await costs(asked, app, management, "dr-b", 120)
    # The lock and the commit; the revision with the log's head, what changed in the account, the rows, the entry.
    assert small["UpdatePermissions"][:2] == (2, 5)
    # And who holds the name, whether one is open, how many letters; the invitation with its letter is one.
    assert small["InviteUser"][:2] == (2, 7)
    assert large == small


async def test_what_is_known_is_of_this_history_and_is_read_again_where_it_is_not(store, app, database):
    """A database that was restored has another change under the same number: nothing that was known of it stands."""
    await register(app, "dr-a", "olive")
    async with app.store.reading() as look:
        first = (await look.held_rows("physician:dr-a"))[0]
        assert (await look.held_rows("physician:dr-a"))[0] is first
    rows = app.store._known
    kept = rows._kept["physician:dr-a"]
    forged = kept.at.__class__(revision=kept.at.revision, mark="11111111-1111-1111-1111-111111111111")
    rows._kept["physician:dr-a"] = known._Kept(at=forged, rows=frozenset())
    async with app.store.reading() as look:
        assert (await look.held_rows("physician:dr-a"))[0] == first


async def test_what_is_known_has_its_bounds_and_made_up_names_take_no_room(store, app):
    await register(app, "dr-a", "olive")
    await register(app, "dr-b", "olive")
    rows = known.KnownRows(most=1)
    async with app.store.reading() as look:
        for domain in ("physician:dr-a", "physician:dr-b", *(f"physician:no-{n}" for n in range(20))):
            await rows.of(look.connection, [domain], look.held)
    assert list(rows._kept) == ["physician:dr-b"]


async def test_no_letters_allowed_is_no_limit_and_asks_for_none(store, app):
    most = {"invitation": ("inv", 0), "address": ("a@b.example", 0), "account": (Physician("dr-a"), 0)}
    async with app.store.transaction(caller="t", actor="t") as tx:
        assert set((await outbox.oldest_of_last(tx, datetime.now(UTC), **most)).values()) == {None}
