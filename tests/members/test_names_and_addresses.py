"""A name, an address and an account are taken by nobody but whose they are, through whichever door (ATTACKS 13, 24, 34)."""

import itertools
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from policy_service.app import open_app
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from policy_service.vocabulary import alike, folded, look
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.members.test_manage_users import join, refusal
from tests.support.accounts import grant, register
from tests.support.people import MailServer, Page
from tests.support.rpc import Refused

pytestmark = pytest.mark.over_tls


@pytest.fixture
async def mail():
    with MailServer() as server:
        yield server


@pytest.fixture
async def app(store, database, seed, mail, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings_for(database, smtp_url=mail.url, data_dir=tmp_path)) as opened:
        await register(opened, "dr-a", "olive")
        await register(opened, "dr-b", "oscar")
        yield opened


@pytest.fixture
async def page(management):
    return Page(management, "olive", "dr-a")


@pytest.fixture
async def other(management):
    return Page(management, "oscar", "dr-b")


async def expire_all(database: str) -> None:
    connection = await asyncpg.connect(database)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await connection.execute("UPDATE invitations SET expires_at = $1 WHERE state = 'pending'", past)
    await connection.close()


async def addresses(page: Page) -> dict[str, str]:
    return {member.username: member.email for member in (await page._call("ListMembers")).members}


async def prompted(call) -> tuple[str, dict[str, str]]:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value.reason, getattr(refused.value, "facts", {})


async def test_34_a_reserved_name_is_not_registered_by_somebody_else(page, management, database):
    invitation = (await page.invite("nina", "data_entry")).invitation.id
    thief = Page(management, "nina", "dr-n")
    assert await refusal(thief.register()) == "NAME_RESERVED"
    await page.cancel(invitation)
    await thief.register()  # nobody waits for it any more
    await page.invite("nora", "data_entry")
    await expire_all(database)
    await Page(management, "nora", "dr-m").register()


async def test_34_nor_granted_to_somebody_else(app, page):
    from policy_service.members.errors import NameReserved, NameTooSimilar

    await page.invite("nina", "data_entry")
    with pytest.raises(NameReserved):
        await grant(app, "dr-b", "nina", "data_entry")
    with pytest.raises(NameTooSimilar):
        await grant(app, "dr-b", "NINA", "data_entry")


async def test_registration_is_by_the_owner_alone(management):
    request = mu.RegisterPhysicianRequest(actor="eve", physician="dr-x", owner="victor")
    assert await refusal(management("RegisterPhysician", request)) == "ACTOR_NOT_ALLOWED"


async def test_13_no_new_name_looks_like_one_that_is_there(app, page, other, management, mail):
    await join(page, mail, "ben", "data_entry")
    for twin in ("BEN", "Ben"):
        for reuse in (False, True):
            call = other.invite(twin, "data_entry", email="else@clinic.example", reuse_existing=reuse)
            assert await prompted(call) == ("USER_EXISTS", {"user": "ben"})
        assert await refusal(Page(management, twin, "dr-x").register()) == "NAME_TOO_SIMILAR"
    # Also beside one that is only reserved.
    await page.invite("vernal", "data_entry")
    assert await prompted(other.invite("vema1", "data_entry")) == ("USER_EXISTS", {"user": "vernal"})
    assert await refusal(Page(management, "zoe", "DR-A").register()) == "NAME_TOO_SIMILAR"
    await page.create_role("front-desk1", "claim:view")
    for twin in ("front-deskl", "adrninistrator"):
        assert await refusal(page.create_role(twin, "claim:view")) == "NAME_TOO_SIMILAR"


async def test_13_older_names_that_collide_go_on_working(page, database, mail, wire):
    await join(page, mail, "ben", "data_entry")
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO users SELECT 'BEN', NULL, 1, 1, 1")
    await connection.execute(
        "INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision) "
        "SELECT 'g', 'user:BEN', 'role:data_entry', 'physician:dr-a', 'api', revision FROM policy_revision"
    )
    await connection.close()
    revision = (await page.edit("BEN", "financial_viewer")).revision
    assert (await wire.check("BEN", "dr-a", "invoice:view", min_revision=revision)).allowed
    assert not (await wire.check("ben", "dr-a", "invoice:view", min_revision=revision)).allowed
    await page.revoke("BEN")
    await page.invite("BEN", "data_entry", email="big@clinic.example", reuse_existing=True)


async def test_the_database_and_the_code_agree_on_what_looks_alike(database):
    letters = "Iil1oO0rnmMRNab."
    names = ["".join(parts) for size in (1, 2, 3) for parts in itertools.product(letters, repeat=size)]
    connection = await asyncpg.connect(database)
    found = await connection.fetch(
        "SELECT name, lower(name) AS folded, lower(replace(translate(name, 'I10', 'llo'), 'rn', 'm')) AS look "
        "FROM unnest($1::text[]) AS name",
        names,
    )
    await connection.close()
    assert [(record["folded"], record["look"]) for record in found] == [(folded(name), look(name)) for name in names]
    assert alike("Ian", "lan")


async def test_34_reuse_sets_no_address_before_the_person_accepted(page, other, mail):
    """Oscar owns Dr. B and has no address; Dr. A's owner says that they know one."""
    invited = await page.invite("oscar", "data_entry", email="o@clinic.example", reuse_existing=True)
    assert await addresses(other) == {"oscar": ""}
    await page.cancel(invited.invitation.id)
    assert await addresses(other) == {"oscar": ""}
    await page.invite("oscar", "data_entry", email="oscar@clinic.example", reuse_existing=True)
    await page.accept(await mail.token_for("oscar@clinic.example"))
    assert await addresses(other) == {"oscar": "oscar@clinic.example"}


async def test_34_the_address_of_a_third_person_is_bound_to_nobody_else(page, other, mail, management):
    await join(page, mail, "nora", "data_entry")
    for address in ("nora@clinic.example", "NORA@clinic.example"):
        call = page.invite("oscar", "data_entry", email=address, reuse_existing=True)
        assert await prompted(call) == ("USER_EXISTS", {"user": "nora"})
    # Nor where it becomes hers while the invitation is open: whoever confirmed it has it.
    await page.complete(await mail.token_for("nora@clinic.example"))
    await page.invite("oscar", "data_entry", email="shared@clinic.example", reuse_existing=True)
    token = await mail.token_for("shared@clinic.example")
    await page.by("nora").change_address("Shared@clinic.example")
    await page.confirm_address(await mail.token_for("Shared@clinic.example"))
    assert await refusal(page.accept(token)) == "USER_MISMATCH"
    assert await addresses(other) == {"oscar": ""}
    assert (await addresses(page))["nora"] == "Shared@clinic.example"


async def test_34_whatever_brought_an_invitation_it_binds_nobody_elses_address(page, mail, database):
    """As an import might, or a restore: the door at which an address is bound asks again."""
    await join(page, mail, "nora", "data_entry")
    await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE invitations SET email = 'NORA@clinic.example' WHERE username = 'nina'")
    await connection.close()
    assert await refusal(page.accept(token)) == "USER_MISMATCH"
    assert await addresses(page) == {"olive": "", "nora": "nora@clinic.example"}


async def test_the_prompt_names_who_has_the_address_so_that_they_can_be_invited(page, other, mail):
    await join(page, mail, "nina", "data_entry")
    reason, facts = await prompted(other.invite("nurse.nina", "data_entry", email="NINA@clinic.example"))
    assert (reason, facts) == ("USER_EXISTS", {"user": "nina"})
    invited = await other.invite(facts["user"], "data_entry", email="NINA@clinic.example", reuse_existing=True)
    assert invited.invitation.username == "nina"


async def test_35_an_expired_invitation_holds_neither_name_nor_address(page, other, mail, database):
    first = (await page.invite("nina", "data_entry")).invitation.id
    await page.invite("nora", "data_entry")
    await mail.letters(2)
    await expire_all(database)
    # Another Nina, at another address; and the address of who was to be Nora under another name.
    await other.invite("nina", "data_entry", email="other.nina@clinic.example")
    await other.invite("nurse", "data_entry", email="nora@clinic.example")
    await other.accept(await mail.token_for("other.nina@clinic.example"))
    await other.accept(await mail.token_for("nora@clinic.example", 2))
    # Sent again, it would invite somebody else than was meant.
    assert await refusal(page.resend(first)) == "USER_MISMATCH"
    assert sorted(await other.members()) == ["nina", "nurse", "oscar"]


async def test_24_an_account_is_told_so_often_and_then_nothing_at_all(store, database, seed, mail, tmp_path, app):
    from tests.support.rpc import Wire

    quiet = settings_for(database, smtp_url=mail.url, data_dir=tmp_path, max_prompts_per_hour=3)
    async with open_app(quiet) as opened, Wire(opened.planes.management_port) as wire:
        page, other = Page(wire, "olive", "dr-a"), Page(wire, "oscar", "dr-b")
        await page.invite("nina", "data_entry")
        for _ in range(3):
            assert await refusal(other.invite("x", "data_entry", email="nina@clinic.example")) == "USER_EXISTS"
        replies = [await prompted(other.invite(name, "data_entry")) for name in ("nina", "nobody")]
        assert {reason for reason, _ in replies} == {"TOO_MANY_PROMPTS"}
        assert all(datetime.fromisoformat(facts["again_at"]) > datetime.now(UTC) for _, facts in replies)
        await page.invite("nobody", "data_entry")  # another account's share is its own


@pytest.fixture
def statements(monkeypatch):
    """Every statement that the service sends, in order."""
    sent: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "fetchval"):
        original = getattr(asyncpg.Connection, name)

        def noting(self, query, *arguments, original=original, **more):
            sent.append(query)
            return original(self, query, *arguments, **more)

        monkeypatch.setattr(asyncpg.Connection, name, noting)
    return sent


def asked_of_people(statements: list[str]) -> list[str]:
    """What was asked of users and invitations; the sender of letters counts those that wait, whenever it likes."""
    return [q for q in statements if ("users" in q or "invitations" in q) and "GROUP BY o.state" not in q]


async def test_24_replies_and_their_work_are_the_same_whoever_is_known(page, other, mail, app, statements):
    """One who accepted, one who is only invited, by name or by address: one reply and one list of statements."""
    await join(page, mail, "nina", "data_entry")
    await page.invite("nora", "data_entry")
    await mail.letters(2)
    seen = []
    for name, email in (
        ("nina", "nina@clinic.example"),
        ("nora", "nora@clinic.example"),
        ("nobody", "nina@clinic.example"),
        ("nobody", "nora@clinic.example"),
        ("NINA", "free@clinic.example"),
        ("NORA", "free@clinic.example"),
    ):
        statements.clear()
        with pytest.raises(Refused) as refused:
            await other.invite(name, "data_entry", email=email)
        told = refused.value
        shown = told.facts.pop("user")
        assert shown in ("nina", "nora")
        inside = asked_of_people(statements)
        seen.append((told.code, told.reason, told.details.replace(shown, "?"), told.facts, inside))
    for reply in seen:
        assert reply == seen[0]
    assert len(seen[0][-1]) >= 2
    # And where the user is known at another address.
    mismatches = []
    for name in ("nina", "nora"):
        statements.clear()
        with pytest.raises(Refused) as refused:
            await other.invite(name, "data_entry", email="free@clinic.example")
        inside = asked_of_people(statements)
        mismatches.append((refused.value, inside))
    assert mismatches[0] == mismatches[1]
