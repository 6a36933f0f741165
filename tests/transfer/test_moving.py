"""Moving house: the whole policy into an empty store, with the same answers; a file that is not whole brings nothing."""

import hashlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from policy_service.app import open_app
from policy_service.audit import Verdict, verify
from policy_service.members import read_key
from policy_service.pb import seeds_pb2 as pb
from policy_service.policy_text import BrokenPolicy
from policy_service.rpc import contract_methods
from policy_service.seed import install
from policy_service.store import SERVICE_ROLE, Store, Written, as_role, connect_store
from policy_service.transfer import moving, moving_check
from policy_service.transfer.errors import FileChanged, StoreNotEmpty
from policy_service.vocabulary import Channel, Physician, Row, User
from tests.conftest import DATA_DIR, SHIPPED_MODEL, TEMPLATE, in_database, settings_for
from tests.support.accounts import grant, reached, register
from tests.support.actions import Action
from tests.support.people import Page
from tests.support.rpc import Wire

pytestmark = pytest.mark.over_tls

_names = itertools.count()
Lines = list[dict[str, Any]]


@pytest.fixture
async def new_house(postgres: str) -> AsyncIterator[str]:
    """Another migrated database without policy, as its services see it."""
    name = f"new_house_{os.getpid()}_{next(_names)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield as_role(in_database(postgres, name), SERVICE_ROLE)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


class Old:
    """A lived-in house: its invitations, and what was written down of it."""

    invitations: dict[str, tuple[str, int]]
    text: str


@pytest.fixture
async def old(app, management) -> Old:
    for physician in ("dr-x", "dr-y"):
        await register(app, physician, "owner")
    page = Page(management, "owner", "dr-x")
    await page.create_role("desk", "claim:view", deny=("claim:delete",), includes=("data_entry",))
    await page.create_role("night-desk", includes=("desk",))
    for user, role in (("ann", "night-desk"), ("bob", "administrator"), ("data_entry", "financial_viewer")):
        await grant(app, "dr-x", user, role)
    await grant(app, "dr-y", "ann", "data_entry")
    key = read_key(DATA_DIR / "token.key")
    known = await page.invite("cy", actions=("claim:view", "report:generate"))
    await page.accept(key.token(known.invitation.id, 1))
    await page.revoke("bob")
    found = Old()
    waiting, resent = await page.invite("dee", "desk"), await page.invite("eve", actions=("invoice:view",))
    await page.resend(resent.invitation.id)
    cancelled = await page.invite("fay", "data_entry")
    gone = await page.cancel(cancelled.invitation.id)
    found.invitations = {"dee": (waiting.invitation.id, 1), "eve": (resent.invitation.id, 2)}
    await reached(app, gone.revision)
    request = pb.ExportPolicyRequest(form=pb.POLICY_FORM_EVERYTHING)
    parts = await management.parts("ExportPolicy", request)
    found.text = "".join(part.text for part in parts)
    assert parts[-1].progress.done == parts[-1].progress.total == found.text.count("\n")
    return found


def checked(path: Path) -> moving_check.Checked:
    *_, found = moving_check.check(path, contract_methods())
    assert isinstance(found, moving_check.Checked)
    return found


async def bring_in(store: Store, text: str | bytes, folder: Path) -> Written:
    path = folder / "policy.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return await moving.install(store, checked(path), actor="ops", reason="moved house")


async def exported(store: Store) -> str:
    async with store.reading_long() as look:
        model = await look.model_at(look.revision)
        assert model is not None
        return "".join([part.text async for part in moving.export(look, model)])


def answers(app) -> dict[tuple[str, ...], Any]:
    users = ("owner", "ann", "bob", "cy", "dee", "eve", "fay", "data_entry", "stranger")
    return {
        (user, physician, action, channel): app.replica.snapshot.check(
            User(user), Physician(physician), action, channel
        )
        for user, physician, action, channel in itertools.product(users, ("dr-x", "dr-y", "dr-z"), Action, Channel)
    }


def lines(text: str) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


def signed(found: Lines) -> str:
    """Such a file with a last line that is right, as somebody makes it who edits with care."""
    body = "".join(f"{json.dumps(line, separators=(',', ':'), ensure_ascii=False)}\n" for line in found[:-1])
    end = {"lines": len(found) - 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return body + json.dumps({"end": end}) + "\n"


@pytest.mark.parametrize("seeded", [False, True])
async def test_the_same_answers_in_the_new_house(app, old, new_house, seed, tmp_path, seeded):
    async with connect_store(new_house) as store:
        if seeded:
            # Another seed than the one that moves in: it goes.
            other = Row(ptype="p", values=("role:administrator", "*", "user:invite", "allow"))
            await install.install_first(store, {*seed, other}, SHIPPED_MODEL)
        written = await bring_in(store, old.text, tmp_path)
        assert written.revision == (2 if seeded else 1)
        again = await exported(store)
        assert lines(again)[1:-1] == lines(old.text)[1:-1]
        assert lines(again)[0]["policy"] | {"revision": 0} == lines(old.text)[0]["policy"] | {"revision": 0}
        async with store.looking_at_log() as look:
            *_, (entry, _) = [kept async for kept in look.entries()]
        assert (entry.kind, entry.actor, entry.reason, list(entry.after)) == ("policy.import", "ops", "moved house", [])
        assert entry.detail["from_revision"] == lines(old.text)[0]["policy"]["revision"]
        assert entry.detail["sha256"] == lines(old.text)[-1]["end"]["sha256"]
        async with open_app(settings_for(new_house)) as moved:
            assert answers(moved) == answers(app)
            async with Wire(moved.planes.management_port) as wire, Wire(moved.planes.decision_port) as checks:
                key, page = read_key(DATA_DIR / "token.key"), Page(wire, "owner", "dr-x")
                assert {invitation.username for invitation in await page.pending("PENDING")} == {"dee", "eve"}
                for user, action in (("dee", "claim:save"), ("eve", "invoice:view")):
                    accepted = await page.accept(key.token(*old.invitations[user]))
                    assert (await checks.check(user, "dr-x", action, min_revision=accepted.revision)).allowed
                await page.revoke("ann")
        # The log of the new house is whole, also over what came after.
        *_, verdict = [part async for part in verify(store, [])]
        assert isinstance(verdict, Verdict)
        assert verdict.fault == ""


async def test_what_still_waited_to_be_sent_waits_on(app, old, new_house, store, tmp_path):
    async def mails(of: Store) -> dict[str, str]:
        async with of.reading() as look:
            found = await look.connection.fetch("SELECT i.username, o.state FROM outbox o JOIN invitations i "
                "ON i.id = o.invitation AND i.generation = o.generation WHERE i.state = 'pending'")  # fmt: skip
            return {record["username"]: record["state"] for record in found}

    text = lines(old.text)
    for line in text:
        if "invitation" in line:
            line["invitation"][-1] = {"dee": "queued", "eve": "bounced"}[line["invitation"][2]]
    async with connect_store(new_house) as new:
        await bring_in(new, signed(text), tmp_path)
        assert await mails(new) == {"dee": "queued", "eve": "bounced"}


async def test_a_house_that_is_lived_in_is_not_moved_into(app, old, store, new_house, seed, tmp_path):
    before = await store.revision()
    with pytest.raises(StoreNotEmpty):
        await bring_in(store, old.text, tmp_path)
    assert await store.revision() == before
    async with connect_store(new_house) as new:
        await bring_in(new, old.text, tmp_path)
        with pytest.raises(StoreNotEmpty):
            await bring_in(new, old.text, tmp_path)
        assert await new.revision() == 1


async def test_a_seed_that_was_changed_already_is_not_replaced(old, new_house, seed, tmp_path):
    async with connect_store(new_house) as store:
        await install.install_first(store, seed, SHIPPED_MODEL)
        await install.install(store, [*seed][1:], caller="test", actor="ops")
        with pytest.raises(StoreNotEmpty):
            await bring_in(store, old.text, tmp_path)
        assert await store.revision() == 2


async def refused(store: Store, text: str | bytes, folder: Path) -> BrokenPolicy:
    with pytest.raises(BrokenPolicy) as found:
        await bring_in(store, text, folder)
    return found.value


async def test_a_file_that_was_cut_edited_or_shuffled_brings_nothing(old, new_house, tmp_path):
    whole = old.text.encode()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    async with connect_store(new_house) as store:
        for end in [0, *ends[:-1]]:
            # Cut at a line's end, before it, and in the line.
            for cut in {end, max(end - 1, 0), min(end + 7, len(whole) - 1)}:
                await refused(store, whole[:cut], tmp_path)
        await refused(store, whole[:-1], tmp_path)
        for extra in (b"\n", b"{}\n", whole, b" "):
            await refused(store, whole + extra, tmp_path)
        rows = whole.splitlines(keepends=True)
        for place in range(len(rows) - 1):
            await refused(store, b"".join([*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]]), tmp_path)
            await refused(store, b"".join(rows[:place] + rows[place + 1 :]), tmp_path)
            await refused(store, b"".join(rows[: place + 1] + rows[place:]), tmp_path)
        assert await store.revision() == 0


async def test_no_single_byte_can_be_another(old, new_house, tmp_path):
    whole = old.text.encode()
    async with connect_store(new_house) as store:
        # Every byte of a line of each kind, some of the others.
        rows, start, kinds = whole.splitlines(keepends=True), 0, set()
        for row in rows:
            kind = row[:9]
            for place in range(start, start + len(row), 1 if kind not in kinds and len(row) < 400 else 41):
                edited = bytearray(whole)
                edited[place] ^= 1
                await refused(store, bytes(edited), tmp_path)
            kinds.add(kind)
            start += len(row)
        assert await store.revision() == 0
        assert (await bring_in(store, whole, tmp_path)).revision == 1


def change(kind: str, **places: Any) -> Callable[[Lines], None]:
    """An edit of the first line of a kind."""

    def edit(found: Lines) -> None:
        line = next(line for line in found if kind in line)
        for place, value in places.items():
            line[kind][int(place[1:])] = value

    return edit


def header(**more: Any) -> Callable[[Lines], None]:
    return lambda found: found[0]["policy"].update(more)


def add(kind: str, *fields: Any, counted: bool = True) -> Callable[[Lines], None]:
    """Another line, in its place."""

    def edit(found: Lines) -> None:
        def key(line: dict[str, Any]) -> tuple[Any, ...]:
            if kind != "rule":
                return tuple(line[kind][:1])
            domain = line[kind][3] if line[kind][1] == "p" else line[kind][4]
            return domain, *line[kind][1:]

        some = sorted([*(line for line in found if kind in line), {kind: list(fields)}], key=key)
        first = next(place for place, line in enumerate(found) if kind in line)
        found[first : first + len(some) - 1] = some
        if counted:
            found[0]["policy"]["counts"][kind] += 1

    return edit


def remove(kind: str, matching: Callable[[list[Any]], bool]) -> Callable[[Lines], None]:
    def edit(found: Lines) -> None:
        gone = [line for line in found if kind in line and matching(line[kind])]
        assert gone
        found[:] = [line for line in found if line not in gone]
        found[0]["policy"]["counts"][kind] -= len(gone)

    return edit


def last_first(found: Lines) -> None:
    found.insert(1, found.pop(-2))


EDITS = {
    "not from 0": header(counts={"user": 0, "physician": 0, "rule": 0, "invitation": 0}),
    "counts that are no whole numbers": lambda found: found[0]["policy"].update(
        counts={kind: float(count) for kind, count in found[0]["policy"]["counts"].items()}
    ),
    "a model with a zero": lambda found: found[0]["policy"].update(model=found[0]["policy"]["model"] + "# \0\n"),
    "no address at all": change("user", _1=""),
    "an address that is none": change("user", _1="not an address <script>"),
    "an invitation to own": change("invitation", _4=["owner"], _5=[]),
    "an invitation to what is the owner's": change("invitation", _4=[], _5=["user:edit"]),
    "an invitation to no address": change("invitation", _3="nobody"),
    "an invitation before all time": change("invitation", _7="0001-01-01T00:00:00+23:00"),
    "another owner": add("rule", "api", "g", "user:ann", "role:owner", "physician:dr-x", ""),
    "a role that owns": add("rule", "api", "g", "role:desk", "role:owner", "physician:dr-x", ""),
    "a role that may do what is the owner's": add(
        "rule", "api", "p", "role:desk", "physician:dr-x", "user:invite", "allow"
    ),
    "a circle of roles": add("rule", "api", "g", "role:desk", "role:night-desk", "physician:dr-x", ""),
    "a built-in role of an account's own": add(
        "rule", "api", "p", "role:data_entry", "physician:dr-x", "invoice:pay", "allow"
    ),
    "a model that opens everything": header(model="[matchers]\nm = true"),
    "no model": lambda found: found[0]["policy"].pop("model"),
    "another format": header(format="policy-service policy 2"),
    "a revision in words": header(revision="7"),
    "a true revision": header(revision=True),
    "more in the header": header(more=1),
    "no header": lambda found: found.pop(0),
    "an invitation first": last_first,
    "a user with a space": change("user", _0="a b"),
    "a user who is a number": change("user", _0=7),
    "a user without an address or none": change("user", _1=7),
    "an address on two lines": change("user", _1="a@b.example\n"),
    "an address with a half letter": change("user", _1="a\udcff@b.example"),
    "credentials in words": change("user", _2="yes"),
    "a user twice": add("user", "owner", None, True),
    "an address twice": lambda found: add("user", "zed", "CY@clinic.example", True)(found),
    "an uncounted user": add("user", "zed", None, True, counted=False),
    "a physician of nobody": change("physician", _1="nobody"),
    "a physician's name in a list": change("physician", _0=["dr-x"]),
    "a physician twice": add("physician", "dr-x", "owner", ""),
    "a title with a zero": change("physician", _2="\0"),
    "a physician without a grant of owner": remove(
        "rule", lambda rule: rule[2:5] == ["user:owner", "role:owner", "physician:dr-y"]
    ),
    "a physician without rows": add("physician", "dr-z", "owner", ""),
    "a rule of an unregistered physician": add(
        "rule", "api", "p", "role:desk", "physician:dr-no", "claim:view", "allow"
    ),
    "a grant of an unregistered physician": add("rule", "api", "g", "user:x", "role:owner", "physician:dr-no", ""),
    "a rule twice": lambda found: add("rule", *next(line["rule"] for line in found if "rule" in line))(found),
    "a seed row of an account": add("rule", "seed", "p", "role:desk", "physician:dr-x", "claim:pay", "allow"),
    "a built-in row of a person's": add("rule", "api", "p", "role:owner", "*", "claim:view", "allow"),
    "a row of an unknown type": add("rule", "api", "p2", "role:desk", "physician:dr-x", "claim:view", "allow"),
    "a row without an effect": add("rule", "api", "p", "role:desk", "physician:dr-x", "claim:view", ""),
    "a grant with an effect": add("rule", "api", "g", "user:x", "role:desk", "physician:dr-x", "allow"),
    "an unknown action": add("rule", "api", "p", "role:desk", "physician:dr-x", "claim:frame", "allow"),
    "a row with a number": change("rule", _5=1),
    "another origin": add("rule", "gods", "p", "role:desk", "physician:dr-x", "claim:view", "allow"),
    "a seed that lint refuses": add("rule", "seed", "p", "role:ops_caller", "system", "SeedService/Frame", "allow"),
    "a seed without the owner's rule": remove("rule", lambda rule: rule[2:4] == ["role:owner", "*"]),
    "no seed": remove("rule", lambda rule: rule[0] == "seed"),
    "an invitation by nobody's account": change("invitation", _1="dr-no"),
    "an invitation of roles and actions": change("invitation", _4=["desk"], _5=["claim:view"]),
    "an invitation of nothing": change("invitation", _4=[], _5=[]),
    "an invitation to a number": change("invitation", _4=[7], _5=[]),
    "an invitation at no time": change("invitation", _7="soon"),
    "an invitation at a time of no place": change("invitation", _8="2026-01-01T00:00:00"),
    "an invitation without links": change("invitation", _9=0),
    "an invitation with endless links": change("invitation", _9=1 << 40),
    "a short token": change("invitation", _10="00"),
    "a token that is none": change("invitation", _10="x" * 64),
    "an e-mail in no state": change("invitation", _12="lost"),
    "an unknown kind": lambda found: found.insert(1, {"thing": []}),
    "two in one": lambda found: found.insert(1, {"user": ["a", None, True], "physician": ["a", "b", ""]}),
    "a line that is a list": lambda found: found.insert(1, []),  # type: ignore[arg-type]
}


async def test_a_file_that_was_edited_and_signed_anew_is_judged_line_by_line(old, new_house, tmp_path):
    async with connect_store(new_house) as store:
        for name, edit in EDITS.items():
            found = lines(old.text)
            edit(found)
            text = signed(found) if name != "an address with a half letter" else _ascii(found)
            with pytest.raises(BrokenPolicy):
                pytest.fail(f"taken: {name}, {await bring_in(store, text, tmp_path)}")
            assert await store.revision() == 0, name
        async with store.reading() as look:
            assert await moving_counts(look.connection) == 0


def _ascii(found: Lines) -> str:
    """Signed, with letters that cannot be written as they are."""
    body = "".join(f"{json.dumps(line)}\n" for line in found[:-1])
    end = {"lines": len(found) - 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return body + json.dumps({"end": end}) + "\n"


async def moving_counts(connection: Any) -> int:
    tables = ("users", "physicians", "rules", "invitations", "outbox", "changes")
    return sum([await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables])


async def test_a_file_that_was_only_signed_anew_is_taken(old, new_house, tmp_path):
    async with connect_store(new_house) as store:
        assert (await bring_in(store, signed(lines(old.text)), tmp_path)).revision == 1


async def test_a_file_changed_between_check_and_import_brings_nothing(old, new_house, tmp_path):
    path = tmp_path / "policy.jsonl"
    path.write_text(old.text)
    found = checked(path)
    other = lines(old.text)
    add("rule", "api", "g", "user:zed", "role:owner", "physician:dr-x", "")(other)
    async with connect_store(new_house) as store:
        # As by somebody else; as a pipe, which has nothing left; longer by a line.
        for text in (signed(other), "", old.text + '{"user":["zed",null,true]}\n'):
            path.write_text(text)
            with pytest.raises(FileChanged):
                await moving.install(store, found, actor="ops", reason="moved house")
        async with store.reading() as look:
            assert await moving_counts(look.connection) == 0


async def test_progress_reaches_the_end_of_a_long_file(new_house, app, old, tmp_path):
    found = lines(old.text)
    some = [{"user": [f"u{number:06}", None, True]} for number in range(5_000)]
    users = sorted([*(line for line in found if "user" in line), *some], key=lambda line: line["user"][0])
    text = signed([found[0], *users, *(line for line in found[1:] if "user" not in line)])
    path = tmp_path / "policy.jsonl"
    head = lines(text)
    head[0]["policy"]["counts"]["user"] = len(users)
    path.write_text(signed(head))
    *read, last = moving_check.check(path, contract_methods())
    assert len(read) == 2
    assert read == sorted(read)
    assert isinstance(last, moving_check.Checked)
    told: list[tuple[int, int]] = []
    async with connect_store(new_house) as store:
        await moving.install(store, last, actor="ops", reason="", progress=lambda *moved: told.append(moved))
        assert lines(await exported(store))[1:-1] == head[1:-1]
    assert told == [(2_000, last.lines), (4_000, last.lines)]


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path):
    with pytest.raises(BrokenPolicy, match=r"none\.jsonl:1: cannot be read"):
        checked(tmp_path / "none.jsonl")
