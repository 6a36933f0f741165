"""The page's story, by gRPC and a real mail server: invite, accept, edit, resend, cancel, revoke."""

import grpc
import pytest

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import register
from tests.support.oracle import TABLE
from tests.support.people import MailServer, Page
from tests.support.rpc import Refused, Wire


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
    """The page of Dr. A, used by its owner."""
    return Page(management, "olive", "dr-a")


async def allowed(wire: Wire, user: str, revision: int, physician: str = "dr-a") -> set[str]:
    request = pb.ListActionsRequest(user=user, physician=physician, min_revision=revision)
    return {access.action for access in (await wire("ListActions", request)).actions if access.shown}


async def refusal(call) -> str:
    with pytest.raises(Refused) as refused:
        await call
    assert refused.value.code is not grpc.StatusCode.INTERNAL
    return refused.value.reason


async def join(page: Page, mail: MailServer, user: str, *roles: str, **more) -> int:
    """Invite and accept; the revision."""
    before = len([m for m in mail.received if m["X-To"] == f"{user}@clinic.example"])
    await page.invite(user, *roles, **more)
    return (await page.accept(await mail.token_for(f"{user}@clinic.example", before + 1))).revision


@pytest.mark.parametrize("role", ["financial_viewer", "data_entry", "administrator"])
async def test_an_invited_user_gets_their_role_on_accepting_and_nothing_before(wire, page, mail, role):
    invited = await page.invite("nina", role)
    assert await allowed(wire, "nina", invited.revision) == set()
    assert [i.username for i in await page.pending()] == ["nina"]
    token = await mail.token_for("nina@clinic.example")
    accepted = await page.accept(token)
    assert (accepted.username, accepted.physician, accepted.must_set_up_credentials) == ("nina", "dr-a", True)
    assert await allowed(wire, "nina", accepted.revision) == TABLE[role]
    assert await page.pending() == []
    assert (await page.members())["nina"] == [role]


async def test_a_free_choice_of_actions_is_a_role_of_that_user_alone(wire, page, mail):
    revision = await join(page, mail, "nina", actions=("claim:view", "report:generate"))
    assert await allowed(wire, "nina", revision) == {"claim:view", "report:generate"}
    shown = await page.permissions("nina")
    assert [(p.action, p.role) for p in shown.permissions if p.shown] == [
        ("claim:view", "custom.nina"), ("report:generate", "custom.nina"),
    ]  # fmt: skip
    assert len(shown.permissions) == 13
    edited = await page.edit("nina", actions=("invoice:view",))
    assert await allowed(wire, "nina", edited.revision) == {"invoice:view"}


async def test_the_e_mail_says_who_what_until_when_and_what_if_not_expected(page, mail, management):
    await management(
        "RegisterPhysician",
        mu.RegisterPhysicianRequest(
            actor="ama", physician="dr-osei", owner="ama", display_name="Dr. Ama Oséi <script>"
        ),
    )
    await Page(management, "ama", "dr-osei").invite("nina", "financial_viewer", email="Nina@Clinic.Example")
    (message,) = await mail.letters(1)
    assert message["X-To"] == "Nina@clinic.example"
    assert "Dr. Ama Oséi <script>" in message["Subject"]
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for word in ("Dr. Ama Oséi", "view claims, generate reports with patients", "UTC", "Did you not expect this?"):
        assert word in text
    assert "<script>" not in html
    assert message["Message-ID"].startswith("<inv-")


async def test_a_second_physician_is_asked_whether_to_reuse_the_user(wire, page, mail, management):
    await join(page, mail, "nina", "data_entry")
    await page.complete(await mail.token_for("nina@clinic.example"))
    other = Page(management, "oscar", "dr-b")
    assert await refusal(other.invite("nina", "financial_viewer")) == "USER_EXISTS"
    assert await refusal(other.invite("nina", "financial_viewer", email="someone@else.example")) == "USER_MISMATCH"
    assert await refusal(other.invite("nora", "financial_viewer", email="NINA@clinic.example")) == "USER_EXISTS"
    await other.invite("nina", "financial_viewer", reuse_existing=True)
    accepted = await other.accept(await mail.token_for("nina@clinic.example", 2))
    assert not accepted.must_set_up_credentials
    assert await allowed(wire, "nina", accepted.revision, "dr-a") == TABLE["data_entry"]
    assert await allowed(wire, "nina", accepted.revision, "dr-b") == TABLE["financial_viewer"]


async def test_resending_to_another_address_kills_the_first_link(page, mail):
    invitation = (await page.invite("nina", "data_entry", email="nian@gmial.com")).invitation
    first = await mail.token_for("nian@gmial.com")
    again = await page.resend(invitation.id, "nina@gmail.com")
    assert again.invitation.email == "nina@gmail.com"
    second = await mail.token_for("nina@gmail.com")
    assert first != second
    assert await refusal(page.accept(first)) == "INVALID_TOKEN"
    assert (await page.accept(second)).must_set_up_credentials


async def test_a_near_miss_of_a_known_provider_is_told_and_still_sent(page, mail):
    invited = await page.invite("nina", "data_entry", email="nina@gmial.com")
    assert invited.suggested_email == "nina@gmail.com"
    await mail.token_for("nina@gmial.com")
    assert (await page.invite("nora", "data_entry", email="nora@gmail.com")).suggested_email == ""


async def test_cancelling_ends_it_and_frees_the_name(page, mail, wire):
    invitation = (await page.invite("nina", "data_entry")).invitation
    token = await mail.token_for("nina@clinic.example")
    cancelled = await page.cancel(invitation.id)
    assert await refusal(page.accept(token)) == "INVALID_TOKEN"
    assert await allowed(wire, "nina", cancelled.revision) == set()
    assert [i.state for i in await page.pending("CANCELLED")] == [mu.INVITATION_STATE_CANCELLED]
    assert await refusal(page.cancel(invitation.id)) == "INVITATION_CLOSED"
    await page.invite("nina", "data_entry", email="other@clinic.example")  # the name was never used


async def test_revoking_denies_at_the_answered_revision_and_withdraws_what_is_open(page, mail, wire):
    revision = await join(page, mail, "nina", "data_entry")
    assert await allowed(wire, "nina", revision)
    revoked = await page.revoke("nina")
    assert await allowed(wire, "nina", revoked.revision) == set()
    assert await page.members() == {"olive": ["owner"]}
    assert await refusal(page.revoke("nina")) == "NOT_A_MEMBER"
    await page.invite("nina", "administrator", reuse_existing=True)
    token = await mail.token_for("nina@clinic.example", 2)
    await page.revoke("nina")  # invited only: the invitation is withdrawn
    assert await refusal(page.accept(token)) == "INVALID_TOKEN"
    assert [i.state for i in await page.pending("WITHDRAWN")] == [mu.INVITATION_STATE_WITHDRAWN]


async def test_whoever_is_a_member_or_invited_is_not_invited_again(page, mail):
    await page.invite("nina", "data_entry")
    assert await refusal(page.invite("nina", "data_entry", reuse_existing=True)) == "ALREADY_INVITED"
    await page.accept(await mail.token_for("nina@clinic.example"))
    assert await refusal(page.invite("nina", "data_entry", reuse_existing=True)) == "ALREADY_A_MEMBER"


async def test_named_custom_roles_are_made_edited_held_and_removed(page, mail, wire):
    await page.create_role("desk", "claim:view", "claim:save", includes=())
    assert await refusal(page.create_role("desk", "claim:view")) == "ROLE_EXISTS"
    revision = await join(page, mail, "nina", "desk")
    assert await allowed(wire, "nina", revision) == {"claim:view", "claim:save"}
    edited = await page.update_role("desk", "claim:view", includes=("financial_viewer",), deny=("invoice:pay",))
    assert await allowed(wire, "nina", edited.revision) == TABLE["financial_viewer"] - {"invoice:pay"}
    listed = await page.roles()
    assert (listed["desk"].holders, listed["desk"].built_in, listed["owner"].built_in) == (1, False, True)
    assert set(listed["desk"].allowed) == TABLE["financial_viewer"] - {"invoice:pay"}
    assert list(listed["desk"].definition.includes) == ["financial_viewer"]
    assert await refusal(page.delete_role("desk")) == "ROLE_IN_USE"
    deleted = await page.delete_role("desk", "data_entry")
    assert await allowed(wire, "nina", deleted.revision) == TABLE["data_entry"]
    assert "desk" not in await page.roles()
    assert await refusal(page.delete_role("desk")) == "UNKNOWN_ROLE"
    assert await refusal(page.update_role("administrator", "claim:view")) == "BUILT_IN_ROLE"


async def test_a_role_that_an_invitation_names_stays(page):
    await page.create_role("desk", "claim:view")
    invitation = (await page.invite("nina", "desk")).invitation
    assert await refusal(page.delete_role("desk")) == "ROLE_IN_USE"
    await page.cancel(invitation.id)
    await page.delete_role("desk")


async def test_the_same_key_gives_the_same_answer_once_more_and_writes_nothing(app, page):
    first = await page.invite("nina", "data_entry", idempotency_key="k1")
    again = await page.invite("nina", "data_entry", idempotency_key="k1")
    assert again == first
    assert await app.store.revision() == first.revision
    assert await refusal(page.invite("nora", "data_entry", idempotency_key="k1")) == "IDEMPOTENCY_KEY_REUSED"
    assert await refusal(page.cancel(first.invitation.id, idempotency_key="k1")) == "IDEMPOTENCY_KEY_REUSED"
    assert await app.store.revision() == first.revision


async def test_pending_invitations_come_in_pages_newest_first(page):
    for number in range(7):
        await page.invite(f"n{number}", "data_entry")
    found, token = [], ""
    while True:
        request = mu.ListInvitationsRequest(actor="olive", physician="dr-a", page_size=3, page_token=token)
        response = await page.wire("ListInvitations", request)
        found += [i.username for i in response.invitations]
        if not (token := response.next_page_token):
            break
    assert found == [f"n{number}" for number in range(6, -1, -1)]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b@c.example"}, "email"),
        ({"email": "nina@clinic.example\nBcc: eve@evil.example"}, "email"),
        ({"email": "nına@clinic.example"}, "email"),
        ({"username": "n*"}, "username"),
        ({"permissions": mu.Permissions()}, "permissions"),
        ({"permissions": mu.Permissions(roles=["data_entry"], actions=["claim:view"])}, "permissions"),
        ({"permissions": mu.Permissions(roles=["no such"])}, "permissions.roles"),
        ({"permissions": mu.Permissions(actions=["claim:frame"])}, "permissions.actions"),
        ({"idempotency_key": "a b"}, "idempotency_key"),
    ],
)
async def test_bad_input_is_named_by_field_and_changes_nothing(app, management, fields, named):
    before = await app.store.revision()
    sound = {
        "actor": "olive",
        "physician": "dr-a",
        "email": "nina@clinic.example",
        "username": "nina",
        "permissions": mu.Permissions(roles=["data_entry"]),
    }
    with pytest.raises(Refused) as refused:
        await management("InviteUser", mu.InviteUserRequest(**{**sound, **fields}))
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.value.fields) == [named]
    assert await app.store.revision() == before
