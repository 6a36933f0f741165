"""A call repeated under its key after the world has changed does not say that it stands (ATTACKS 36)."""

from datetime import timedelta

import pytest

from policy_service.pb import manage_users_pb2 as mu
from tests.members.test_manage_users import join, refusal
from tests.members.test_names_and_addresses import (  # noqa: F401 - fixtures.
    app,
    expire_all,
    mail,
    other,
    page,
)
from tests.support.people import MailServer, Page
from tests.support.rpc import Refused

pytestmark = pytest.mark.over_tls

NINA = "nina@clinic.example"
KEYED = {
    name for name, message in mu.DESCRIPTOR.message_types_by_name.items() if "idempotency_key" in message.fields_by_name
}


async def invited(page: Page, mail: MailServer) -> tuple[str, str]:  # noqa: F811
    """Nina's invitation and its token."""
    made = (await page.invite("nina", "data_entry")).invitation.id
    return made, await mail.token_for(NINA)


async def invite(page, mail, key):  # noqa: F811
    """Answered again until the invitation is used."""

    async def again():
        return await page.invite("nina", "data_entry", **key)

    yield again
    yield page.accept(await mail.token_for(NINA))


async def resend(page, mail, key):  # noqa: F811
    invitation, _ = await invited(page, mail)

    async def again():
        return await page.resend(invitation, **key)

    yield again
    yield page.cancel(invitation)


async def cancel(page, mail, key):  # noqa: F811
    invitation, _ = await invited(page, mail)

    async def again():
        return await page.cancel(invitation, **key)

    yield again
    yield page.invite("nina", "data_entry")


async def accept(page, mail, key):  # noqa: F811
    _, token = await invited(page, mail)

    async def again():
        return await page.accept(token, **key)

    yield again
    yield page.revoke("nina")


async def decline(page, mail, key):  # noqa: F811
    _, token = await invited(page, mail)

    async def again():
        return await page.decline(token, **key)

    yield again
    yield page.invite("nina", "data_entry")


async def complete(page, mail, key):  # noqa: F811
    _, token = await invited(page, mail)
    await page.accept(token)

    async def again():
        return await page.complete(token, **key)

    yield again
    yield page.revoke("nina")


async def edit(page, mail, key):  # noqa: F811
    await join(page, mail, "nina", "data_entry")

    async def again():
        return await page.edit("nina", "administrator", **key)

    yield again
    yield page.edit("nina", "data_entry")


async def revoke(page, mail, key):  # noqa: F811
    await join(page, mail, "nina", "data_entry")

    async def again():
        return await page.revoke("nina", **key)

    yield again
    yield page.invite("nina", "data_entry", reuse_existing=True)


async def leave(page, mail, key):  # noqa: F811
    await join(page, mail, "nina", "data_entry")

    async def again():
        return await page.by("nina").leave(**key)

    yield again
    yield page.invite("nina", "data_entry", reuse_existing=True)


async def create_role(page, mail, key):  # noqa: F811
    async def again():
        return await page.create_role("desk", "claim:view", **key)

    yield again
    yield page.delete_role("desk")


async def update_role(page, mail, key):  # noqa: F811
    await page.create_role("desk", "claim:view")

    async def again():
        return await page.update_role("desk", "claim:save", **key)

    yield again
    yield page.update_role("desk", "claim:view")


async def delete_role(page, mail, key):  # noqa: F811
    await page.create_role("desk", "claim:view")

    async def again():
        return await page.delete_role("desk", **key)

    yield again
    yield page.create_role("desk", "claim:save")


async def change_address(page, mail, key):  # noqa: F811
    async def again():
        return await page.change_address("olive@clinic.example", **key)

    yield again
    yield page.change_address("olive@other.example")


async def confirm_address(page, mail, key):  # noqa: F811
    await page.change_address("olive@clinic.example")
    token = await mail.token_for("olive@clinic.example")

    async def again():
        return await page.confirm_address(token, **key)

    yield again
    await page.change_address("olive@other.example")
    yield page.confirm_address(await mail.token_for("olive@other.example"))


STORIES = {
    "InviteUserRequest": invite,
    "ResendInvitationRequest": resend,
    "CancelInvitationRequest": cancel,
    "AcceptInvitationRequest": accept,
    "DeclineInvitationRequest": decline,
    "CompleteSetupRequest": complete,
    "UpdatePermissionsRequest": edit,
    "RevokeAccessRequest": revoke,
    "LeaveAccountRequest": leave,
    "CreateRoleRequest": create_role,
    "UpdateRoleRequest": update_role,
    "DeleteRoleRequest": delete_role,
    "ChangeAddressRequest": change_address,
    "ConfirmAddressRequest": confirm_address,
}


def test_36_every_keyed_call_has_a_story():
    assert KEYED - {"RegisterPhysicianRequest"} == STORIES.keys()


@pytest.mark.parametrize("request_name", sorted(STORIES))
async def test_36_a_repeated_call_is_answered_while_it_stands_and_not_after(page, mail, request_name):  # noqa: F811
    story = STORIES[request_name](page, mail, {"idempotency_key": "k"})
    again = await anext(story)
    first = await again()
    await page.invite("passer.by", "data_entry")  # what others do changes nothing of it
    assert await again() == first
    undone = await (await anext(story))
    with pytest.raises(Refused) as refused:
        await again()
    assert refused.value.reason == "SUPERSEDED"
    facts = refused.value.facts
    assert facts["revision"] == str(first.revision)
    # The change that overtook it, or one on the way there.
    assert first.revision < int(facts["by_revision"]) <= undone.revision
    assert refused.value.code.name == "ABORTED"
    await story.aclose()


async def test_36_that_an_account_was_opened_stays_true(page, management, mail):  # noqa: F811
    key = {"idempotency_key": "k"}
    request = mu.RegisterPhysicianRequest(actor="zoe", physician="dr-z", owner="zoe", **key)
    first = await management("RegisterPhysician", request)
    await Page(management, "zoe", "dr-z").invite("nina", "data_entry")
    assert await management("RegisterPhysician", request) == first


async def test_36_an_invitation_is_not_said_to_be_open_after_its_time(page, database):  # noqa: F811
    """The answer says until when; the service's clock says when that is."""
    import asyncpg

    await page.invite("nina", "data_entry", idempotency_key="k")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE idempotency SET stands_until = stands_until - $1::interval", timedelta(days=8))
    await connection.close()
    assert await refusal(page.invite("nina", "data_entry", idempotency_key="k")) == "SUPERSEDED"


async def test_36_the_set_up_finished_through_another_account_is_not_asked_for_again(page, other, mail):  # noqa: F811
    _, first = await invited(page, mail)
    key = {"idempotency_key": "k"}
    assert (await page.accept(first, **key)).must_set_up_credentials
    await other.invite("nina", "data_entry", reuse_existing=True)
    second = await mail.token_for(NINA, 2)
    await other.accept(second)
    assert (await page.accept(first, **key)).must_set_up_credentials
    await other.complete(second)
    assert await refusal(page.accept(first, **key)) == "SUPERSEDED"


async def test_36_an_invitation_that_followed_its_user_is_not_said_to_be_where_it_was(page, other, mail):  # noqa: F811
    """Oscar's open invitation goes to the address that he confirmed meanwhile."""
    first = await page.invite("oscar", "data_entry", reuse_existing=True, idempotency_key="k")
    assert first.invitation.email == "oscar@clinic.example"
    await other.change_address("oscar@new.example")
    await other.confirm_address(await mail.token_for("oscar@new.example"))
    assert await refusal(page.invite("oscar", "data_entry", reuse_existing=True, idempotency_key="k")) == "SUPERSEDED"
