"""What may not stand in a letter is refused at every door with its field; too many letters, with the time to come back."""

import grpc
import pytest
from policy_client import AsyncManageUsersClient, ResourceExhausted

from tests.support import over_tls
from tests.support.people import Page
from tests.support.rpc import Refused

pytestmark = pytest.mark.over_tls

ENCODED = "=?utf-8?q?a?=@example.org"


async def test_every_door_refuses_what_mail_programs_read_otherwise_and_names_the_field(management):
    page = Page(management, "olive", "dr-a")
    await page.register()
    invited = await page.invite("nina", "data_entry")
    zoe = {"owner": "zoe"}
    for field, call in (
        ("display_name", lambda: Page(management, "zoe", "dr-z")._call("RegisterPhysician", **zoe, display_name="=?x")),
        (
            "display_name",
            lambda: Page(management, "zoe", "dr-z")._call("RegisterPhysician", **zoe, display_name="x.com"),
        ),
        ("owner", lambda: Page(management, "zoe", "dr-z")._call("RegisterPhysician", owner="www.evil.example")),
        ("physician", lambda: Page(management, "zoe", "evil.com")._call("RegisterPhysician", **zoe)),
        ("email", lambda: page.invite("una", "data_entry", email=ENCODED)),
        ("username", lambda: page.invite("evil.com", "data_entry", email="una@clinic.example")),
        ("username", lambda: page.invite("evil.com", "data_entry", email="una@clinic.example", reuse_existing=True)),
        ("email", lambda: page.resend(invited.invitation.id, email=ENCODED)),
    ):
        with pytest.raises(Refused) as refused:
            await call()
        assert (refused.value.code, list(refused.value.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert [invitation.email for invitation in await page.pending()] == ["nina@clinic.example"]


async def test_too_many_letters_are_refused_with_the_time_when_one_more_may_go(app, management):
    page = Page(management, "olive", "dr-a")
    await page.register()
    invited = await page.invite("nina", "data_entry")
    for _ in range(4):
        await page.resend(invited.invitation.id)
    assert over_tls.authority is not None
    credentials = over_tls.authority.credentials("manage-users-page")
    address = f"localhost:{app.planes.management_port}"
    async with AsyncManageUsersClient(address, credentials=credentials) as client:
        with pytest.raises(ResourceExhausted) as refused:
            await client.resend_invitation("olive", "dr-a", invited.invitation.id)
    assert refused.value.reason == "TOO_MANY_LETTERS"
    assert 23 * 3600 < refused.value.retry_after.total_seconds() <= 24 * 3600
    assert "most: 5; of: invitation; again_at: 20" in str(refused.value)
