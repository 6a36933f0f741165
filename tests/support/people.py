"""Manage Users for tests: calls by plain names, and a mail server that keeps what it gets."""

import asyncio
import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from policy_service.pb import manage_users_pb2 as mu
from tests.support.patience import patiently
from tests.support.ports import free_port
from tests.support.rpc import Wire


class Page:
    """What the "Manage Users" page's backend does, as one acting person."""

    def __init__(self, wire: Wire, actor: str, physician: str) -> None:
        self.wire, self.actor, self.physician = wire, actor, physician

    def by(self, actor: str) -> "Page":
        return Page(self.wire, actor, self.physician)

    async def _call(self, method: str, **fields: Any) -> Any:
        request = getattr(mu, f"{method}Request")
        return await self.wire(method, request(actor=self.actor, physician=self.physician, **fields))

    async def register(self) -> Any:
        return await self._call("RegisterPhysician", owner=self.actor)

    async def invite(self, user: str, *roles: str, email: str = "", actions: tuple[str, ...] = (), **more: Any) -> Any:
        permissions = mu.Permissions(roles=roles, actions=actions)
        address = email or f"{user}@clinic.example"
        return await self._call("InviteUser", username=user, email=address, permissions=permissions, **more)

    async def pending(self, *states: str) -> list[mu.Invitation]:
        wanted = [mu.InvitationState.Value(f"INVITATION_STATE_{state}") for state in states]
        return list((await self._call("ListInvitations", states=wanted)).invitations)

    async def resend(self, invitation: str, email: str = "", **more: Any) -> Any:
        return await self._call("ResendInvitation", invitation_id=invitation, email=email, **more)

    async def cancel(self, invitation: str, **more: Any) -> Any:
        return await self._call("CancelInvitation", invitation_id=invitation, **more)

    async def accept(self, token: str, **more: Any) -> Any:
        return await self.wire("AcceptInvitation", mu.AcceptInvitationRequest(token=token, **more))

    async def look_up(self, token: str) -> Any:
        return await self.wire("LookUpInvitation", mu.LookUpInvitationRequest(token=token))

    async def decline(self, token: str, **more: Any) -> Any:
        return await self.wire("DeclineInvitation", mu.DeclineInvitationRequest(token=token, **more))

    async def complete(self, token: str, **more: Any) -> Any:
        return await self.wire("CompleteSetup", mu.CompleteSetupRequest(token=token, **more))

    async def leave(self, **more: Any) -> Any:
        return await self._call("LeaveAccount", **more)

    async def change_address(self, email: str, **more: Any) -> Any:
        return await self.wire("ChangeAddress", mu.ChangeAddressRequest(actor=self.actor, email=email, **more))

    async def confirm_address(self, token: str, **more: Any) -> Any:
        return await self.wire("ConfirmAddress", mu.ConfirmAddressRequest(token=token, **more))

    async def members(self) -> dict[str, list[str]]:
        return {member.username: list(member.roles) for member in (await self._call("ListMembers")).members}

    async def permissions(self, user: str) -> Any:
        return await self._call("GetPermissions", username=user)

    async def edit(self, user: str, *roles: str, actions: tuple[str, ...] = (), **more: Any) -> Any:
        return await self._call(
            "UpdatePermissions", username=user, permissions=mu.Permissions(roles=roles, actions=actions), **more
        )

    async def revoke(self, user: str, **more: Any) -> Any:
        return await self._call("RevokeAccess", username=user, **more)

    async def create_role(self, role: str, *allow: str, **more: Any) -> Any:
        definition = mu.RoleDefinition(allow=allow, deny=more.pop("deny", ()), includes=more.pop("includes", ()))
        return await self._call("CreateRole", role=role, definition=definition, **more)

    async def update_role(self, role: str, *allow: str, **more: Any) -> Any:
        definition = mu.RoleDefinition(allow=allow, deny=more.pop("deny", ()), includes=more.pop("includes", ()))
        return await self._call("UpdateRole", role=role, definition=definition, **more)

    async def delete_role(self, role: str, replacement: str = "", **more: Any) -> Any:
        return await self._call("DeleteRole", role=role, replacement=replacement, **more)

    async def roles(self) -> dict[str, mu.RoleInfo]:
        return {info.role: info for info in (await self._call("ListRoles")).roles}


class MailServer:
    """A real SMTP server on loopback; ``answer`` decides what it says to each e-mail."""

    def __init__(self, answer: Callable[[Envelope], str] | None = None) -> None:
        self.received: list[EmailMessage] = []
        self.answer = answer or (lambda _: "250 taken")
        self.arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        said = self.answer(envelope)
        if said.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
            message["X-To"] = envelope.rcpt_tos[0]
            self.received.append(message)  # type: ignore[arg-type]
        self._loop.call_soon_threadsafe(self.arrived.set)
        return said

    def __enter__(self) -> "MailServer":
        self._controller = Controller(self, hostname="127.0.0.1", port=0)
        self._controller.port = free_port()
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    async def letters(self, count: int) -> list[EmailMessage]:
        """Wait until this many e-mails have come."""
        async with patiently():
            while len(self.received) < count:
                self.arrived.clear()
                if len(self.received) < count:
                    await self.arrived.wait()
        return self.received

    async def token_for(self, address: str, count: int = 1) -> str:
        """The token in the last of this many e-mails to an address."""
        async with patiently():
            while len(found := [m for m in self.received if m["X-To"] == address]) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return token_in(found[-1])


def token_in(message: EmailMessage) -> str:
    """The token in an e-mail's link; the same in text and HTML."""
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    (token,) = set(re.findall(r"#token=([A-Za-z0-9_-]{43})", text + html))
    return str(token)
