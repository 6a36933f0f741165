"""The page's whole story through the real process and a real mail server, by the real client and command."""

import asyncio
import contextlib
import json
import os
import signal

import pytest
from policy_client import AsyncManageUsersClient, AsyncPolicyClient, PolicyError, ServiceUnavailable

from tests.acceptance.conftest import Service
from tests.support.oracle import TABLE
from tests.support.patience import PATIENCE, until
from tests.support.people import MailServer


@pytest.fixture
async def mail():
    with MailServer() as server:
        yield server


@pytest.fixture
def service(short_folder, mail):
    return Service(
        short_folder, settings={"POLICY_SMTP_URL": mail.url, "POLICY_LINK_BASE": "https://billing.example/accept"}
    )


class Desk:
    """The page's backend for one physician's owner, and the billing services' checks."""

    def __init__(self, service: Service, actor: str, physician: str) -> None:
        self.manage = AsyncManageUsersClient(f"127.0.0.1:{service.ports['MANAGEMENT']}", timeout=PATIENCE)
        self.policy = AsyncPolicyClient(f"127.0.0.1:{service.ports['DECISION']}", timeout=PATIENCE)
        self.who = (actor, physician)
        self.physician = physician

    async def pending(self) -> list[str]:
        return sorted(invitation.username for invitation in await self.manage.list_invitations(*self.who))

    async def shown(self, user: str, revision: int) -> set[str]:
        return set((await self.policy.what_can(user, self.physician, min_revision=revision)).shown)


async def reason(call) -> str:
    with pytest.raises(PolicyError) as refused:
        await call
    return refused.value.reason


async def test_the_pages_story(service, mail):
    with service.running():
        osei, tran = Desk(service, "ama", "dr-osei"), Desk(service, "ben", "dr-tran")
        # Invite with each role; e-mail arrives, its link is used, checks change at that moment.
        for user, role in (("una", "financial_viewer"), ("dex", "data_entry"), ("abe", "administrator")):
            invited = await osei.manage.invite_user(*osei.who, f"{user}@clinic.example", user, roles=[role])
            assert await osei.pending() == [user]
            assert await osei.shown(user, invited.revision) == set()
            accepted = await osei.manage.accept_invitation(await mail.token_for(f"{user}@clinic.example"))
            assert await osei.shown(user, accepted.revision) == TABLE[role]
            assert await osei.pending() == []
        # The same person for a second physician, with the question whether to reuse.
        again = (*tran.who, "dex@clinic.example", "dex")
        assert await reason(tran.manage.invite_user(*again, roles=["financial_viewer"])) == "USER_EXISTS"
        await tran.manage.invite_user(*again, roles=["financial_viewer"], reuse_existing=True)
        assert await tran.pending() == ["dex"]
        accepted = await tran.manage.accept_invitation(await mail.token_for("dex@clinic.example", 2))
        assert await tran.shown("dex", accepted.revision) == TABLE["financial_viewer"]
        assert await osei.shown("dex", accepted.revision) == TABLE["data_entry"]
        # Permissions edited.
        revision = await osei.manage.update_permissions(*osei.who, "dex", actions=["claim:view", "invoice:view"])
        assert await osei.shown("dex", revision) == {"claim:view", "invoice:view"}
        # Resend to another address: the old link is dead.
        first = await osei.manage.invite_user(*osei.who, "eli@gmial.com", "eli", roles=["data_entry"])
        old = await mail.token_for("eli@gmial.com")
        await osei.manage.resend_invitation(*osei.who, first.invitation.id, email="eli@gmail.com")
        new = await mail.token_for("eli@gmail.com")
        assert await reason(osei.manage.accept_invitation(old)) == "INVALID_TOKEN"
        assert await osei.pending() == ["eli"]
        # Cancel.
        await osei.manage.cancel_invitation(*osei.who, first.invitation.id)
        assert await osei.pending() == []
        assert await reason(osei.manage.accept_invitation(new)) == "INVALID_TOKEN"
        # Revoke: denied at once at the answered revision.
        revision = await osei.manage.revoke_access(*osei.who, "dex")
        assert await osei.shown("dex", revision) == set()
        assert await tran.shown("dex", revision) == TABLE["financial_viewer"]


async def test_an_invitation_survives_kill_minus_nine_and_is_sent_afterwards(service, mail):
    said = {"now": "451 later"}
    mail.answer = lambda _: said["now"]
    with service.running() as process:
        desk = Desk(service, "ama", "dr-osei")
        await desk.manage.invite_user(*desk.who, "una@clinic.example", "una", roles=["data_entry"])
        await until(lambda: is_delayed(desk))  # the first try is over, and failed
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.communicate)
    said["now"] = "250 taken"
    with service.running():
        desk = Desk(service, "ama", "dr-osei")
        (waiting,) = await once_reachable(desk)
        assert waiting.delivery.next_try is not None
        await desk.manage.resend_invitation(*desk.who, waiting.id)
        await desk.manage.accept_invitation(await mail.token_for("una@clinic.example"))


async def once_reachable(desk: Desk) -> list:
    """gRPC in this process may still be waiting to try the port again on which the killed service was."""

    async def look() -> list:
        with contextlib.suppress(ServiceUnavailable):
            return await desk.manage.list_invitations(*desk.who)
        return []

    return await until(look)


async def is_delayed(desk: Desk) -> bool:
    return (await desk.manage.list_invitations(*desk.who))[0].delivery.state.value == "delayed"


async def test_the_story_by_command(service, mail):
    def run(*words: str, status: int = 0) -> str:
        done = service.cli(*words)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        assert "\x1b" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    async def cli(*words: str, status: int = 0) -> str:
        return await asyncio.to_thread(run, *words, status=status)

    as_ama = ("--as", "ama")
    with service.running():
        await cli("users", "invite", "dr-osei", "una@clinic.example", "una", "--role", "data_entry", *as_ama)
        pending = json.loads(await cli("users", "pending", "dr-osei", "--json", *as_ama))
        assert "una" in json.dumps(pending)
        assert "una@clinic.example" in await cli("users", "pending", "dr-osei", *as_ama)
        await cli("users", "accept", await mail.token_for("una@clinic.example"))
        await cli("check", "una", "dr-osei", "claim:submit")
        exists = await cli(
            "users", "invite", "dr-tran", "una@clinic.example", "una", "--role", "data_entry", "--as", "ben", status=2
        )
        assert "--reuse-existing" in exists
        await cli(
            "users",
            "invite",
            "dr-tran",
            "una@clinic.example",
            "una",
            "--role",
            "data_entry",
            "--reuse-existing",
            "--as",
            "ben",
        )
        await cli("roles", "create", "dr-osei", "reception", "--allow", "claim:view", *as_ama)
        await cli("users", "edit", "dr-osei", "una", "--role", "reception", *as_ama)
        assert "reception" in await cli("users", "show", "dr-osei", "una", *as_ama)
        assert "una" in await cli("users", "list", "dr-osei", *as_ama)
        assert "reception" in await cli("roles", "list", "dr-osei", *as_ama)
        assert "--yes" in await cli("users", "revoke", "dr-osei", "una", *as_ama, status=2)
        await cli("users", "revoke", "dr-osei", "una", "--yes", *as_ama)
        await cli("check", "una", "dr-osei", "claim:view", status=1)
        await cli("users", "revoke", "dr-osei", "mia", "--yes", "--as", "mia", status=1)
        await cli("roles", "delete", "dr-osei", "reception", *as_ama)
