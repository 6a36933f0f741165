"""The asyncio client of the management plane: method for method the blocking one, as a test asserts."""

# ruff: noqa: ASYNC109 - gRPC's own deadline, which also reaches the server.

from collections.abc import Iterable

from policy_client import manage_calls as calls
from policy_client.asynchronous import AsyncioClient
from policy_client.channel import MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.members import (
    Accepted,
    AddressAsked,
    AddressChanged,
    Answered,
    Invitation,
    InvitationState,
    Invited,
    LookedUp,
    MemberPermissions,
    Members,
    RoleDefinition,
    Roles,
)
from policy_client.revisions import Revision


class AsyncManageUsersClient(AsyncioClient):
    """Calls the management plane from asyncio. Every method raises a PolicyError if nothing was done.

    ``actor`` is the person for whom this service calls. Methods that write
    answer with the revision to ask for in checks, and take an
    ``idempotency_key``, made afresh where there is none: give one of your own
    to call again safely after a failure.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    async def register_physician(
        self,
        actor: str,
        physician: str,
        owner: str,
        *,
        display_name: str = "",
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Open an account with its owner. Raises AlreadyExists."""
        call = calls.register_physician(
            actor, physician, owner, display_name=display_name, idempotency_key=idempotency_key
        )
        return await self._run(call, timeout)

    async def invite_user(
        self,
        actor: str,
        physician: str,
        email: str,
        username: str,
        *,
        roles: Iterable[str] = (),
        actions: Iterable[str] = (),
        reuse_existing: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Invited:
        """Invite a user by e-mail, to hold roles or a free choice of actions; nothing is granted until accepted.

        Raises UserExists where the username or address is known: ask, and call again with its ``user`` and
        ``reuse_existing``.
        """
        call = calls.invite_user(
            actor,
            physician,
            email,
            username,
            roles=roles,
            actions=actions,
            reuse_existing=reuse_existing,
            idempotency_key=idempotency_key,
        )
        return await self._run(call, timeout)

    async def list_invitations(
        self,
        actor: str,
        physician: str,
        *,
        states: Iterable[InvitationState] = (),
        timeout: float | None = None,
    ) -> list[Invitation]:
        """The invitations in these states, or the pending ones, newest first. ``timeout`` is for each page."""
        return await self._list(calls.list_invitations(actor, physician, states), timeout)

    async def resend_invitation(
        self,
        actor: str,
        physician: str,
        invitation_id: str,
        *,
        email: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Invited:
        """Send the e-mail again, to the same or another address. The link sent before no longer works."""
        call = calls.resend_invitation(actor, physician, invitation_id, email=email, idempotency_key=idempotency_key)
        return await self._run(call, timeout)

    async def cancel_invitation(
        self,
        actor: str,
        physician: str,
        invitation_id: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Withdraw an open invitation."""
        return await self._run(
            calls.cancel_invitation(actor, physician, invitation_id, idempotency_key=idempotency_key), timeout
        )

    async def accept_invitation(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Accepted:
        """Use a link's token, once. The invited person, known by the token, is the one who acts."""
        return await self._run(calls.accept_invitation(token, idempotency_key=idempotency_key), timeout)

    async def look_up_invitation(self, token: str, *, timeout: float | None = None) -> LookedUp:
        """What a link leads to, without using it. Raises Refused for one that leads nowhere."""
        return await self._run(calls.look_up_invitation(token), timeout)

    async def decline_invitation(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Answered:
        """Say no to an invitation, as the invited person."""
        return await self._run(calls.decline_invitation(token, idempotency_key=idempotency_key), timeout)

    async def complete_setup(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Answered:
        """Record that the user of an accepted invitation has set up their credentials."""
        return await self._run(calls.complete_setup(token, idempotency_key=idempotency_key), timeout)

    async def leave_account(
        self, actor: str, physician: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Revision:
        """Give up everything that the actor holds on the account. The owner stays."""
        return await self._run(calls.leave_account(actor, physician, idempotency_key=idempotency_key), timeout)

    async def change_address(
        self, actor: str, email: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> AddressAsked:
        """Send a link to an address that the actor wants to have; nothing changes until it is used."""
        return await self._run(calls.change_address(actor, email, idempotency_key=idempotency_key), timeout)

    async def confirm_address(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> AddressChanged:
        """Use the token of a link that ``change_address`` sent."""
        return await self._run(calls.confirm_address(token, idempotency_key=idempotency_key), timeout)

    async def list_members(self, actor: str, physician: str, *, timeout: float | None = None) -> Members:
        """Everyone who holds anything on the account, with their roles."""
        return await self._run(calls.list_members(actor, physician), timeout)

    async def get_permissions(
        self, actor: str, physician: str, username: str, *, timeout: float | None = None
    ) -> MemberPermissions:
        """Every action, shown or hidden for this member, and through which role."""
        return await self._run(calls.get_permissions(actor, physician, username), timeout)

    async def update_permissions(
        self,
        actor: str,
        physician: str,
        username: str,
        *,
        roles: Iterable[str] = (),
        actions: Iterable[str] = (),
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Replace what a member holds, by roles or a free choice of actions: what is not named is taken."""
        call = calls.update_permissions(
            actor, physician, username, roles=roles, actions=actions, idempotency_key=idempotency_key
        )
        return await self._run(call, timeout)

    async def revoke_access(
        self,
        actor: str,
        physician: str,
        username: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Take everything from a member, and withdraw their open invitations to this account."""
        return await self._run(
            calls.revoke_access(actor, physician, username, idempotency_key=idempotency_key), timeout
        )

    async def create_role(
        self,
        actor: str,
        physician: str,
        role: str,
        definition: RoleDefinition,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Make a custom role of this account. Raises AlreadyExists."""
        return await self._run(
            calls.create_role(actor, physician, role, definition, idempotency_key=idempotency_key), timeout
        )

    async def update_role(
        self,
        actor: str,
        physician: str,
        role: str,
        definition: RoleDefinition,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Replace a custom role's whole definition, for everyone who holds it."""
        return await self._run(
            calls.update_role(actor, physician, role, definition, idempotency_key=idempotency_key), timeout
        )

    async def delete_role(
        self,
        actor: str,
        physician: str,
        role: str,
        *,
        replacement: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Delete a custom role. Its holders get ``replacement``; without one, refused while anyone has it."""
        call = calls.delete_role(actor, physician, role, replacement=replacement, idempotency_key=idempotency_key)
        return await self._run(call, timeout)

    async def list_roles(self, actor: str, physician: str, *, timeout: float | None = None) -> Roles:
        """The built-in roles, then the account's own."""
        return await self._run(calls.list_roles(actor, physician), timeout)
