"""ManageUsersService of the fake, where somebody acts on an account: read the request, write in a draft, answer."""

import base64
from typing import Any

from policy_client._pb import manage_users_pb2 as mu
from policy_client.testing import invitations, members
from policy_client.testing.addresses import suggestion
from policy_client.testing.fields import Fields
from policy_client.testing.links import Links
from policy_client.testing.members import Definition
from policy_client.testing.messages import invitation_message, role_message
from policy_client.testing.refusals import refuse, refuse_fields
from policy_client.testing.rules import Account
from policy_client.testing.state import PENDING, Holding, State, require


class Users(Links):
    """The methods, by their names in the contract."""

    def register_physician(self, request: mu.RegisterPhysicianRequest) -> mu.RegisterPhysicianResponse:
        """Open an account."""
        with Fields() as fields:
            fields.user("actor", request.actor)
            fields.physician(request.physician)
            fields.user("owner", request.owner)
            fields.title("display_name", request.display_name)

        def story(draft: State) -> mu.RegisterPhysicianResponse:
            if request.actor != request.owner:
                physician = request.physician
                refuse("ACTOR_NOT_ALLOWED", actor=request.actor, action="physician:register", physician=physician)
            members.register(draft, request.physician, request.owner, self.clock())
            return mu.RegisterPhysicianResponse()

        return self.answer(request, story)

    def invite_user(self, request: mu.InviteUserRequest) -> mu.InviteUserResponse:
        """Invite somebody."""
        with Fields() as fields:
            _account_fields(fields, request)
            email = fields.email(request.email)
            fields.user("username", request.username)
            fields.permissions(request.permissions)

        def story(draft: State) -> mu.InviteUserResponse:
            now = self.clock()
            invitation = invitations.invite(
                draft,
                request.actor,
                request.physician,
                request.username,
                email,
                _holding(request.permissions),
                reuse_existing=request.reuse_existing,
                now=now,
                until=now + self.valid_for,
            )
            return mu.InviteUserResponse(
                invitation=invitation_message(draft, invitation, now), suggested_email=suggestion(email)
            )

        return self.answer(request, story)

    def list_invitations(self, request: mu.ListInvitationsRequest) -> mu.ListInvitationsResponse:
        """The invitations in some states, newest first."""
        with Fields() as fields:
            _account_fields(fields, request)
            fields.states(list(request.states))
        before = _read_page_token(request.page_token)
        require(self.state.account(request.physician), request.actor, "ListInvitations")
        size, now = min(request.page_size or 100, 1_000), self.clock()
        wanted = [mu.InvitationState.Name(state).removeprefix("INVITATION_STATE_") for state in request.states]
        found = [
            one
            for one in reversed(self.state.invitations.values())
            if one.physician == request.physician
            and one.state_at(now) in (wanted or [PENDING])
            and one.revision < before
        ]
        more = base64.urlsafe_b64encode(str(found[size - 1].revision).encode()).decode() if len(found) > size else ""
        return mu.ListInvitationsResponse(
            invitations=[invitation_message(self.state, one, now) for one in found[:size]], next_page_token=more
        )

    def resend_invitation(self, request: mu.ResendInvitationRequest) -> mu.ResendInvitationResponse:
        """Send a new link."""
        with Fields() as fields:
            _account_fields(fields, request)
            fields.log_text("invitation_id", request.invitation_id, 64)
            email = fields.email(request.email) if request.email else ""

        def story(draft: State) -> mu.ResendInvitationResponse:
            now = self.clock()
            again = invitations.resend(
                draft,
                request.actor,
                request.physician,
                request.invitation_id,
                email,
                now=now,
                until=now + self.valid_for,
            )
            return mu.ResendInvitationResponse(
                invitation=invitation_message(draft, again, now), suggested_email=suggestion(email) if email else ""
            )

        return self.answer(request, story)

    def cancel_invitation(self, request: mu.CancelInvitationRequest) -> mu.CancelInvitationResponse:
        """Withdraw an open invitation."""
        with Fields() as fields:
            _account_fields(fields, request)
            fields.log_text("invitation_id", request.invitation_id, 64)

        def story(draft: State) -> mu.CancelInvitationResponse:
            invitations.cancel(draft, request.actor, request.physician, request.invitation_id, self.clock())
            return mu.CancelInvitationResponse()

        return self.answer(request, story)

    def leave_account(self, request: mu.LeaveAccountRequest) -> mu.LeaveAccountResponse:
        """Give up everything of one's own."""
        with Fields() as fields:
            _account_fields(fields, request)

        def story(draft: State) -> mu.LeaveAccountResponse:
            members.leave(draft, request.actor, request.physician)
            return mu.LeaveAccountResponse()

        return self.answer(request, story)

    def list_members(self, request: mu.ListMembersRequest) -> mu.ListMembersResponse:
        """Everyone who may act here."""
        account = self._looked_at(request, "ListMembers")
        found = []
        for user in account.users():
            person, roles = self.state.people.get(user), account.roles_of(user)
            email = person.email if person else None
            member = mu.Member(username=user, email=email or "", roles=roles, is_owner="owner" in roles)
            member.is_set_up = person is not None and person.is_set_up
            member.may_act = any(account.may(user, action) for action in account.built_in.actions)
            found.append(member)
        return mu.ListMembersResponse(members=found, revision=self.state.revision, history=self.state.history)

    def get_permissions(self, request: mu.GetPermissionsRequest) -> mu.GetPermissionsResponse:
        """Every action of one member."""
        with Fields() as fields:
            _who_fields(fields, request)
        account = self._looked_at(request, "GetPermissions")
        found = {action: account.find(request.username, action) for action in account.built_in.actions}
        return mu.GetPermissionsResponse(
            permissions=[mu.Permission(action=a, shown=one.allowed, role=one.role) for a, one in found.items()],
            roles=account.roles_of(request.username),
            revision=self.state.revision,
            history=self.state.history,
        )

    def update_permissions(self, request: mu.UpdatePermissionsRequest) -> mu.UpdatePermissionsResponse:
        """Replace what a member holds."""
        with Fields() as fields:
            _who_fields(fields, request)
            fields.permissions(request.permissions)

        def story(draft: State) -> mu.UpdatePermissionsResponse:
            members.update(draft, request.actor, request.physician, request.username, _holding(request.permissions))
            return mu.UpdatePermissionsResponse()

        return self.answer(request, story)

    def revoke_access(self, request: mu.RevokeAccessRequest) -> mu.RevokeAccessResponse:
        """Take everything from a member."""
        with Fields() as fields:
            _who_fields(fields, request)

        def story(draft: State) -> mu.RevokeAccessResponse:
            members.revoke(draft, request.actor, request.physician, request.username)
            return mu.RevokeAccessResponse()

        return self.answer(request, story)

    def create_role(self, request: mu.CreateRoleRequest) -> mu.CreateRoleResponse:
        """Make a custom role."""
        definition = _definition(request)

        def story(draft: State) -> mu.CreateRoleResponse:
            members.create_role(draft, request.actor, request.physician, request.role, definition)
            return mu.CreateRoleResponse()

        return self.answer(request, story)

    def update_role(self, request: mu.UpdateRoleRequest) -> mu.UpdateRoleResponse:
        """Replace a custom role's definition."""
        definition = _definition(request)

        def story(draft: State) -> mu.UpdateRoleResponse:
            members.update_role(draft, request.actor, request.physician, request.role, definition)
            return mu.UpdateRoleResponse()

        return self.answer(request, story)

    def delete_role(self, request: mu.DeleteRoleRequest) -> mu.DeleteRoleResponse:
        """Remove a custom role."""
        with Fields() as fields:
            _account_fields(fields, request)
            fields.role("role", request.role)
            if request.replacement:
                fields.role("replacement", request.replacement)

        def story(draft: State) -> mu.DeleteRoleResponse:
            members.delete_role(draft, request.actor, request.physician, request.role, request.replacement)
            return mu.DeleteRoleResponse()

        return self.answer(request, story)

    def list_roles(self, request: mu.ListRolesRequest) -> mu.ListRolesResponse:
        """Built-in roles, then custom ones."""
        account = self._looked_at(request, "ListRoles")
        infos = [role_message(account, role) for role in (*account.built_in.roles, *account.custom_roles())]
        return mu.ListRolesResponse(roles=infos, revision=self.state.revision, history=self.state.history)

    def _looked_at(self, request: Any, method: str) -> Account:
        with Fields() as fields:
            _account_fields(fields, request)
        account = self.state.account(request.physician)
        require(account, request.actor, method)
        return account


def _account_fields(fields: Fields, request: Any) -> None:
    fields.user("actor", request.actor)
    fields.physician(request.physician)


def _who_fields(fields: Fields, request: Any) -> None:
    _account_fields(fields, request)
    fields.user("username", request.username)


def _holding(permissions: mu.Permissions) -> Holding:
    return Holding(roles=tuple(sorted({*permissions.roles})), actions=tuple(sorted({*permissions.actions})))


def _definition(request: mu.CreateRoleRequest | mu.UpdateRoleRequest) -> Definition:
    with Fields() as fields:
        _account_fields(fields, request)
        fields.role("role", request.role)
        fields.definition(request.definition)
    found = request.definition
    return Definition(allow=tuple(found.allow), deny=tuple(found.deny), includes=tuple(found.includes))


def _read_page_token(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode("ascii")) if token else 2**63
    except ValueError:
        refuse_fields({"page_token": "page_token is not one of this list"})
