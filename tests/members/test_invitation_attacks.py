"""ATTACKS 20 to 24, races and escalation, each through the wire."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
import pytest

from policy_service.app import open_app
from policy_service.members.tokens import TokenKey
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.members.test_manage_users import allowed, join, refusal
from tests.support.accounts import grant, reached, register
from tests.support.people import MailServer, Page, token_in
from tests.support.rpc import Refused

pytestmark = pytest.mark.over_tls

ROUNDS = 25


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


async def shift(database: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(statement, *arguments)
    await connection.close()


@pytest.mark.parametrize("how", ["accepted", "cancelled", "resent", "expired", "revoked"])
async def test_20_a_token_works_once_and_never_after_its_end(page, mail, database, how):
    invitation = (await page.invite("nina", "data_entry")).invitation
    token = await mail.token_for("nina@clinic.example")
    match how:
        case "accepted":
            await page.accept(token)
        case "cancelled":
            await page.cancel(invitation.id)
        case "resent":
            await page.resend(invitation.id)
        case "revoked":
            await page.revoke("nina")
        case "expired":
            await shift(database, "UPDATE invitations SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
            assert [i.state for i in await page.pending("EXPIRED")] == [mu.INVITATION_STATE_EXPIRED]
            assert await page.pending() == []
    for _ in range(3):
        assert await refusal(page.accept(token)) == "INVALID_TOKEN"


async def test_20_an_expired_invitation_can_be_sent_again_or_made_anew(page, mail, database):
    invitation = (await page.invite("nina", "data_entry")).invitation
    await mail.letters(1)
    await shift(database, "UPDATE invitations SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
    await page.resend(invitation.id)
    await mail.letters(2)  # what expires before it is sent is not sent
    await shift(database, "UPDATE invitations SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
    await page.invite("nina", "financial_viewer")
    assert (await page.accept(await mail.token_for("nina@clinic.example", 3))).must_set_up_credentials


async def test_20_guessing_is_refused_alike(page, mail):
    await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    near = [token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :] for place in range(0, 43, 5)]
    for guess in ("", "x", "a" * 43, "A" * 44, token.lower(), token + "=", *near, "ü" * 43, "' OR 1=1 --"):
        with pytest.raises(Refused) as refused:
            await page.accept(guess)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_TOKEN")
    await page.accept(token)


async def test_20_a_dump_of_the_database_gives_no_usable_token(page, mail, database):
    await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    connection = await asyncpg.connect(database)
    tables = await connection.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    dump = ""
    for record in tables:
        dump += str(await connection.fetch(f'SELECT t::text FROM "{record[0]}" t'))
    (held,) = await connection.fetchrow("SELECT token_hash FROM invitations")
    await connection.close()
    assert token not in dump
    assert held == hashlib.sha256(token.encode()).digest()
    invitation = (await page.pending())[0].id
    for guess in (held.hex(), TokenKey(b"\0" * 32).token(invitation, 1), TokenKey(held).token(invitation, 1)):
        assert await refusal(page.accept(guess)) == "INVALID_TOKEN"


async def test_20_no_token_is_in_replies_or_logs(page, mail, capfd):
    invited = await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    again = await page.resend(invited.invitation.id)
    second = await mail.token_for("nina@clinic.example", 2)
    await page.accept(second)
    captured = capfd.readouterr()
    for secret in (token, second):
        assert secret not in str(invited) + str(again) + captured.out + captured.err


async def outcomes(*calls) -> list[str]:
    """Run at once; for each "done" or the reason of its refusal."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        assert not isinstance(result, Exception) or isinstance(result, Refused), result
        assert not isinstance(result, Refused) or result.code is not grpc.StatusCode.INTERNAL, result
    return [result.reason if isinstance(result, Refused) else "done" for result in results]


async def test_21_two_acceptances_at_once_one_wins(page, mail):
    for number in range(ROUNDS):
        await page.invite(f"n{number}", "data_entry")
        token = await mail.token_for(f"n{number}@clinic.example")
        assert sorted(await outcomes(*(page.accept(token) for _ in range(4)))) == ["INVALID_TOKEN"] * 3 + ["done"]
    assert len(await page.members()) == ROUNDS + 1


async def test_21_accept_against_cancel_one_wins(page, mail):
    for number in range(ROUNDS):
        invitation = (await page.invite(f"n{number}", "data_entry")).invitation
        token = await mail.token_for(f"n{number}@clinic.example")
        calls = [page.accept(token), page.cancel(invitation.id)]
        accepted, cancelled = await outcomes(*(calls if number % 2 else reversed(calls)))
        if number % 2 == 0:
            accepted, cancelled = cancelled, accepted
        assert (accepted, cancelled) in {("done", "INVITATION_CLOSED"), ("INVALID_TOKEN", "done")}
        assert (f"n{number}" in await page.members()) == (accepted == "done")


async def test_21_accept_against_revoke_of_the_inviter_one_wins(app, page, mail, seed):
    """An administrator who may invite (a seed of ops' own) invites; they are revoked as the link is used."""
    from policy_service.vocabulary import Effect, Role, rule_row

    generous = [*seed, rule_row(Role("administrator"), "*", "user:invite", Effect.ALLOW)]
    await reached(app, (await install.install(app.store, generous, caller="test", actor="ops")).revision)
    for number in range(ROUNDS):
        helper = f"h{number}"
        await grant(app, "dr-a", helper, "administrator")
        await page.by(helper).invite(f"n{number}", "data_entry")
        token = await mail.token_for(f"n{number}@clinic.example")
        accepted, revoked = await outcomes(page.accept(token), page.revoke(helper))
        assert revoked == "done"
        assert accepted in {"done", "ACTOR_NOT_ALLOWED"}
        assert (f"n{number}" in await page.members()) == (accepted == "done")


async def test_21_two_edits_at_once_leave_one_whole(page, mail):
    await join(page, mail, "nina", "data_entry")
    for _ in range(ROUNDS):
        assert (
            await outcomes(page.edit("nina", "financial_viewer"), page.edit("nina", actions=("claim:view",)))
            == ["done"] * 2
        )
        assert (await page.members())["nina"] in (["financial_viewer"], ["custom.nina"])


async def test_21_two_physicians_invite_the_same_new_name_one_wins(page, management):
    other = Page(management, "oscar", "dr-b")
    for number in range(ROUNDS):
        name = f"n{number}"
        assert sorted(await outcomes(page.invite(name, "data_entry"), other.invite(name, "data_entry"))) == [
            "USER_EXISTS", "done",
        ]  # fmt: skip
        clash = await outcomes(
            page.invite(f"x{number}", "data_entry", email=f"same{number}@clinic.example"),
            other.invite(f"y{number}", "data_entry", email=f"SAME{number}@clinic.example"),
        )
        assert sorted(clash) == ["USER_EXISTS", "done"]


async def test_21_the_same_key_at_once_writes_once(page, app):
    for number in range(10):
        results = await asyncio.gather(
            *(page.invite(f"n{number}", "data_entry", idempotency_key=f"k{number}") for _ in range(4))
        )
        assert len({result.invitation.id for result in results}) == 1
    assert len(await page.pending()) == 10


@pytest.fixture
async def cast(app, page):
    """One user of each kind, in Dr. A's account; olive owns it."""
    await page.create_role("desk", "claim:view", "user:list")
    for user, held in (
        ("fin", "financial_viewer"),
        ("dan", "data_entry"),
        ("adele", "administrator"),
        ("cus", "desk"),
        ("vic", "data_entry"),
    ):
        await reached(app, await grant(app, "dr-a", user, held))


def writes(page: Page, actor: str, invitation: str):
    """Every writing call, that would raise somebody if it worked."""
    by = page.by(actor)
    return {
        "invite": by.invite("new", "data_entry"),
        "invite actions": by.invite("new", actions=("invoice:pay",)),
        "resend": by.resend(invitation, "thief@evil.example"),
        "cancel": by.cancel(invitation),
        "edit": by.edit("vic", "administrator"),
        "edit self": by.edit(actor, "administrator"),
        "revoke": by.revoke("vic"),
        "revoke owner": by.revoke("olive"),
        "create role": by.create_role("mine", *ALL_INVITED),
        "update role": by.update_role("desk", *ALL_INVITED),
        "delete role": by.delete_role("desk", "administrator"),
    }


ALL_INVITED = ("claim:view", "claim:delete", "invoice:pay", "user:list")


@pytest.mark.parametrize("actor", ["stranger", "fin", "dan", "adele", "cus", "oscar"])
async def test_22_nobody_but_the_owner_gets_further_by_any_writing_call(app, page, cast, actor):
    """Through every writing call, as every role and as the owner of another account."""
    invitation = (await page.invite("waiting", "data_entry")).invitation.id
    before = await app.store.revision()
    for name, call in writes(page, actor, invitation).items():
        reason = await refusal(call)
        assert reason in {"ACTOR_NOT_ALLOWED", "SELF_EDIT"}, name
    assert await app.store.revision() == before


async def test_22_nobody_gives_what_an_invited_user_may_not_hold(app, page, cast):
    before = await app.store.revision()
    for action in ("user:invite", "user:edit", "user:revoke", "app:mobile"):
        for call in (
            page.invite("new", actions=("claim:view", action)),
            page.edit("vic", actions=("claim:view", action)),
            page.create_role("mine", "claim:view", action),
            page.update_role("desk", "claim:view", action),
        ):
            assert await refusal(call) == "OWNER_ONLY"
    for call in (
        page.invite("new", "owner"),
        page.edit("vic", "owner"),
        page.create_role("mine", "claim:view", includes=("owner",)),
        page.delete_role("desk", "owner"),
    ):
        assert await refusal(call) == "OWNER_ONLY"
    assert await app.store.revision() == before


async def test_22_nobody_gives_more_than_they_hold(app, page, cast, seed):
    """With a seed that lets administrators invite and edit, they still give only what they have."""
    from policy_service.vocabulary import Effect, Role, rule_row

    extra = [rule_row(Role("administrator"), "*", action, Effect.ALLOW) for action in ("user:invite", "user:edit")]
    poorer = [row for row in seed if row.values[:3] != ("role:administrator", "*", "invoice:pay")]
    await install.install(app.store, [*poorer, *extra], caller="test", actor="ops")
    before = await app.store.revision()
    by = page.by("adele")
    for call in (
        by.invite("new", "financial_viewer"),  # which pays invoices
        by.invite("new", actions=("invoice:pay",)),
        by.edit("vic", "financial_viewer"),
        by.edit("vic", actions=("invoice:pay",)),
        by.create_role("mine", "invoice:pay"),
        by.update_role("desk", "invoice:pay"),
        by.create_role("mine", includes=("financial_viewer",)),
        by.delete_role("desk", "financial_viewer"),
    ):
        assert await refusal(call) == "BEYOND_OWN_RIGHTS"
    # As administrator now may invite others, the role itself cannot be given to an invited user.
    assert await refusal(by.invite("new", "administrator")) == "OWNER_ONLY"
    assert await app.store.revision() == before
    assert (await by.invite("new", "data_entry")).revision == before + 1


async def test_22_nobody_edits_themselves_and_the_owner_stays(app, page, cast):
    before = await app.store.revision()
    assert await refusal(page.edit("olive", "data_entry")) == "LAST_OWNER"
    assert await refusal(page.revoke("olive")) == "LAST_OWNER"
    assert await refusal(page.invite("olive", "data_entry", reuse_existing=True)) == "SELF_EDIT"
    assert await app.store.revision() == before


async def test_22_not_even_those_who_may_edit_change_their_own_rights(app, page, cast, seed):
    from policy_service.vocabulary import Effect, Role, rule_row

    editing = [rule_row(Role("data_entry"), "*", action, Effect.ALLOW) for action in ("user:edit", "user:revoke")]
    await install.install(app.store, [*seed, *editing], caller="test", actor="ops")
    await grant(app, "dr-a", "dan", "desk")
    before = await app.store.revision()
    by = page.by("dan")
    for call in (
        by.edit("dan", actions=("claim:view",)),
        by.revoke("dan"),
        by.update_role("desk", "claim:view", "claim:save", deny=("claim:delete",)),  # a role of their own
        by.delete_role("desk", "desk2"),
    ):
        assert await refusal(call) in {"SELF_EDIT", "UNKNOWN_ROLE"}
    assert await app.store.revision() == before
    await by.revoke("vic")  # another's is theirs to take


async def test_22_a_pending_invitation_gives_nothing_back_after_revocation(page, mail, wire):
    await join(page, mail, "nina", "data_entry")
    await page.revoke("nina")
    await page.invite("nina", "administrator", reuse_existing=True)
    token = await mail.token_for("nina@clinic.example", 2)
    revoked = await page.revoke("nina")
    assert await refusal(page.accept(token)) == "INVALID_TOKEN"
    assert await allowed(wire, "nina", revoked.revision) == set()


async def test_22_what_was_invited_is_looked_at_again_on_accepting(page, mail, app, seed):
    await page.create_role("desk", "claim:view")
    await page.invite("nina", "desk")
    token = await mail.token_for("nina@clinic.example")
    # The role goes, behind the page's back; the service itself refuses to delete it.
    from policy_service.members.custom_roles import delete
    from policy_service.seed import install
    from policy_service.vocabulary import ANY, Effect, Physician, Role, rule_row
    from tests.support.actions import Action

    await delete(app.store, Physician("dr-a"), Role("desk"), caller="test", actor="ops")
    assert await refusal(page.accept(token)) == "UNKNOWN_ROLE"
    # Nobody in the account can put another in its place; ops can.
    assert await refusal(page.create_role("desk", "claim:save")) == "ROLE_IN_USE"
    row = rule_row(Role("desk"), ANY, Action.CLAIM_SAVE, Effect.ALLOW)
    await install.install(app.store, [*seed, row], caller="test", actor="ops")
    await page.accept(token)  # nothing was half done: the token is still good


async def test_23_mail_goes_to_the_stored_address_alone_whatever_is_in_the_names(management, page, mail):
    for bad in (
        "nina@clinic.example\r\nBcc: eve@evil.example",
        "nina@clinic.example,eve@evil.example",
        "<eve@evil.example> nina@clinic.example",
        '"a\nb"@clinic.example',
    ):
        with pytest.raises(Refused) as refused:
            await page.invite("nina", "data_entry", email=bad)
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    for title in ("Dr. A\r\nBcc: eve@evil.example", "Dr.\nA", "A <eve@evil.example>, Bcc: x"):
        with pytest.raises(Refused):
            await management(
                "RegisterPhysician",
                mu.RegisterPhysicianRequest(actor="a", physician="dr-x", owner="a", display_name=title),
            )
    await management(
        "RegisterPhysician",
        mu.RegisterPhysicianRequest(
            actor="xena", physician="dr-x", owner="xena", display_name="A <eve at evil.example>, Bcc: x"
        ),
    )
    await Page(management, "xena", "dr-x").invite("nina", "data_entry")
    (message,) = await mail.letters(1)
    assert message["X-To"] == "nina@clinic.example"
    assert message.get_all("To") == ["nina@clinic.example"]
    assert message["Bcc"] is message["Cc"] is None
    assert "evil" not in message["From"]


async def test_23_nobody_turns_the_mail_of_somebody_else_to_themselves(page, mail, management):
    """Dr. B invites Nina, whom Dr. A invited and who has not accepted yet, and resends to an address of their own."""
    await page.invite("nina", "administrator")
    other = Page(management, "oscar", "dr-b")
    theirs = (await other.invite("nina", "data_entry", reuse_existing=True)).invitation.id
    assert await refusal(other.resend(theirs, "eve@evil.example")) == "USER_MISMATCH"
    first, second = await mail.letters(2)
    tokens = [token_in(message) for message in (first, second) if "dr-a" in message["Subject"]]
    await page.accept(tokens[0])
    # Nor of somebody who has credentials.
    assert await refusal(other.resend(theirs, "eve@evil.example")) == "USER_MISMATCH"
    await other.resend(theirs)


async def test_an_expired_invitation_does_not_keep_its_role(page, database):
    await page.create_role("desk", "claim:view")
    await page.invite("nina", "desk")
    await shift(database, "UPDATE invitations SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
    await page.delete_role("desk")


async def test_a_key_is_used_up_by_a_write_that_changed_nothing(page, mail):
    await join(page, mail, "nina", "data_entry")
    same = await page.edit("nina", "data_entry", idempotency_key="k")
    assert await page.edit("nina", "data_entry", idempotency_key="k") == same
    await page.edit("nina", "financial_viewer")
    # The same call once more would now be another one; it is neither done nor said to stand.
    assert await refusal(page.edit("nina", "data_entry", idempotency_key="k")) == "SUPERSEDED"
    assert (await page.members())["nina"] == ["financial_viewer"]
    assert await refusal(page.edit("nina", "administrator", idempotency_key="k")) == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("token", ["OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "LTE=", "IDFfMCA=", "x", "ü"])
async def test_a_page_token_that_is_none_is_named(management, token):
    with pytest.raises(Refused) as refused:
        await management(
            "ListInvitations", mu.ListInvitationsRequest(actor="olive", physician="dr-a", page_token=token)
        )
    assert list(refused.value.fields) == ["page_token"]


@pytest.mark.parametrize(
    "address", ["nina@clin\u0456c.example", "n\u0456na@clinic.example", "nina@\u212alinic.example"]
)
async def test_23_look_alike_addresses_are_refused_or_shown_as_what_they_are(page, address):
    try:
        invited = await page.invite("nina", "data_entry", email=address)
    except Refused as refused:
        assert list(refused.fields) == ["email"]
    else:
        assert invited.invitation.email.isascii()
        assert "xn--" in invited.invitation.email or invited.invitation.email == "nina@klinic.example"


async def test_24_replies_tell_nothing_of_an_address_but_that_it_exists(page, mail, management):
    await join(page, mail, "nina", "data_entry")
    other = Page(management, "oscar", "dr-b")
    with pytest.raises(Refused) as known:
        await other.invite("nina", "data_entry")
    with pytest.raises(Refused) as addressed:
        await other.invite("nora", "data_entry", email="nina@clinic.example")
    # The page says so itself: whoever is known by name or address is named, so that they can be invited as who they are.
    assert addressed.value == known.value
    assert known.value.facts == {"user": "nina"}
    assert "dr-a" not in known.value.details
    assert "clinic.example" not in known.value.details
    # Whoever may not invite learns nothing at all: the same answer for known and unknown.
    replies = set()
    for user, email in (("nina", "nina@clinic.example"), ("nobody", "nobody@clinic.example")):
        with pytest.raises(Refused) as refused:
            await other.by("eve").invite(user, "data_entry", email=email)
        replies.add((refused.value.code, refused.value.reason, refused.value.details))
    assert len(replies) == 1
