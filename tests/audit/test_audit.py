"""Auditors' questions, by gRPC: filters, pages, tokens, and what they say about people."""

import itertools
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client.wire.audit import change_from

from policy_service.app import open_app
from policy_service.audit import differences
from policy_service.cli.audit_words import print_changes
from policy_service.decide import Model, UnknownPhysician, vetted_model
from policy_service.members import RoleDefinition, custom_roles, read_key
from policy_service.pb import audit_pb2 as pb
from policy_service.pb import decision_pb2, seeds_pb2
from policy_service.seed import install
from policy_service.store import Caps, Store, log_pages, spans
from policy_service.store import audit as statements
from policy_service.vocabulary import Effect, Physician, Role, Row, rule_row
from tests.conftest import DATA_DIR, settings_for
from tests.support.accounts import grant, reached, register, revoke
from tests.support.actions import Action
from tests.support.auditing import LISTS, Line, ask, every, pages, record
from tests.support.patience import until
from tests.support.people import Page
from tests.support.rpc import Refused, Wire

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def page(app, management):
    """The page of Dr. A, used by its owner."""
    await register(app, "dr-a", "olive")
    return Page(management, "olive", "dr-a")


@pytest.fixture
async def story(app, page):
    """Two accounts, and something of every kind done to them."""
    await register(app, "dr-b", "oscar")
    await accept(page, (await page.invite("nina", "data_entry")).invitation.id)
    await page.edit("nina", actions=("claim:view", "report:generate"))
    await page.create_role("desk", "claim:view", deny=("claim:delete",))
    other = page.by("oscar")
    other.physician = "dr-b"
    await accept(other, (await other.invite("nina", "financial_viewer", reuse_existing=True)).invitation.id)
    await page.invite("paul", "desk")
    await page.revoke("nina")
    return page


async def accept(page: Page, invitation: str, generation: int = 1) -> int:
    """Use an invitation's link; the revision."""
    return (await page.accept(read_key(DATA_DIR / "token.key").token(invitation, generation))).revision


async def refusal(call) -> Refused:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value


# The change log.


@pytest.mark.parametrize("written", ["5", "[5]", "null", '[["g", "user:eve"]]', '[["p", 7, null]]'])
async def test_an_entry_that_was_tampered_with_is_shown_with_the_others(database, management, story, written, capsys):
    """Whoever looks into it has to see it; 'audit verify' says which it is."""
    whole = await every(management, "ListChanges")
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("UPDATE changes SET before = $1, detail = '[1]' WHERE revision = 3", written)
    await connection.close()
    found = await every(management, "ListChanges")
    assert [change.revision for change in found] == [change.revision for change in whole]
    print_changes([change_from(change) for change in found], more=False)
    assert "not a row: " in capsys.readouterr().out


async def test_every_filter_of_changes_leaves_exactly_what_matches(management, story):
    whole = await every(management, "ListChanges")
    assert [change.revision for change in whole] == list(range(len(whole), 0, -1))

    def named(change: pb.Change) -> set[str]:
        subjects = {row.fields[1] for row in (*change.before, *change.after)}
        users = {s[5:] for s in subjects if s.startswith("user:")} | {
            s[12:] for s in subjects if s.startswith("role:custom.")
        }
        return users | ({"nina", "paul"} & set(change.detail.replace('"', " ").split()))

    middle = whole[len(whole) // 2]
    cases = [
        ({"physician": "dr-a"}, lambda c: c.physician == "dr-a"),
        ({"actor": "oscar"}, lambda c: c.actor == "oscar"),
        ({"kind": "invite"}, lambda c: c.kind == "invite"),
        ({"user": "nina"}, lambda c: "nina" in named(c)),
        ({"user": "paul"}, lambda c: "paul" in named(c)),
        ({"since": middle.at}, lambda c: c.revision >= middle.revision),
        ({"until": middle.at}, lambda c: c.revision < middle.revision),
        ({"physician": "dr-a", "user": "nina", "kind": "access.revoke"}, lambda c: c.kind == "access.revoke"),
        ({"physician": "dr-no"}, lambda _: False),
        ({"user": "desk"}, lambda _: False),
    ]  # fmt: skip
    for filters, matches in cases:
        found = [change.revision for change in await every(management, "ListChanges", **filters)]
        assert found == [change.revision for change in whole if matches(change)], filters


async def test_an_entry_is_told_whole(management, story):
    (entry,) = await every(management, "ListChanges", kind="permissions.update")
    assert [list(row.fields) for row in entry.before] == [["g", "user:nina", "role:data_entry", "physician:dr-a"]]
    assert ["p", "role:custom.nina", "physician:dr-a", "claim:view", "allow"] in [
        list(row.fields) for row in entry.after
    ]
    assert (entry.caller, entry.actor, entry.physician) == ("local", "olive", "dr-a")
    (before,) = [c for c in await every(management, "ListChanges") if c.revision == entry.revision - 1]
    assert entry.previous_hash == before.hash
    assert len(entry.hash) == 64


async def test_entries_added_between_pages_shift_nothing(app, management, story):
    whole = [change.revision for change in await every(management, "ListChanges")]
    first = await ask(management, "ListChanges", page_size=2)
    await grant(app, "dr-a", "dan", "data_entry")
    second = await ask(management, "ListChanges", page_size=2, page_token=first.next_page_token)
    assert [change.revision for change in (*first.changes, *second.changes)] == whole[:4]


async def test_a_page_of_large_entries_is_cut_before_it_is_too_large_to_send(app, management, page, monkeypatch):
    monkeypatch.setattr(app.store._writer, "_caps", Caps(members=100_000))
    for turn in range(4):
        async with app.store.transaction(caller="test", actor="test") as transaction:
            rows = {
                Row(ptype="g", values=(f"user:a-rather-long-name-{turn}-{n}", "role:data_entry", "physician:dr-a"))
                for n in range(12_000)
            }
            await transaction.change("bulk", Physician("dr-a"), begun=rows)
    found = await pages(management, "ListChanges", 1_000, kind="bulk")
    assert len(found) > 1
    assert [len(change.after) for page in found for change in page.changes] == [12_000] * 4


# The decision log.


@pytest.fixture
async def decided(app, database):
    """Sixty decisions of three days, some at the very same moment."""
    chances = itertools.cycle([("mia", "dr-a"), ("noah", "dr-a"), ("mia", "dr-b"), ("eve", "dr-c")])
    lines = [
        Line(
            at=NOON + timedelta(hours=n // 2),
            replica=f"replica{n % 2}",
            sequence=n // 2 + 1,
            username=user,
            physician=physician,
            action=("claim:view", "claim:pay")[n % 5 == 0],
            caller=("billing", "reports")[n % 3 == 0],
            channel=("web", "mobile")[n % 7 == 0],
            correlation_id=("", f"request-{n}")[n % 4 == 0],
            resource=("", "claim/1")[n % 2],
            allowed=n % 5 != 0,
            reason="granted" if n % 5 else "unknown action",
            role="data_entry" if n % 5 else "",
        )
        for n, (user, physician) in zip(range(60), chances, strict=False)
    ]
    await record(database, lines)
    return sorted(lines, key=lambda line: (line.at, line.replica, line.sequence), reverse=True)


async def test_every_filter_of_decisions_leaves_exactly_what_matches(management, decided):
    cases = [
        ({}, lambda _: True),
        ({"user": "mia"}, lambda d: d.username == "mia"),
        ({"physician": "dr-a"}, lambda d: d.physician == "dr-a"),
        ({"action": "claim:pay"}, lambda d: d.action == "claim:pay"),
        ({"caller": "reports"}, lambda d: d.caller == "reports"),
        ({"decision_id": "replica1-7"}, lambda d: (d.replica, d.sequence) == ("replica1", 7)),
        ({"decision_id": "replica9-7"}, lambda _: False),
        ({"correlation_id": "request-8"}, lambda d: d.correlation_id == "request-8"),
        ({"outcome": pb.OUTCOME_FILTER_ALLOWED}, lambda d: d.allowed),
        ({"outcome": pb.OUTCOME_FILTER_DENIED}, lambda d: not d.allowed),
        ({"since": NOON + timedelta(hours=5)}, lambda d: d.at >= NOON + timedelta(hours=5)),
        ({"until": NOON + timedelta(hours=5)}, lambda d: d.at < NOON + timedelta(hours=5)),
        ({"user": "mia", "physician": "dr-b", "outcome": pb.OUTCOME_FILTER_DENIED}, lambda d: not d.allowed and (d.username, d.physician) == ("mia", "dr-b")),
    ]  # fmt: skip
    for filters, matches in cases:
        found = [d.decision_id for d in await every(management, "ListDecisions", **filters)]
        assert found == [f"{d.replica}-{d.sequence}" for d in decided if matches(d)], filters


async def test_a_decision_is_told_as_it_was_recorded(management, decided):
    (found,) = await every(management, "ListDecisions", decision_id="replica1-11")
    (line,) = [d for d in decided if (d.replica, d.sequence) == ("replica1", 11)]
    assert found.at.ToDatetime(UTC) == line.at
    assert (found.user, found.physician, found.action, found.caller) == (line.username, line.physician, line.action, line.caller)  # fmt: skip
    assert (found.resource, found.correlation_id) == (line.resource, line.correlation_id)
    assert (found.channel, found.reason) == (decision_pb2.CHANNEL_MOBILE, decision_pb2.REASON_GRANTED)
    assert (found.allowed, found.role, found.revision) == (True, "data_entry", 2)


async def test_an_answered_decision_is_found_by_its_id(app, wire, management, page):
    answered = await wire.check("olive", "dr-a", "claim:view", correlation_id="request-1")
    found = await until(lambda: every(management, "ListDecisions", decision_id=answered.decision_id))
    assert (found[0].user, found[0].correlation_id, found[0].caller) == ("olive", "request-1", "local")


# Pages and their tokens.


@pytest.fixture
async def questions(app, management, story, decided):
    """One question of each method, with many answers; and how many."""
    for n in range(7):
        await grant(app, "dr-b", f"u{n}", "administrator")
    asked = {
        "ListChanges": {},
        "ListDecisions": {},
        "ReviewAccess": {"physician": "dr-b"},
        "DiffAccess": {"earlier": pb.Point(revision=3), "later": pb.Point()},
    }
    return {method: (fields, await every(management, method, **fields)) for method, fields in asked.items()}


async def test_pages_of_any_size_are_the_whole_list(management, questions):
    for method, (fields, whole) in questions.items():
        assert len(whole) >= 8, method
        for size in (*range(1, 6), len(whole) - 1, len(whole), len(whole) + 1):
            assert await every(management, method, size, **fields) == whole, (method, size)


async def test_a_users_accounts_come_in_pages_too(app, management, page):
    for n in range(5):
        await register(app, f"dr-{n}", f"owner{n}")
        await grant(app, f"dr-{n}", "mia", "data_entry")
    whole = await every(management, "ReviewAccess", user="mia")
    assert [access.physician for access in whole] == [f"dr-{n}" for n in range(5)]
    for size in range(1, 6):
        assert await every(management, "ReviewAccess", size, user="mia") == whole


@pytest.mark.parametrize("method", sorted(LISTS))
async def test_15_a_token_of_which_any_character_was_changed_is_refused(management, questions, method):
    fields, _ = questions[method]
    token = (await ask(management, method, page_size=2, **fields)).next_page_token
    assert token
    for at, character in enumerate(token):
        other = "A" if character != "A" else "B"
        found = await refusal(
            ask(management, method, page_size=2, page_token=token[:at] + other + token[at + 1 :], **fields)
        )
        assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(found.fields) == ["page_token"]
    for broken in (token[:-4], token + "AAAA", token[1:], f"{token} ", "x", "é", token.rstrip("=") + "\n"):
        if broken != token:
            assert list((await refusal(ask(management, method, page_token=broken, **fields))).fields) == ["page_token"]


@pytest.mark.parametrize(
    ("method", "other"),
    [
        ("ListChanges", {"physician": "dr-a"}),
        ("ListChanges", {"until": NOON}),
        ("ListDecisions", {"user": "mia"}),
        ("ListDecisions", {"outcome": pb.OUTCOME_FILTER_DENIED}),
        ("ReviewAccess", {"physician": "dr-a"}),
        ("ReviewAccess", {"user": "dr-b"}),
        ("ReviewAccess", {"physician": "dr-b", "as_of": pb.Point(revision=4)}),
        ("DiffAccess", {"earlier": pb.Point(revision=4)}),
        ("DiffAccess", {"earlier": pb.Point(revision=3), "physician": "dr-b"}),
    ],
)
async def test_15_a_token_of_another_question_is_refused(management, questions, method, other):
    fields, _ = questions[method]
    token = (await ask(management, method, page_size=2, **fields)).next_page_token
    found = await refusal(ask(management, method, page_size=2, page_token=token, **other))
    assert list(found.fields) == ["page_token"]


async def test_15_a_token_of_another_method_or_key_is_refused(app, database, management, questions, tmp_path):
    tokens = {
        method: (await ask(management, method, page_size=2, **fields)).next_page_token
        for method, (fields, _) in questions.items()
    }
    for method, other in itertools.permutations(tokens, 2):
        assert list(
            (await refusal(ask(management, method, page_token=tokens[other], **questions[method][0]))).fields
        ) == ["page_token"]
    async with (
        open_app(settings_for(database, data_dir=tmp_path)) as elsewhere,
        Wire(elsewhere.planes.management_port) as wire,
    ):
        for method, token in tokens.items():
            assert list((await refusal(ask(wire, method, page_token=token, **questions[method][0]))).fields) == ["page_token"]  # fmt: skip


async def test_any_replica_with_the_same_key_answers_the_next_page(database, management, questions):
    async with open_app(settings_for(database)) as other, Wire(other.planes.management_port) as second:
        for method, (fields, whole) in questions.items():
            first = await ask(management, method, page_size=3, **fields)
            rest = await ask(second, method, page_token=first.next_page_token, **fields)
            items = LISTS[method][1]
            assert [*getattr(first, items), *getattr(rest, items)] == whole


async def test_all_pages_of_a_review_and_of_a_diff_are_of_the_first_ones_revision(app, management, questions):
    for method in ("ReviewAccess", "DiffAccess"):
        fields, whole = questions[method]
        first = await ask(management, method, page_size=3, **fields)
        revision = await grant(app, "dr-b", f"late-{method.lower()}", "data_entry")
        rest = await ask(management, method, page_token=first.next_page_token, **fields)
        said = {page.revision if method == "ReviewAccess" else page.later_revision for page in (first, rest)}
        assert len(said) == 1
        assert revision not in said
        items = LISTS[method][1]
        assert len(getattr(first, items)) + len(getattr(rest, items)) >= len(whole)
        assert f"late-{method.lower()}" not in {found.user for found in getattr(rest, items)}


@pytest.mark.parametrize(
    ("method", "fields", "at_fault"),
    [
        ("ListChanges", {"physician": "dr a", "user": "*", "actor": "a\nb", "kind": "é"}, ["actor", "kind", "physician", "user"]),
        ("ListChanges", {"since": Timestamp(seconds=-(10**12))}, ["since"]),
        ("ListChanges", {"until": Timestamp(seconds=10**12)}, ["until"]),
        ("ListChanges", {"page_size": -1}, ["page_size"]),
        ("ListDecisions", {"action": "claim", "outcome": 9, "decision_id": "replica1", "caller": "x"}, ["action", "decision_id", "outcome"]),
        ("ListDecisions", {"caller": "x" * 65}, ["caller"]),
        ("ListDecisions", {"decision_id": "replica1-u7"}, ["decision_id"]),
        ("ListDecisions", {"decision_id": "replica1-" + "9" * 19}, ["decision_id"]),
        ("ListDecisions", {"page_size": -5}, ["page_size"]),
        ("ReviewAccess", {}, ["physician"]),
        ("ReviewAccess", {"physician": ""}, ["physician"]),
        ("ReviewAccess", {"user": "a b"}, ["user"]),
        ("ReviewAccess", {"user": "mia", "as_of": pb.Point(at=Timestamp(nanos=-1))}, ["as_of.at"]),
        ("ReviewAccess", {"user": "mia", "page_size": -1}, ["page_size"]),
        ("DiffAccess", {"physician": "dr a", "earlier": pb.Point(at=Timestamp(seconds=10**15))}, ["earlier.at", "physician"]),
        ("DiffAccess", {"earlier": pb.Point(), "later": pb.Point(revision=1)}, ["earlier"]),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_by_its_field(management, page, method, fields, at_fault):
    found = await refusal(ask(management, method, **fields))
    assert (found.code, found.reason, sorted(found.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", at_fault)  # fmt: skip


@pytest.mark.parametrize(
    "point",
    [{"revision": 10_000}, {"revision": 0}, {"revision": -1}, {"revision": 2**63 - 1}, {"at": Timestamp(seconds=1)}],
)
async def test_a_point_that_is_not_in_the_history_is_not_found(management, page, point):
    for method, fields in (
        ("ReviewAccess", {"physician": "dr-a", "as_of": pb.Point(**point)}),
        ("ReviewAccess", {"user": "olive", "as_of": pb.Point(**point)}),
        ("DiffAccess", {"earlier": pb.Point(**point)}),
        ("DiffAccess", {"earlier": pb.Point(revision=1), "later": pb.Point(**point)}),
    ):
        found = await refusal(ask(management, method, **fields))
        assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_REVISION")


async def test_a_time_before_the_history_is_told_with_where_it_begins(management, page):
    early = Timestamp()
    early.FromDatetime(datetime(2001, 1, 1, tzinfo=UTC))
    refused = await refusal(ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(at=early)))
    assert refused.reason == "UNKNOWN_REVISION"
    assert "the last until 2001-01-01 00:00 UTC; history: from revision 1, 20" in refused.details
    unknown = await refusal(ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=1)))
    assert "at_revision: 1" in unknown.details


async def test_a_review_of_a_person_tells_of_invitations_and_of_nobody_who_never_was(app, management, page):
    invited = await page.invite("zed", "data_entry")
    found = await ask(management, "ReviewAccess", user="zed")
    assert [(one.physician, one.username, list(one.roles)) for one in found.pending] == [
        (page.physician, "zed", ["data_entry"])
    ]
    assert not found.access
    await page.cancel(invited.invitation.id)
    # Nobody any more, but once: an answer.
    assert not (await ask(management, "ReviewAccess", user="zed")).pending
    before = await ask(management, "ReviewAccess", user="zed", as_of=pb.Point(revision=invited.revision))
    assert [one.id for one in before.pending] == [invited.invitation.id]
    unknown = await refusal(ask(management, "ReviewAccess", user="Zed"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_USER")


async def test_an_account_is_unknown_before_it_is_registered(app, management, page):
    before = await app.store.revision()
    await register(app, "dr-b", "oscar")
    for fields in ({"physician": "dr-b", "as_of": pb.Point(revision=before)}, {"physician": "dr-no"}):
        assert (await refusal(ask(management, "ReviewAccess", **fields))).reason == UnknownPhysician.reason
    unknown = await refusal(ask(management, "DiffAccess", earlier=pb.Point(revision=before), physician="dr-no"))
    assert unknown.reason == UnknownPhysician.reason
    (gained,) = await every(management, "DiffAccess", earlier=pb.Point(revision=before), physician="dr-b")
    assert (gained.user, len(gained.gained), len(gained.lost)) == ("oscar", 13, 0)


# Reviews.


async def test_a_role_is_held_since_its_grant_and_granted_by_whoever_invited(management, page):
    invitation = (await page.invite("nina", "data_entry", "financial_viewer")).invitation.id
    accepted = await accept(page, invitation)
    edited = (await page.edit("nina", "data_entry", "administrator")).revision
    review = await ask(management, "ReviewAccess", physician="dr-a")
    held = {role.role: role for access in review.access if access.user == "nina" for role in access.roles}
    assert {name: (role.since_revision, role.granted_by, role.kind) for name, role in held.items()} == {
        "data_entry": (accepted, "olive", "invitation.accept"),
        "administrator": (edited, "olive", "permissions.update"),
    }
    at = {change.revision: change.at for change in await every(management, "ListChanges")}
    assert all(role.since == at[role.since_revision] for role in held.values())
    before = await ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=edited - 1))
    assert [role.role for role in before.access[0].roles] == ["data_entry", "financial_viewer"]


async def test_a_role_taken_and_given_again_is_held_since_the_second_time(app, management, page):
    for _ in range(2):
        last = await grant(app, "dr-a", "dan", "data_entry")
        ended = await revoke(app, "dr-a", "dan", "data_entry")
    again = await grant(app, "dr-a", "dan", "data_entry")
    for revision, since in ((last, last), (again, again)):
        (access,) = await every(management, "ReviewAccess", user="dan", as_of=pb.Point(revision=revision))
        assert access.roles[0].since_revision == since
    assert await every(management, "ReviewAccess", user="dan", as_of=pb.Point(revision=ended)) == []


async def test_a_review_of_now_is_what_the_service_answers_now(app, wire, management, story):
    await custom_roles.define(
        app.store,
        Physician("dr-b"),
        Role("lead"),
        RoleDefinition(includes=frozenset({Role("data_entry")}), deny=frozenset({Action.CLAIM_DELETE})),
        caller="test",
        actor="test",
    )
    await grant(app, "dr-b", "leo", "lead")
    await reached(app, await grant(app, "dr-b", "leo", "financial_viewer"))
    for physician in ("dr-a", "dr-b"):
        for access in await every(management, "ReviewAccess", physician=physician):
            said = {}
            for channel in (decision_pb2.CHANNEL_WEB, decision_pb2.CHANNEL_MOBILE):
                request = decision_pb2.ListActionsRequest(user=access.user, physician=physician, channel=channel)
                answer = await wire("ListActions", request)
                said[channel] = answer
            assert [role.role for role in access.roles] == list(said[decision_pb2.CHANNEL_WEB].roles)
            web = [(a.action, a.shown, a.reason, a.role) for a in said[decision_pb2.CHANNEL_WEB].actions]
            assert [(a.action, a.shown, a.reason, a.role) for a in access.actions] == web
            assert [a.mobile for a in access.actions] == [a.shown for a in said[decision_pb2.CHANNEL_MOBILE].actions]


async def test_a_users_review_is_their_line_in_each_accounts_review(management, story):
    mine = await every(management, "ReviewAccess", user="nina")
    assert [access.physician for access in mine] == ["dr-b"]
    revision = next(c.revision for c in await every(management, "ListChanges", kind="access.revoke")) - 1
    mine = await every(management, "ReviewAccess", user="nina", as_of=pb.Point(revision=revision))
    assert [access.physician for access in mine] == ["dr-a", "dr-b"]
    for access in mine:
        account = await every(management, "ReviewAccess", physician=access.physician, as_of=pb.Point(revision=revision))
        assert access in account


async def test_custom_roles_are_spelled_out_on_the_first_page(management, story):
    await story.create_role("viewer", includes=("financial_viewer",), deny=("report:patient_details",))
    await story.invite("zoe", "viewer")
    review = await ask(management, "ReviewAccess", physician="dr-a", page_size=500)
    roles = {role.role: role for role in review.custom_roles}
    assert sorted(roles) == ["desk", "viewer"]
    assert list(roles["viewer"].allowed) == ["claim:view", "report:generate", "invoice:view", "invoice:pay"]
    assert (list(roles["viewer"].includes), list(roles["viewer"].deny)) == (["financial_viewer"], ["report:patient_details"])  # fmt: skip
    before = await ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=6))
    (own,) = [role for role in before.custom_roles if role.role == "custom.nina"]
    assert (list(own.holders), list(own.allowed)) == (["nina"], ["claim:view", "report:generate"])


async def test_own_selections_come_with_the_page_of_their_owner(management, story):
    for user in ("ann", "bea", "cal"):
        await accept(story, (await story.invite(user, actions=("claim:view",))).invitation.id)
    found = await pages(management, "ReviewAccess", 1, physician="dr-a")
    told = [[role.role for role in page.custom_roles] for page in found]
    assert told == [["custom.ann", "desk"], ["custom.bea"], ["custom.cal"], []]
    whole = await ask(management, "ReviewAccess", physician="dr-a")
    by_name = {role.role: role for page in found for role in page.custom_roles}
    assert by_name == {role.role: role for role in whole.custom_roles}


async def test_a_page_of_a_large_account_is_small_and_costs_what_it_shows(app, management, database, page):
    """2,000 people with an own selection each took ten seconds for ten of them: the square of their number."""
    revision, domain = await app.store.revision(), "physician:dr-a"
    rows = [
        row
        for number in range(2_000)
        for row in (
            ("api", "g", f"user:u{number}", f"role:custom.u{number}", domain, "", revision),
            *(("api", "p", f"role:custom.u{number}", domain, action, "allow", revision) for action in list(Action)[:8]),
        )
    ]
    connection = await asyncpg.connect(database)
    columns = ("origin", "ptype", "v0", "v1", "v2", "v3", "from_revision")
    await connection.copy_records_to_table("rules", columns=columns, records=rows)
    await connection.close()
    begun = time.process_time()
    found = await ask(management, "ReviewAccess", physician="dr-a", page_size=10)
    assert (len(found.access), len(found.custom_roles)) == (10, 9)
    assert found.ByteSize() < 50_000
    assert time.process_time() - begun < 4


async def test_invitations_are_pending_from_inviting_to_closing(management, page):
    async def pending(revision: int) -> list[str]:
        review = await ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=revision))
        return [invitation.username for invitation in review.pending]

    first = await page.invite("nina", "data_entry")
    second = await page.invite("paul", actions=("claim:view",))
    accepted = await accept(page, first.invitation.id)
    cancelled = (await page.cancel(second.invitation.id)).revision
    assert [await pending(r) for r in range(first.revision - 1, cancelled + 1)] == [
        [], ["nina"], ["nina", "paul"], ["paul"], [],
    ]  # fmt: skip
    assert accepted == cancelled - 1
    review = await ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=accepted))
    (found,) = review.pending
    assert (found.email, list(found.actions), found.invited_by) == ("paul@clinic.example", ["claim:view"], "olive")


async def test_an_invitation_whose_time_was_up_is_not_pending(app, database, management, page):
    invited = await page.invite("nina", "data_entry")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE invitations SET expires_at = now() - interval '1 minute'")
    await connection.close()
    assert list((await ask(management, "ReviewAccess", physician="dr-a")).pending) == []
    early = pb.Point(at=datetime.now(UTC) - timedelta(minutes=2))
    later = await grant(app, "dr-a", "dan", "data_entry")
    assert list((await ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(revision=later))).pending) == []
    assert (await refusal(ask(management, "ReviewAccess", physician="dr-a", as_of=early))).reason == "UNKNOWN_REVISION"
    assert invited.revision < later


async def test_a_time_is_the_last_revision_made_until_then(management, story):
    for change in await every(management, "ListChanges", physician="dr-a"):
        at = change.at.ToDatetime(UTC)
        for moment, revision in ((at, change.revision), (at - timedelta(microseconds=1), change.revision - 1)):
            review = await refused_or(ask(management, "ReviewAccess", physician="dr-a", as_of=pb.Point(at=moment)))
            if isinstance(review, Refused):
                assert (review.reason, revision) == ("UNKNOWN_PHYSICIAN", 1)
            else:
                assert (review.revision, review.at.ToDatetime(UTC) <= moment) == (revision, True)


async def refused_or(call):
    try:
        return await call
    except Refused as refused:
        return refused


async def test_a_review_names_the_hash_of_its_entry(management, story):
    hashes = {change.revision: change.hash for change in await every(management, "ListChanges")}
    for revision in range(2, len(hashes) + 1):
        review = await ask(management, "ReviewAccess", user="olive", as_of=pb.Point(revision=revision))
        assert (review.revision, review.hash) == (revision, hashes[revision])


# Differences.


async def test_a_diff_names_who_gained_and_who_lost(app, management, story):
    before = await app.store.revision()
    await story.create_role("other", "claim:view")
    await grant(app, "dr-b", "dan", "data_entry")
    await revoke(app, "dr-b", "nina", "financial_viewer")
    await grant(app, "dr-b", "nina", "data_entry")
    found = await every(management, "DiffAccess", earlier=pb.Point(revision=before))
    assert [(d.physician, d.user, list(d.gained), list(d.lost)) for d in found] == [
        ("dr-b", "dan", ["claim:view", "claim:save", "claim:submit", "claim:delete"], []),
        ("dr-b", "nina", ["claim:save", "claim:submit", "claim:delete"], ["report:generate", "report:patient_details", "invoice:view", "invoice:pay"]),
    ]  # fmt: skip
    assert await every(management, "DiffAccess", earlier=pb.Point(), later=pb.Point()) == []


async def test_a_changed_built_in_rule_is_a_difference_in_every_account(app, management, story, seed):
    before = await app.store.revision()
    for physician in ("dr-a", "dr-b"):
        await grant(app, physician, "dan", "data_entry")
    given = await app.store.revision()
    rows = [row for row in seed if row != rule_row(Role("data_entry"), "*", Action.CLAIM_DELETE, Effect.ALLOW)]
    await install.install(app.store, rows, caller="test", actor="ops")
    found = await every(management, "DiffAccess", earlier=pb.Point(revision=given))
    assert [(d.physician, d.user, list(d.gained), list(d.lost)) for d in found] == [
        ("dr-a", "dan", [], ["claim:delete"]), ("dr-b", "dan", [], ["claim:delete"]),
    ]  # fmt: skip
    whole = await every(management, "DiffAccess", earlier=pb.Point(revision=before))
    assert [list(d.gained) for d in whole] == [["claim:view", "claim:save", "claim:submit"]] * 2


async def test_a_page_looks_at_a_bounded_number_of_accounts(app, management, story, seed, monkeypatch):
    """An empty page says that more may follow, and the list goes on after it."""
    monkeypatch.setattr("policy_service.audit.differences.MOST_ACCOUNTS", 2)
    before = await app.store.revision()
    for n in range(5):
        await register(app, f"x-{n}", f"owner{n}")
    await grant(app, "x-4", "dan", "data_entry")
    given = await app.store.revision()
    rows = [row for row in seed if row != rule_row(Role("data_entry"), "*", Action.CLAIM_DELETE, Effect.ALLOW)]
    await install.install(app.store, rows, caller="test", actor="ops")
    found = await pages(management, "DiffAccess", 100, earlier=pb.Point(revision=given))
    assert len(found) > 3
    assert [len(page.differences) for page in found] == [*[0] * (len(found) - 1), 1]
    changed = await pages(
        management, "DiffAccess", 1, earlier=pb.Point(revision=before), later=pb.Point(revision=given)
    )
    assert [d.user for page in changed for d in page.differences] == ["owner0", "owner1", "owner2", "owner3", "dan", "owner4"]  # fmt: skip


async def test_a_page_ends_when_its_time_is_up_and_the_list_goes_on(app, management, story, seed, monkeypatch):
    given = await app.store.revision()
    for user in ("dan", "eve", "fay"):
        await grant(app, "dr-a", user, "data_entry")
        await grant(app, "dr-b", user, "data_entry")
    rows = [row for row in seed if row != rule_row(Role("data_entry"), "*", Action.CLAIM_DELETE, Effect.ALLOW)]
    await install.install(app.store, rows, caller="test", actor="ops")
    whole = await every(management, "DiffAccess", earlier=pb.Point(revision=given))
    monkeypatch.setattr("policy_service.audit.differences.MOST_SECONDS", 0)
    found = await pages(management, "DiffAccess", 100, earlier=pb.Point(revision=given))
    assert len(found) >= len(whole) == 6
    assert [one for page in found for one in page.differences] == whole


async def test_casbin_is_asked_while_no_connection_is_held(app, management, story, monkeypatch):
    """However long it takes, the database waits for nobody."""
    held: list[int] = []
    compare, reading, looks = differences._Sides.compare, Store.reading, 0

    def watched(*arguments, **more):
        held.append(looks)
        return compare(*arguments, **more)

    @asynccontextmanager
    async def counted(self):
        nonlocal looks
        async with reading(self) as look:
            looks += 1
            yield look
            looks -= 1

    # Not the pool's connections: the service's other tasks use them too.
    monkeypatch.setattr(Store, "reading", counted)
    monkeypatch.setattr(differences._Sides, "compare", watched)
    await every(management, "DiffAccess", earlier=pb.Point(revision=1))
    assert held
    assert set(held) == {0}


async def test_long_reads_leave_the_database_to_others(app, management, page):
    async with AsyncExitStack() as looks:
        for _ in range(3):
            await looks.enter_async_context(app.store.looking_at_log())
        for method, request in (
            ("VerifyLog", pb.VerifyLogRequest()),
            ("ExportPolicy", seeds_pb2.ExportPolicyRequest(form=seeds_pb2.POLICY_FORM_EVERYTHING)),
        ):
            refused = await refusal(management.parts(method, request))
            assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_LONG_READS")
    assert (await management.parts("VerifyLog", pb.VerifyLogRequest()))[-1].verdict.whole


async def test_the_past_is_decided_by_the_model_of_then(app, management, story, model):
    """Ops replace the model by one under which no rule takes anything away."""
    await story.create_role("viewer", includes=("financial_viewer",), deny=("invoice:pay",))
    before = await grant(app, "dr-a", "vera", "viewer")
    await grant(app, "dr-b", "dan", "data_entry")
    await install.record_model(app.store, lenient(model))
    now = await app.store.revision()
    for revision, may_pay in ((before, False), (now, True)):
        (access,) = await every(management, "ReviewAccess", user="vera", as_of=pb.Point(revision=revision))
        assert {a.action: a.shown for a in access.actions}["invoice:pay"] is may_pay
    # Nobody's rows changed, and yet somebody may more.
    found = await every(management, "DiffAccess", earlier=pb.Point(revision=now - 1), later=pb.Point(revision=now))
    assert [(d.physician, d.user, list(d.gained), list(d.lost)) for d in found] == [
        ("dr-a", "vera", ["invoice:pay"], []),
    ]  # fmt: skip


def lenient(model: Model) -> Model:
    """The shipped model, but that denying rules do not count."""
    return vetted_model(model.text.replace(" && !some(where (p.eft == deny))", ""), "lenient", as_it_was=True)


# How the tables are read.


@pytest.mark.parametrize(
    ("statement", "arguments", "indexes"),
    [
        (log_pages._CHANGES, (2**62, "dr-7", None, None, None, None, None, 100), ["changes_of_physician"]),
        (log_pages._CHANGES, (2**62, None, "u7", None, None, None, None, 100), ["changes_of_users"]),
        (log_pages._CHANGES, (2**62, None, None, "a7", None, None, None, 100), ["changes_of_actor"]),
        (log_pages._CHANGES, (2**62, None, None, None, "k7", None, None, 100), ["changes_of_kind"]),
        (log_pages._CHANGES, (2**62, None, None, None, None, NOON, NOON + timedelta(seconds=9), 100), ["changes_at"]),
        (log_pages._CHANGES, (2**62, None, None, None, None, None, None, 100), ["changes_pkey"]),
        (log_pages._DECISIONS, (None,) * 13 + (100,), ["_at_replica_sequence_idx"]),
        (log_pages._DECISIONS, (NOON, "r", 9, *(None,) * 10, 100), ["_at_replica_sequence_idx"]),
        (log_pages._DECISIONS, (*(None,) * 3, "u7", *(None,) * 9, 100), ["_username_at_replica"]),
        (log_pages._DECISIONS, (*(None,) * 4, "dr-7", *(None,) * 8, 100), ["_physician_at_replica"]),
        (log_pages._DECISIONS, (*(None,) * 7, "r7", 7, *(None,) * 4, 100), ["_pkey"]),
        (log_pages._DECISIONS, (*(None,) * 9, "request-7", *(None,) * 3, 100), ["_correlation_id_idx"]),
        (statements._POINT_AT, (NOON,), ["changes_at"]),
        (statements._ROWS_SINCE, (["physician:dr-7"], 15_000, None), ["rules_current|rules_begun", "rules_ended"]),
        (statements._DOMAINS_OF_SUBJECT, ("user:u7", 15_000, "physician:", 9), ["rules_of_subject"]),
        (spans._ROWS, (15_000, 16_000, ["physician:dr-7"]), ["rules_current|rules_begun", "rules_ended"]),
        (spans._CHANGED, (19_990, 19_995, "physician:", 9), ["rules_from"]),
        (spans._EVERY, ("physician:dr-7", 9), ["rules_current|rules_begun", "rules_ended"]),
    ],
)  # fmt: skip
async def test_every_question_uses_an_index(app, database, statement, arguments, indexes):
    connection = await asyncpg.connect(database)
    # Entries that follow no other.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(FILL_RULES)
    await connection.execute(FILL_CHANGES)
    await connection.execute("SELECT decisions_make_day('2026-01-31'), decisions_make_day('2026-02-01')")
    await connection.execute(FILL_DECISIONS)
    await connection.execute("ANALYZE")
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *arguments))
    await connection.close()
    assert all(any(one in plan for one in index.split("|")) for index in indexes), plan
    assert "Seq Scan on rules" not in plan
    assert "Seq Scan on changes" not in plan
    assert "Seq Scan on decisions" not in plan


FILL_RULES = """
INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision, until_revision)
SELECT 'g', 'user:u' || n, 'role:data_entry', 'physician:dr-' || n % 900, 'api', n, CASE WHEN n % 2 = 0 THEN n + 5 END
FROM generate_series(1, 20000) n
"""
FILL_CHANGES = """
INSERT INTO changes
  (revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash)
SELECT n, '2026-01-31T12:00:00Z'::timestamptz + n * interval '1 second', 'c', 'a' || n % 2000, '', 'k' || n % 2000,
       'dr-' || n % 2000, '[]', '[]', jsonb_build_object('user', 'u' || n % 2000), gen_random_uuid(),
       sha256('a'), sha256('a')
FROM generate_series(100, 20000) n
"""
FILL_DECISIONS = """
INSERT INTO decisions
SELECT '2026-01-31T20:00:00Z'::timestamptz + n * interval '1 second', 'r' || n % 9, n, 'c', 'u' || n % 2000,
       'dr-' || n % 2000, 'claim:view', 'web', '', CASE WHEN n % 2 = 0 THEN 'request-' || n ELSE '' END, true, 'granted',
       'owner', 2
FROM generate_series(1, 20000) n
"""
