"""The real process with poisoned letters in its database: it stays up, also after a restart, and people see why."""

import asyncio
import urllib.request

import asyncpg
import pytest
from policy_client import AsyncManageUsersClient, DeliveryState

from tests.acceptance.conftest import BIN, Service
from tests.members.test_delivery import office  # noqa: F401 - the fixture.
from tests.support.people import MailServer


@pytest.fixture
async def mail():
    with MailServer() as server:
        yield server


async def test_one_poisoned_letter_holds_up_nobody_before_and_after_a_restart(office, database, mail, short_folder):  # noqa: F811
    # As an earlier release took them: by the address, and by the name of the account.
    poisoned, _ = await office.invite("bad"), await office.invite("good")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE invitations SET email = '=?utf-8?q?a?=@example.org' WHERE id = $1", poisoned)
    await connection.execute("UPDATE invitations SET expires_at = now() + interval '7 days'")
    await connection.execute("UPDATE physicians SET display_name = '=?utf-7?q?+2AA-?='")
    await connection.close()
    (short_folder / "token.key").write_bytes(b"k" * 32)
    (short_folder / "token.key").chmod(0o600)
    service = Service(
        short_folder,
        command=(str(BIN / "policy-service"), "serve"),
        settings={"POLICY_SMTP_URL": mail.url, "POLICY_DATABASE_URL": database},
    )

    async def delivery(client: AsyncManageUsersClient) -> DeliveryState:
        found = await client.list_invitations("olive", "dr-a")
        return next(invitation.delivery.state for invitation in found if invitation.id == poisoned)

    manager = f"127.0.0.1:{service.ports['MANAGEMENT']}"
    with service.running() as process:
        assert await mail.token_for("good@clinic.example")
        # Both were taken in one round; it is asked until the other's outcome is there too.
        async with AsyncManageUsersClient(manager, timeout=20) as client, asyncio.timeout(60):
            while await delivery(client) is not DeliveryState.FAILED:
                pass
        seen = await asyncio.to_thread(service.cli, "users", "pending", "dr-a", "--as", "olive")
        assert "bad's e-mail is not sent: the address cannot be written in an e-mail" in seen.stdout, seen.stderr
        metrics = f"http://127.0.0.1:{service.ports['METRICS']}/metrics"
        told = (await asyncio.to_thread(urllib.request.urlopen, metrics)).read().decode()
        assert 'policy_letters_total{state="failed"} 1.0' in told
        assert process.poll() is None
        await asyncio.to_thread(service.stop, process)
    assert "an e-mail is set aside" in service.output
    with service.running() as process:
        async with AsyncManageUsersClient(manager, timeout=20) as client:
            assert await delivery(client) is DeliveryState.FAILED
            await client.resend_invitation("olive", "dr-a", poisoned, email="mended@clinic.example")
        assert await mail.token_for("mended@clinic.example")
        assert process.poll() is None
    assert len(mail.received) == 2
