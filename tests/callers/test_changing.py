"""Callers beside the seed: what is added, rotated and removed is chained, bounded, and the seed's business is not theirs."""

import asyncio
import hashlib
import json
import re
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import structlog

from policy_service import callers
from policy_service.app import open_app
from policy_service.callers.errors import CallerExists, CallerNotLimited, RotationUnderWay, TooManyCallers
from policy_service.pb import audit_pb2 as au
from policy_service.pb import callers_pb2 as pb
from policy_service.policy_text import BrokenPolicy, read_expectations, read_seed, seed_rows
from policy_service.rpc import contract_methods
from policy_service.seed import install, run
from policy_service.settings import policies_dir
from policy_service.store import SERVICE_ROLE, as_role, connect_store
from policy_service.store import callers as rows
from policy_service.transfer import moving, moving_check
from policy_service.vocabulary import OwnRights, Row, issue_token
from tests.audit.test_log import verdict
from tests.conftest import SHIPPED_MODEL, TEMPLATE, in_database, settings_for
from tests.replicate.test_follower import PAST_TRIGGERS, execute
from tests.seed.test_seeds import Ops
from tests.support.accounts import reached, register
from tests.support.callers import added, bearer
from tests.support.rpc import Refused, Wire, question
from tests.support.second_verifier import fault
from tests.support.seeds import SEED

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
WHY = {"actor": "olga", "reason": "a test"}


@pytest.fixture
async def seeded(store, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    return store


async def rotated(store, caller="claims", *, overlap=DAY, at_once=False, now=NOW):
    async with store.transaction(caller="test", actor="olga") as tx:
        return await callers.rotate(tx, caller, until=now + 90 * DAY, overlap=overlap, at_once=at_once, now=now)


async def standing(store, now=NOW) -> list[str]:
    """The valid tokens' ids, the oldest first."""
    async with store.reading() as look:
        (found,) = [one for one in await callers.known_callers(look) if one.caller == "claims"]
    return [token.id for token in found.tokens if token.is_valid(now)]


async def test_of_two_rotations_at_once_one_wins_and_the_token_in_use_goes_on(seeded):
    first = (await added(seeded, "claims", until=NOW + 90 * DAY)).split("_")[1]
    found = await asyncio.gather(*(rotated(seeded) for _ in range(4)), return_exceptions=True)
    won = [one for one in found if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert {type(one) for one in found if isinstance(one, BaseException)} == {RotationUnderWay}
    assert await standing(seeded) == [first, won[0].issued.id]
    # Two are valid until the older one's overlap is over, and then one: another rotation may come.
    assert await standing(seeded, NOW + DAY - timedelta(microseconds=1)) == [first, won[0].issued.id]
    assert await standing(seeded, NOW + DAY) == [won[0].issued.id]
    again = await rotated(seeded, now=NOW + DAY)
    assert await standing(seeded, NOW + DAY) == [won[0].issued.id, again.issued.id]


async def test_a_token_that_ends_sooner_is_not_lengthened_by_a_rotation(seeded):
    first = (await added(seeded, "claims", until=NOW + timedelta(hours=1))).split("_")[1]
    found = await rotated(seeded, overlap=90 * DAY)
    assert found.before.id == first
    assert found.before.expires_at == NOW + timedelta(hours=1)


async def test_a_rotation_by_a_clock_that_is_behind_ends_the_token_before_all_the_same(seeded):
    """Replicas' clocks differ: a token can be made at a time that has not come where it is rotated."""
    first = (await added(seeded, "claims", now=NOW, until=NOW + DAY)).split("_")[1]
    found = await rotated(seeded, overlap=timedelta(), now=NOW - timedelta(seconds=2))
    assert found.before.id == first
    assert first not in await standing(seeded, NOW + timedelta(seconds=1))


async def test_at_once_ends_all_others(seeded):
    await added(seeded, "claims", until=NOW + 90 * DAY)
    await rotated(seeded)
    last = await rotated(seeded, at_once=True)
    assert last.before is None
    assert await standing(seeded) == [last.issued.id]


async def test_a_caller_by_certificate_is_given_its_first_token_by_a_rotation(seeded):
    async with seeded.transaction(caller="test", actor="olga") as tx:
        await callers.add(
            tx,
            SHIPPED_MODEL,
            "claims",
            OwnRights(methods=frozenset({"DecisionService/Check"})),
            token_until=None,
            now=NOW,
        )
    assert await standing(seeded) == []
    found = await rotated(seeded)
    assert await standing(seeded) == [found.issued.id]


async def test_who_is_there_is_not_added_and_whom_nothing_would_limit_neither(seeded):
    await added(seeded, "claims")
    with pytest.raises(CallerExists):
        await added(seeded, "claims", "check")
    with pytest.raises(CallerNotLimited) as found:
        await added(seeded, "billing", "check", physicians=("dr-a",))
    assert set(found.value.methods) == {"DecisionService/BatchCheck", "DecisionService/Check"}
    # What the seed does not give it can be limited.
    assert await added(seeded, "billing", "manage", physicians=("dr-a",))


async def test_there_are_only_so_many(seeded, monkeypatch):
    monkeypatch.setattr("policy_service.callers.changing._MOST_CALLERS", 2)
    await added(seeded, "one")
    await added(seeded, "two", "check")
    with pytest.raises(TooManyCallers):
        await added(seeded, "three")


TAMPERED = {
    "another hash": "UPDATE caller_tokens SET token_hash = sha256('mine')",
    "longer": "UPDATE caller_tokens SET expires_at = expires_at + interval '1 year'",
    "another's": "UPDATE caller_tokens SET caller = 'ops'",
    "revived": "UPDATE caller_tokens SET ended_at_revision = NULL",
    "one more": (
        "INSERT INTO caller_tokens SELECT 'ffffffffffffffff', 'ops', sha256('mine'), made_at, expires_at, "
        "made_at_revision, made_at_revision FROM caller_tokens LIMIT 1"
    ),
    "gone": "DELETE FROM caller_tokens",
    "a right": (
        "INSERT INTO rules (ptype, v0, v1, v2, v3, origin, from_revision) "
        "VALUES ('p', 'service:claims', 'system', 'SeedService/ApplySeed', 'allow', 'api', 3)"
    ),
    "one physician more": "UPDATE rules SET v2 = 'physician:dr-b' WHERE v2 = 'physician:dr-a'",
}


@pytest.mark.parametrize("tampered", TAMPERED)
async def test_what_decides_of_a_caller_is_vouched_for_by_the_log(seeded, database, tampered):
    token = await added(seeded, "claims", "check", physicians=("dr-a",))
    if tampered == "revived":
        async with seeded.transaction(caller="test", actor="olga") as tx:
            await callers.remove_token(tx, "claims", token.split("_")[1])
    assert not (await verdict(seeded)).fault
    assert not await fault(database)
    await execute(database, PAST_TRIGGERS + TAMPERED[tampered])
    assert (await verdict(seeded)).fault
    if "rules" not in TAMPERED[tampered]:
        assert await fault(database)


async def test_a_use_is_no_policy_and_breaks_no_log(seeded):
    token = await added(seeded, "claims")
    await seeded.note_tokens_seen({token.split("_")[1]: NOW, "0" * 16: NOW})
    await seeded.note_tokens_seen({token.split("_")[1]: NOW - DAY})
    async with seeded.reading() as look:
        (found,) = [one for one in await callers.known_callers(look) if one.caller == "claims"]
    assert found.tokens[0].used_at == NOW
    assert not (await verdict(seeded)).fault


async def test_tokens_and_hashes_stand_in_no_log_entry_answer_or_error(app, management, database, store, capfd):
    """Searched for in everything that was written while a caller was made, used, refused, rotated and removed."""
    structlog.reset_defaults()
    made = await management("AddCaller", pb.AddCallerRequest(caller="claims", may=["check"], **WHY))
    turned = await management("RotateToken", pb.RotateTokenRequest(caller="claims", **WHY))
    await reached(app, turned.revision)
    errors = []
    async with Wire(app.planes.decision_port) as wire:
        for token in (made.token, turned.token):
            await wire("Check", question("olive", "dr-a", "claim:view"), metadata=bearer(token))
            for metadata in (bearer(token[:-1]), (("authorization", token),), (*bearer(token), *bearer(token))):
                with pytest.raises(Refused) as found:
                    await wire("Check", question("olive", "dr-a", "claim:view"), metadata=metadata)
                errors.append(found.value)
    for request in (
        pb.AddCallerRequest(caller="claims", **WHY),
        pb.AddCallerRequest(caller=made.token, may=[made.token], physicians=[made.token], **WHY),
    ):
        with pytest.raises(Refused) as found:
            await management("AddCaller", request)
    told = [await management("ListCallers", pb.ListCallersRequest())]
    told.append(await management("GetCaller", pb.GetCallerRequest(caller="claims")))
    told.append(await management("ListChanges", au.ListChangesRequest()))
    await management("RemoveCaller", pb.RemoveCallerRequest(caller="claims", **WHY))
    connection = await asyncpg.connect(database)
    entries = [dict(record) for record in await connection.fetch("SELECT * FROM changes")]
    hashes = [record["token_hash"] for record in await connection.fetch("SELECT token_hash FROM caller_tokens")]
    kept = [dict(record) for record in await connection.fetch("SELECT * FROM idempotency")]
    await connection.close()
    assert len(hashes) == 2
    output = "".join(capfd.readouterr())
    everything = f"{entries} {errors} {[(e.details, e.facts, e.fields) for e in errors]} {told} {kept} {output}"
    for secret in (made.token, turned.token):
        assert secret.split("_", 2)[2][:20] not in everything
    for digest in hashes:
        assert digest.hex() not in everything
        assert repr(digest)[2:-1] not in everything


async def test_a_row_that_the_database_refuses_is_told_without_what_is_in_it(seeded):
    """The driver's words repeat the row, and a fault of ours is logged with them."""
    issued = issue_token()
    other = replace(issued, id="0" * 16)
    for again in (issued, other):
        with pytest.raises(Exception, match="cannot be kept") as found:
            async with seeded.transaction(caller="test", actor="olga") as tx:
                await rows.add(tx, "claims", issued, NOW, NOW + DAY)
                await rows.add(tx, "claims", again, NOW, NOW + DAY)
        told = "".join(traceback.format_exception(found.value))
        assert issued.digest.hex() not in told
        assert issued.text not in told


def test_expectations_of_callers_see_who_is_limited_as_who_may(tmp_path):
    """A seed's own tests name methods; the rows that limit one are reached by it."""
    limited = SEED.replace(
        "g, service:billing, role:decision_caller, system\n",
        "g, service:billing, role:clinic, system\n"
        "p, role:clinic, system, DecisionService/Check@named, allow\n"
        "p, role:clinic, system, physician:dr-a, allow\n",
    )
    rows = seed_rows(limited, "seed", methods=contract_methods())
    file = tmp_path / "callers.yaml"
    file.write_text("expect:\n  - {why: Of one clinic., caller: billing, allowed: [DecisionService/Check]}\n")
    found = run(SHIPPED_MODEL, rows, [read_expectations(file)])
    assert not found.files[0].failed
    assert not [row for row in found.unreached if "role:clinic" in row.values]


async def test_a_seed_neither_shows_nor_removes_what_single_callers_have(app, management, store):
    token = await added(store, "claims", "check")
    await reached(app, await store.revision())
    ops = Ops(management)
    text = await ops.seed()
    assert "service:claims" not in text
    assert not (await ops.plan(text)).removed
    less = SEED.replace("p, role:financial_viewer, *, invoice:pay, allow\n", "")
    changed = await ops.change(less)
    await reached(app, changed.revision)
    async with Wire(app.planes.decision_port) as wire:
        await register(app, "dr-a", "olive")
        assert await wire("Check", question("olive", "dr-a", "claim:view"), metadata=bearer(token))


async def test_a_deny_that_goes_gives_what_a_caller_was_given_by_itself(app, management, store):
    """A seed cannot widen by the other door: its plan says whom it lets call more, by own rights too."""
    denied = SEED + "p, role:decision_caller, system, AuditService/VerifyLog, deny\n"
    ops = Ops(management)
    await reached(app, (await ops.change(denied)).revision)
    await added(store, "billing", "AuditService/VerifyLog")
    await reached(app, await store.revision())
    assert not app.replica.snapshot.callers.may("billing", "AuditService/VerifyLog")
    plan = await ops.plan(SEED)
    assert any("WIDENED_CALLERS" in words and "billing" in words for words in plan.guarded), plan.guarded


async def test_a_limit_that_goes_is_told_as_more(app, management):
    limited = SEED.replace(
        "g, service:billing, role:decision_caller, system\n",
        "g, service:billing, role:clinic, system\n"
        "p, role:clinic, system, DecisionService/Check@named, allow\n"
        "p, role:clinic, system, physician:dr-a, allow\n",
    )
    ops = Ops(management)
    plan = await ops.plan(limited)
    assert not any("WIDENED" in words for words in plan.guarded), plan.guarded
    await reached(app, (await ops.change(limited, allow_emptied_role=True)).revision)
    reach = app.replica.snapshot.callers.reach("billing", "DecisionService/Check")
    assert (reach.is_limited, reach.covers("dr-a"), reach.covers("dr-b")) == (True, True, False)
    for wider in (
        SEED,
        limited + "p, role:clinic, system, DecisionService/Check, allow\n",
        limited + "p, role:clinic, system, physician:dr-b, allow\n",
        limited + "p, role:clinic, system, DecisionService/Explain@named, allow\n",
    ):
        plan = await ops.plan(wider)
        assert any("WIDENED_CALLERS" in words and "billing" in words for words in plan.guarded), wider


@pytest.mark.parametrize(
    "row",
    [
        "p, service:claims, system, DecisionService/Check, allow",
        "p, role:x, system, DecisionService/Chekc@named, allow",
        "p, role:x, system, DecisionService/Check@others, allow",
        "p, role:x, system, physician:, allow",
        "p, role:x, system, physician:*, allow",
    ],
)
def test_no_seed_has_a_right_of_a_single_caller_or_one_that_is_none(row):
    with pytest.raises(BrokenPolicy):
        seed_rows(f"{SEED}{row}\n", "seed", methods=contract_methods())


async def test_the_database_itself_takes_no_own_right_as_the_seeds_nor_the_other_way_round(database):
    for subject, origin in (("service:claims", "seed"), ("role:x", "api")):
        with pytest.raises(asyncpg.CheckViolationError):
            await execute(
                database,
                "INSERT INTO rules (ptype, v0, v1, v2, v3, origin, from_revision) VALUES "
                f"('p', '{subject}', 'system', 'DecisionService/Check', 'allow', '{origin}', 1)",
            )


async def test_what_an_own_right_may_not_say_is_not_written(seeded):
    for values in (
        ("service:claims", "system", "*", "allow"),
        ("service:claims", "system", "DecisionService/Check", "deny"),
        ("service:claims", "*", "claim:view", "allow"),
        ("service:cl*", "system", "DecisionService/Check", "allow"),
    ):
        with pytest.raises(ValueError, match="not a row of policy"):
            async with seeded.transaction(caller="test", actor="olga") as tx:
                await tx.change("caller.add", None, begun=[Row(ptype="p", values=values)])


async def test_who_may_not_change_callers_opens_no_door(app, store):
    """Ops and everybody else: neither these methods nor, by test_callers_rights.py, the seed."""
    token = await added(store, "ops-tool", "check", "explain", "manage", "seed", "audit")
    await reached(app, await store.revision())
    requests = {
        "AddCaller": pb.AddCallerRequest(caller="mine", may=["callers"], **WHY),
        "ChangeCaller": pb.ChangeCallerRequest(caller="ops-tool", may=["callers"], **WHY),
        "RotateToken": pb.RotateTokenRequest(caller="callers-admin", **WHY),
        "RemoveCaller": pb.RemoveCallerRequest(caller="ops-tool", **WHY),
    }
    before = await store.revision()
    async with Wire(app.planes.management_port) as wire:
        for method, request in requests.items():
            with pytest.raises(Refused) as found:
                await wire(method, request, metadata=bearer(token))
            assert found.value.reason == "CALLER_NOT_ALLOWED"
    assert await store.revision() == before


@pytest.fixture
async def moved(seeded) -> str:
    token = await added(seeded, "claims", "check", physicians=("dr-a", "dr-b"))
    async with seeded.reading_long() as look:
        text = "".join([part.text async for part in moving.export(look, SHIPPED_MODEL.text)])
    assert token.split("_")[1] not in text
    return text


async def test_a_callers_rights_move_and_its_tokens_do_not(moved, postgres, tmp_path):
    name = "moved_callers"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        file = tmp_path / "policy.jsonl"
        file.write_text(moved)
        *_, checked = moving_check.check(file, contract_methods())
        assert len(checked.own_rights) == 4
        dsn = as_role(in_database(postgres, name), SERVICE_ROLE)
        async with connect_store(dsn) as new:
            shipped = read_seed(policies_dir() / "seed.csv")
            (gained,) = await moving.callers_gained(new, checked, SHIPPED_MODEL, shipped, contract_methods())
            assert "claims" in str(gained)
            await moving.install(new, checked, actor="ops", reason="moved house")
            assert not (await verdict(new)).fault
        async with open_app(settings_for(dsn)) as app:
            reach = app.replica.snapshot.callers.reach("claims", "DecisionService/Check")
            assert (reach.covers("dr-b"), reach.covers("dr-c")) == (True, False)
            assert not app.replica.snapshot.callers.credentials.tokens
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"api","p","service:claims"', '"seed","p","service:claims"'),
        ("DecisionService/Check@named", "DecisionService/Chekc@named"),
        ("physician:dr-a", "physician:*"),
        ('"physician:dr-b","allow"', '"physician:dr-b","deny"'),
    ],
)
async def test_a_file_with_other_rights_than_there_can_be_brings_nothing(moved, tmp_path, old, new):
    assert old in moved
    lines = moved.replace(old, new, 1).splitlines(keepends=True)[:-1]
    end = {"lines": len(lines), "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}
    file = tmp_path / "policy.jsonl"
    file.write_text("".join(lines) + json.dumps({"end": end}, separators=(",", ":")) + "\n")
    with pytest.raises(BrokenPolicy) as found:
        list(moving_check.check(file, contract_methods()))
    assert not re.search("count or SHA", str(found.value))
