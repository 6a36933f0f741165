"""ManageUsersService: accounts, invitations, members and roles."""

from collections.abc import Iterable

from policy_client._pb import manage_users_pb2 as mu
from policy_client.blocking import BlockingClient
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
from policy_client.revisions import Revision, revision_of
from policy_client.wire import manage_users as wire


class ManageUsersClient(BlockingClient):
    """Calls the management plane. Every method raises a PolicyError if nothing was done.

    ``actor`` is the person for whom this service calls. Methods that write
    answer with the revision to ask for in checks, and take an
    ``idempotency_key``, made afresh where there is none: give one of your own
    to call again safely after a failure.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    def register_physician(
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
        request = mu.RegisterPhysicianRequest(actor=actor, physician=physician, owner=owner, display_name=display_name)
        return self._write(request, revision_of, idempotency_key, timeout)

    def invite_user(
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
        request = mu.InviteUserRequest(
            actor=actor,
            physician=physician,
            email=email,
            username=username,
            permissions=wire.permissions(roles, actions),
            reuse_existing=reuse_existing,
        )
        return self._write(request, wire.invited_from, idempotency_key, timeout)

    def list_invitations(
        self,
        actor: str,
        physician: str,
        *,
        states: Iterable[InvitationState] = (),
        timeout: float | None = None,
    ) -> list[Invitation]:
        """The invitations in these states, or the pending ones, newest first. ``timeout`` is for each page."""
        request = mu.ListInvitationsRequest(
            actor=actor, physician=physician, states=[wire.state_name(state) for state in states]
        )
        return self._list(request, wire.invitations_from, timeout)

    def resend_invitation(
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
        request = mu.ResendInvitationRequest(
            actor=actor, physician=physician, invitation_id=invitation_id, email=email or ""
        )
        return self._write(request, wire.invited_from, idempotency_key, timeout)

    def cancel_invitation(
        self,
        actor: str,
        physician: str,
        invitation_id: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Withdraw an open invitation."""
        request = mu.CancelInvitationRequest(actor=actor, physician=physician, invitation_id=invitation_id)
        return self._write(request, revision_of, idempotency_key, timeout)

    def accept_invitation(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Accepted:
        """Use a link's token, once. The invited person, known by the token, is the one who acts."""
        return self._write(mu.AcceptInvitationRequest(token=token), wire.accepted_from, idempotency_key, timeout)

    def look_up_invitation(self, token: str, *, timeout: float | None = None) -> LookedUp:
        """What a link leads to, without using it. Raises Refused for one that leads nowhere."""
        return self._ask(mu.LookUpInvitationRequest(token=token), wire.looked_up_from, timeout)

    def decline_invitation(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Answered:
        """Say no to an invitation, as the invited person."""
        return self._write(mu.DeclineInvitationRequest(token=token), wire.answered_from, idempotency_key, timeout)

    def complete_setup(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Answered:
        """Record that the user of an accepted invitation has set up their credentials."""
        return self._write(mu.CompleteSetupRequest(token=token), wire.answered_from, idempotency_key, timeout)

    def leave_account(
        self, actor: str, physician: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> Revision:
        """Give up everything that the actor holds on the account. The owner stays."""
        request = mu.LeaveAccountRequest(actor=actor, physician=physician)
        return self._write(request, revision_of, idempotency_key, timeout)

    def change_address(
        self, actor: str, email: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> AddressAsked:
        """Send a link to an address that the actor wants to have; nothing changes until it is used."""
        request = mu.ChangeAddressRequest(actor=actor, email=email)
        return self._write(request, wire.address_asked_from, idempotency_key, timeout)

    def confirm_address(
        self, token: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> AddressChanged:
        """Use the token of a link that ``change_address`` sent."""
        return self._write(mu.ConfirmAddressRequest(token=token), wire.address_changed_from, idempotency_key, timeout)

    def list_members(self, actor: str, physician: str, *, timeout: float | None = None) -> Members:
        """Everyone who holds anything on the account, with their roles."""
        return self._ask(mu.ListMembersRequest(actor=actor, physician=physician), wire.members_from, timeout)

    def get_permissions(
        self, actor: str, physician: str, username: str, *, timeout: float | None = None
    ) -> MemberPermissions:
        """Every action, shown or hidden for this member, and through which role."""
        request = mu.GetPermissionsRequest(actor=actor, physician=physician, username=username)
        return self._ask(request, wire.member_permissions_from, timeout)

    def update_permissions(
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
        request = mu.UpdatePermissionsRequest(
            actor=actor, physician=physician, username=username, permissions=wire.permissions(roles, actions)
        )
        return self._write(request, revision_of, idempotency_key, timeout)

    def revoke_access(
        self,
        actor: str,
        physician: str,
        username: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Revision:
        """Take everything from a member, and withdraw their open invitations to this account."""
        request = mu.RevokeAccessRequest(actor=actor, physician=physician, username=username)
        return self._write(request, revision_of, idempotency_key, timeout)

    def create_role(
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
        request = mu.CreateRoleRequest(
            actor=actor, physician=physician, role=role, definition=wire.definition_message(definition)
        )
        return self._write(request, revision_of, idempotency_key, timeout)

    def update_role(
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
        request = mu.UpdateRoleRequest(
            actor=actor, physician=physician, role=role, definition=wire.definition_message(definition)
        )
        return self._write(request, revision_of, idempotency_key, timeout)

    def delete_role(
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
        request = mu.DeleteRoleRequest(actor=actor, physician=physician, role=role, replacement=replacement or "")
        return self._write(request, revision_of, idempotency_key, timeout)

    def list_roles(self, actor: str, physician: str, *, timeout: float | None = None) -> Roles:
        """The built-in roles, then the account's own."""
        return self._ask(mu.ListRolesRequest(actor=actor, physician=physician), wire.roles_from, timeout)
