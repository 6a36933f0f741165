"""What each method of the management plane sends and how its reply is read; see ``calls``.

A write without an idempotency key gets a fresh one here, so that every attempt
of one call carries the same: a retry cannot write twice.
"""

from collections.abc import Iterable
from uuid import uuid4

from policy_client import members
from policy_client._pb import manage_users_pb2 as mu
from policy_client.calls import Call, Listing, as_it_is
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


def _path(method: str) -> str:
    return f"/policy.v1.ManageUsersService/{method}"


def _key(given: str | None) -> str:
    return uuid4().hex if given is None else given


def _permissions(roles: Iterable[str], actions: Iterable[str]) -> mu.Permissions:
    for name, words in (("roles", roles), ("actions", actions)):
        if isinstance(words, str):
            raise TypeError(f"{name} is one string; give a list of them: {name}=[{words!r}]")
    return mu.Permissions(roles=roles, actions=actions)


def register_physician(
    actor: str, physician: str, owner: str, *, display_name: str, idempotency_key: str | None
) -> Call[Revision]:
    """ManageUsersService.RegisterPhysician."""
    request = mu.RegisterPhysicianRequest(
        actor=actor,
        physician=physician,
        owner=owner,
        display_name=display_name,
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("RegisterPhysician"), request, mu.RegisterPhysicianResponse, revision_of)


def invite_user(
    actor: str,
    physician: str,
    email: str,
    username: str,
    *,
    roles: Iterable[str],
    actions: Iterable[str],
    reuse_existing: bool,
    idempotency_key: str | None,
) -> Call[Invited]:
    """ManageUsersService.InviteUser."""
    request = mu.InviteUserRequest(
        actor=actor,
        physician=physician,
        email=email,
        username=username,
        permissions=_permissions(roles, actions),
        reuse_existing=reuse_existing,
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("InviteUser"), request, mu.InviteUserResponse, members.invited_from)


def list_invitations(actor: str, physician: str, states: Iterable[InvitationState]) -> Listing[list[Invitation]]:
    """ManageUsersService.ListInvitations; raises ValueError for the state OTHER."""
    request = mu.ListInvitationsRequest(
        actor=actor, physician=physician, states=[members.state_name(state) for state in states]
    )
    first = Call(_path("ListInvitations"), request, mu.ListInvitationsResponse, as_it_is)
    return Listing(
        first, lambda pages: [members.invitation_from(found) for page in pages for found in page.invitations]
    )


def resend_invitation(
    actor: str, physician: str, invitation_id: str, *, email: str | None, idempotency_key: str | None
) -> Call[Invited]:
    """ManageUsersService.ResendInvitation."""
    request = mu.ResendInvitationRequest(
        actor=actor,
        physician=physician,
        invitation_id=invitation_id,
        email=email or "",
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("ResendInvitation"), request, mu.ResendInvitationResponse, members.invited_from)


def cancel_invitation(actor: str, physician: str, invitation_id: str, *, idempotency_key: str | None) -> Call[Revision]:
    """ManageUsersService.CancelInvitation."""
    request = mu.CancelInvitationRequest(
        actor=actor, physician=physician, invitation_id=invitation_id, idempotency_key=_key(idempotency_key)
    )
    return Call(_path("CancelInvitation"), request, mu.CancelInvitationResponse, revision_of)


def accept_invitation(token: str, *, idempotency_key: str | None) -> Call[Accepted]:
    """ManageUsersService.AcceptInvitation."""
    request = mu.AcceptInvitationRequest(token=token, idempotency_key=_key(idempotency_key))
    return Call(_path("AcceptInvitation"), request, mu.AcceptInvitationResponse, members.accepted_from)


def look_up_invitation(token: str) -> Call[LookedUp]:
    """ManageUsersService.LookUpInvitation."""
    request = mu.LookUpInvitationRequest(token=token)
    return Call(_path("LookUpInvitation"), request, mu.LookUpInvitationResponse, members.looked_up_from)


def decline_invitation(token: str, *, idempotency_key: str | None) -> Call[Answered]:
    """ManageUsersService.DeclineInvitation."""
    request = mu.DeclineInvitationRequest(token=token, idempotency_key=_key(idempotency_key))
    return Call(_path("DeclineInvitation"), request, mu.DeclineInvitationResponse, members.answered_from)


def complete_setup(token: str, *, idempotency_key: str | None) -> Call[Answered]:
    """ManageUsersService.CompleteSetup."""
    request = mu.CompleteSetupRequest(token=token, idempotency_key=_key(idempotency_key))
    return Call(_path("CompleteSetup"), request, mu.CompleteSetupResponse, members.answered_from)


def leave_account(actor: str, physician: str, *, idempotency_key: str | None) -> Call[Revision]:
    """ManageUsersService.LeaveAccount."""
    request = mu.LeaveAccountRequest(actor=actor, physician=physician, idempotency_key=_key(idempotency_key))
    return Call(_path("LeaveAccount"), request, mu.LeaveAccountResponse, revision_of)


def change_address(actor: str, email: str, *, idempotency_key: str | None) -> Call[AddressAsked]:
    """ManageUsersService.ChangeAddress."""
    request = mu.ChangeAddressRequest(actor=actor, email=email, idempotency_key=_key(idempotency_key))
    return Call(_path("ChangeAddress"), request, mu.ChangeAddressResponse, members.address_asked_from)


def confirm_address(token: str, *, idempotency_key: str | None) -> Call[AddressChanged]:
    """ManageUsersService.ConfirmAddress."""
    request = mu.ConfirmAddressRequest(token=token, idempotency_key=_key(idempotency_key))
    return Call(_path("ConfirmAddress"), request, mu.ConfirmAddressResponse, members.address_changed_from)


def list_members(actor: str, physician: str) -> Call[Members]:
    """ManageUsersService.ListMembers."""
    request = mu.ListMembersRequest(actor=actor, physician=physician)
    return Call(_path("ListMembers"), request, mu.ListMembersResponse, members.members_from)


def get_permissions(actor: str, physician: str, username: str) -> Call[MemberPermissions]:
    """ManageUsersService.GetPermissions."""
    request = mu.GetPermissionsRequest(actor=actor, physician=physician, username=username)
    return Call(_path("GetPermissions"), request, mu.GetPermissionsResponse, members.member_permissions_from)


def update_permissions(
    actor: str,
    physician: str,
    username: str,
    *,
    roles: Iterable[str],
    actions: Iterable[str],
    idempotency_key: str | None,
) -> Call[Revision]:
    """ManageUsersService.UpdatePermissions."""
    request = mu.UpdatePermissionsRequest(
        actor=actor,
        physician=physician,
        username=username,
        permissions=_permissions(roles, actions),
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("UpdatePermissions"), request, mu.UpdatePermissionsResponse, revision_of)


def revoke_access(actor: str, physician: str, username: str, *, idempotency_key: str | None) -> Call[Revision]:
    """ManageUsersService.RevokeAccess."""
    request = mu.RevokeAccessRequest(
        actor=actor, physician=physician, username=username, idempotency_key=_key(idempotency_key)
    )
    return Call(_path("RevokeAccess"), request, mu.RevokeAccessResponse, revision_of)


def create_role(
    actor: str, physician: str, role: str, definition: RoleDefinition, *, idempotency_key: str | None
) -> Call[Revision]:
    """ManageUsersService.CreateRole."""
    request = mu.CreateRoleRequest(
        actor=actor,
        physician=physician,
        role=role,
        definition=members.definition_message(definition),
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("CreateRole"), request, mu.CreateRoleResponse, revision_of)


def update_role(
    actor: str, physician: str, role: str, definition: RoleDefinition, *, idempotency_key: str | None
) -> Call[Revision]:
    """ManageUsersService.UpdateRole."""
    request = mu.UpdateRoleRequest(
        actor=actor,
        physician=physician,
        role=role,
        definition=members.definition_message(definition),
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("UpdateRole"), request, mu.UpdateRoleResponse, revision_of)


def delete_role(
    actor: str, physician: str, role: str, *, replacement: str | None, idempotency_key: str | None
) -> Call[Revision]:
    """ManageUsersService.DeleteRole."""
    request = mu.DeleteRoleRequest(
        actor=actor,
        physician=physician,
        role=role,
        replacement=replacement or "",
        idempotency_key=_key(idempotency_key),
    )
    return Call(_path("DeleteRole"), request, mu.DeleteRoleResponse, revision_of)


def list_roles(actor: str, physician: str) -> Call[Roles]:
    """ManageUsersService.ListRoles."""
    request = mu.ListRolesRequest(actor=actor, physician=physician)
    return Call(_path("ListRoles"), request, mu.ListRolesResponse, members.roles_from)
