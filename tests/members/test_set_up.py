"""Every state a person can be in has a way on and a way out: set up, decline, leave, another address (ATTACKS 20, 35)."""

import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from policy_service.pb import manage_users_pb2 as mu
from tests.members.test_manage_users import allowed, join, refusal
from tests.members.test_names_and_addresses import (  # noqa: F401 - fixtures.
    addresses,
    app,
    expire_all,
    mail,
    other,
    page,
)
from tests.support.people import Page

pytestmark = pytest.mark.over_tls


async def log_of(database: str) -> list[tuple[str, str, dict]]:
    connection = await asyncpg.connect(database)
    found = await connection.fetch("SELECT kind, actor, detail FROM changes ORDER BY revision")
    await connection.close()
    entries = [(record["kind"], record["actor"], json.loads(record["detail"])) for record in found]
    for _, _, detail in entries:
        # Digests of the rows that were touched: other tests'.
        del detail["records"]
    return entries


async def test_35_who_followed_the_link_and_did_not_finish_comes_back_by_it(page, mail, wire):  # noqa: F811
    await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    looked = await page.look_up(token)
    assert (looked.username, looked.physician, looked.display_name) == ("nina", "dr-a", "dr-a")
    assert (looked.email, looked.invited_by) == ("nina@clinic.example", "olive")
    assert looked.state == mu.INVITATION_STATE_PENDING
    assert looked.must_set_up_credentials
    assert await page.look_up(token) == looked  # looking uses nothing up
    assert await refusal(page.complete(token)) == "NOT_ACCEPTED_YET"
    accepted = await page.accept(token)
    assert set(looked.allowed) == await allowed(wire, "nina", accepted.revision)
    for _ in range(2):
        back = await page.look_up(token)
        assert (back.state, back.must_set_up_credentials) == (mu.INVITATION_STATE_ACCEPTED, True)
    assert await refusal(page.accept(token)) == "INVALID_TOKEN"
    done = await page.complete(token)
    assert (done.username, done.physician) == ("nina", "dr-a")
    for call in (page.look_up(token), page.complete(token), page.accept(token), page.decline(token)):
        assert await refusal(call) == "INVALID_TOKEN"


async def test_35_an_unfinished_set_up_is_seen_and_sent_again(page, mail, database):  # noqa: F811
    await join(page, mail, "nina", "data_entry")
    first = await mail.token_for("nina@clinic.example")
    (invitation,) = await page.pending("ACCEPTED")
    assert invitation.awaits_setup
    members = {m.username: m.is_set_up for m in (await page._call("ListMembers")).members}
    assert members == {"olive": True, "nina": False}
    again = await page.resend(invitation.id)
    assert again.invitation.state == mu.INVITATION_STATE_ACCEPTED
    second = await mail.token_for("nina@clinic.example", 2)
    letter = mail.received[-1]
    assert letter["Subject"] == "Finish setting up your account"
    assert "for=setup" in letter.get_body(("plain",)).get_content()
    assert await refusal(page.look_up(first)) == "INVALID_TOKEN"
    assert (await page.look_up(second)).must_set_up_credentials
    # Only to the address that was confirmed, and only while there is something to finish.
    assert await refusal(page.resend(invitation.id, "eve@evil.example")) == "USER_MISMATCH"
    await page.complete(second)
    assert await refusal(page.resend(invitation.id)) == "INVITATION_CLOSED"
    assert [kind for kind, *_ in await log_of(database)][-2:] == ["setup.resend", "setup.complete"]


async def test_35_what_was_taken_meanwhile_is_not_set_up(page, other, mail):  # noqa: F811
    await join(page, mail, "nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    (invitation,) = await page.pending("ACCEPTED")
    await page.revoke("nina")
    for call in (page.look_up(token), page.complete(token)):
        assert await refusal(call) == "INVALID_TOKEN"
    assert await refusal(page.resend(invitation.id)) == "INVITATION_CLOSED"
    # The way on: another invitation, by whomever. It leads to the set-up, and the old link stays dead.
    await other.invite("nina", "data_entry", reuse_existing=True)
    newer = await mail.token_for("nina@clinic.example", 2)
    assert (await other.accept(newer)).must_set_up_credentials
    assert await refusal(page.look_up(token)) == "INVALID_TOKEN"
    await other.complete(newer)


async def test_35_a_link_to_the_set_up_ends_with_its_time_and_can_be_sent_again(page, mail, database):  # noqa: F811
    await join(page, mail, "nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE invitations SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
    await connection.close()
    assert await refusal(page.look_up(token)) == "INVALID_TOKEN"
    (invitation,) = await page.pending("ACCEPTED")
    await page.resend(invitation.id)
    await page.complete(await mail.token_for("nina@clinic.example", 2))


async def test_whoever_has_credentials_from_one_account_sets_up_nothing_in_the_next(page, other, mail):  # noqa: F811
    await join(page, mail, "nina", "data_entry")
    await page.complete(await mail.token_for("nina@clinic.example"))
    await other.invite("nina", "data_entry", reuse_existing=True)
    token = await mail.token_for("nina@clinic.example", 2)
    assert not (await page.look_up(token)).must_set_up_credentials
    assert not (await page.accept(token)).must_set_up_credentials


async def test_declining_ends_it_and_frees_what_it_reserved(page, other, mail, database):  # noqa: F811
    await page.invite("nina", "data_entry")
    token = await mail.token_for("nina@clinic.example")
    declined = await page.decline(token)
    assert (declined.username, declined.physician) == ("nina", "dr-a")
    for call in (page.accept(token), page.decline(token), page.look_up(token)):
        assert await refusal(call) == "INVALID_TOKEN"
    assert [one.username for one in await page.pending("DECLINED")] == ["nina"]
    assert await page.pending() == []
    await other.invite("nina", "data_entry", email="other@clinic.example")
    kind, actor, detail = (await log_of(database))[-2]
    assert (kind, actor, detail["user"]) == ("invitation.decline", "nina", "nina")


async def test_a_member_leaves_and_the_owner_stays(page, mail, wire, management):  # noqa: F811
    await join(page, mail, "nina", actions=("claim:view",))
    left = await page.by("nina").leave()
    assert await allowed(wire, "nina", left.revision) == set()
    assert await page.members() == {"olive": ["owner"]}
    assert "custom.nina" not in await page.roles()
    assert await refusal(page.by("nina").leave()) == "NOT_A_MEMBER"
    assert await refusal(page.by("oscar").leave()) == "NOT_A_MEMBER"
    assert await refusal(page.leave()) == "LAST_OWNER"
    assert await refusal(Page(management, "olive", "dr-none").leave()) == "UNKNOWN_PHYSICIAN"


async def test_an_address_changes_when_it_was_confirmed_and_the_old_one_is_told(page, other, mail, database):  # noqa: F811
    await join(page, mail, "nina", "data_entry")
    await page.complete(await mail.token_for("nina@clinic.example"))
    await other.invite("nina", "data_entry", reuse_existing=True)
    waiting = await mail.token_for("nina@clinic.example", 2)
    nina = page.by("nina")
    await nina.change_address("Nina@New.example")
    token = await mail.token_for("Nina@new.example")
    assert mail.received[-1]["Subject"] == "Confirm your e-mail address"
    assert (await addresses(page))["nina"] == "nina@clinic.example"  # nothing changes before
    done = await nina.confirm_address(token)
    assert (done.username, done.email) == ("nina", "Nina@new.example")
    assert (await addresses(page))["nina"] == "Nina@new.example"
    assert await refusal(nina.confirm_address(token)) == "INVALID_TOKEN"
    # The old address is told, without a link; the open invitation of the other account follows.
    newer = await mail.token_for("Nina@new.example", 2)
    await mail.letters(5)
    notice = next(m for m in mail.received if m["Subject"] == "Your e-mail address was changed")
    assert notice["X-To"] == "nina@clinic.example"
    text = notice.get_body(("plain",)).get_content()
    assert "Nina@new.example" in text
    assert "token=" not in text
    assert await refusal(other.accept(waiting)) == "INVALID_TOKEN"
    await other.accept(newer)
    kinds = {kind: detail for kind, _, detail in await log_of(database)}
    assert kinds["address.request"] == {"user": "nina", "email": "Nina@new.example"}
    assert kinds["address.change"] == {
        "user": "nina", "email": "Nina@new.example", "before": "nina@clinic.example", "followed": ["dr-b"],
    }  # fmt: skip


async def test_who_asks_for_another_address_learns_nothing_of_whose_it_is(page, mail):  # noqa: F811
    for user in ("nina", "nora"):
        await join(page, mail, user, "data_entry")
        await page.complete(await mail.token_for(f"{user}@clinic.example"))
    nina = page.by("nina")
    asked = [await nina.change_address("nora@clinic.example")]
    replaced = await mail.token_for("nora@clinic.example", 2)
    asked.append(await nina.change_address("nobody@clinic.example"))
    for one in asked:
        for name in ("revision", "history", "expires_at"):
            one.ClearField(name)
    assert asked[0] == asked[1]
    # Whoever reads Nora's mail is told; and a wish takes the place of the one before.
    assert await refusal(nina.confirm_address(replaced)) == "INVALID_TOKEN"
    await nina.change_address("NORA@clinic.example")
    token = await mail.token_for("NORA@clinic.example")
    assert await refusal(nina.confirm_address(token)) == "ADDRESS_TAKEN"
    assert (await addresses(page))["nina"] == "nina@clinic.example"


async def test_who_may_ask_for_another_address_and_how_often(page, mail):  # noqa: F811
    assert await refusal(page.by("nobody").change_address("n@clinic.example")) == "UNKNOWN_USER"
    await join(page, mail, "nina", "data_entry")
    assert await refusal(page.by("nina").change_address("n@clinic.example")) == "SETUP_UNFINISHED"
    await page.complete(await mail.token_for("nina@clinic.example"))
    assert await refusal(page.by("nina").change_address("nina@clinic.example")) == "ADDRESS_UNCHANGED"
    for number in range(5):
        await page.by("nina").change_address(f"n{number}@clinic.example")
    assert await refusal(page.by("nina").change_address("n6@clinic.example")) == "TOO_MANY_ADDRESS_CHANGES"
    await page.change_address("olive@clinic.example")  # an owner has none yet; nobody to tell
    await page.confirm_address(await mail.token_for("olive@clinic.example"))
    assert (await addresses(page))["olive"] == "olive@clinic.example"


async def test_a_resent_invitation_says_in_the_log_where_it_went(page, mail, database):  # noqa: F811
    invitation = (await page.invite("nina", "data_entry", email="nian@clinic.example")).invitation.id
    await page.resend(invitation)
    await page.resend(invitation, "nina@clinic.example")
    same, new = [detail for kind, _, detail in await log_of(database) if kind == "invitation.resend"]
    assert same == {"invitation": invitation, "user": "nina"}
    assert new == {**same, "email": "nina@clinic.example", "before": "nian@clinic.example"}
