"""ManageUsersService: decode, act in one transaction, answer with the revision.

Here are accounts and their members; invitations and roles have modules of their own.
"""

from functools import partial

from policy_service.members import (
    manage_users,
    standing,
)
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields, parse_title
from policy_service.rpc.manage_invitations import InvitationMethods
from policy_service.rpc.manage_roles import RoleMethods
from policy_service.rpc.manage_values import (
    MOST_DISPLAY_NAME,
    parse_actor,
    parse_holding,
    parse_new_physician,
    parse_new_user,
    parse_who,
)
from policy_service.store import Transaction
from policy_service.vocabulary import (
    Channel,
    Operation,
    name_of,
    parse_physician,
)


class ManageUsersService(InvitationMethods, RoleMethods):
    """The methods of the management plane, as functions from request and caller to response."""

    async def register_physician(
        self, request: pb.RegisterPhysicianRequest, caller: str
    ) -> pb.RegisterPhysicianResponse:
        """See ManageUsersService.RegisterPhysician in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_new_physician, request.physician)
            owner = fields.read(partial(parse_new_user, field="owner"), request.owner)
            title = fields.read(
                partial(parse_title, field="display_name", most=MOST_DISPLAY_NAME), request.display_name
            )

        async def story(tx: Transaction) -> pb.RegisterPhysicianResponse:
            await manage_users.register(tx, physician, owner, title, actor=actor, now=self._clock())
            return pb.RegisterPhysicianResponse()

        return await self._write(request, caller, actor, story)

    async def leave_account(self, request: pb.LeaveAccountRequest, caller: str) -> pb.LeaveAccountResponse:
        """See ManageUsersService.LeaveAccount in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)

        async def story(tx: Transaction) -> pb.LeaveAccountResponse:
            await manage_users.leave(tx, self._model, physician, actor=actor)
            return pb.LeaveAccountResponse()

        return await self._write(request, caller, actor, story)

    async def list_members(self, request: pb.ListMembersRequest, caller: str) -> pb.ListMembersResponse:  # noqa: ARG002
        """See ManageUsersService.ListMembers in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
        async with self._store.reading() as look:
            found = await manage_users.members(look, self._model, physician, actor=actor)
        return pb.ListMembersResponse(
            members=[
                pb.Member(
                    username=member.user,
                    email=member.email,
                    roles=member.roles,
                    is_owner=member.is_owner,
                    is_set_up=member.is_set_up,
                    may_act=member.may_act,
                )
                for member in found
            ],
            revision=look.revision,
            history=name_of(look.held.mark),
        )

    async def get_permissions(self, request: pb.GetPermissionsRequest, caller: str) -> pb.GetPermissionsResponse:  # noqa: ARG002
        """See ManageUsersService.GetPermissions in manage_users.proto."""
        actor, physician, user = parse_who(request)
        async with self._store.reading() as look:
            at = await standing(look, self._model, physician)
        at.require(actor, Operation.GET_PERMISSIONS)
        outcomes = at.outcomes(user)
        return pb.GetPermissionsResponse(
            permissions=[
                pb.Permission(action=action, shown=outcome.allowed, role=outcome.role)
                for action in at.basis.catalogue.actions
                for outcome in (outcomes[action, Channel.WEB],)
            ],
            roles=at.account.roles_of(user),
            revision=look.revision,
            history=name_of(look.held.mark),
        )

    async def update_permissions(
        self, request: pb.UpdatePermissionsRequest, caller: str
    ) -> pb.UpdatePermissionsResponse:
        """See ManageUsersService.UpdatePermissions in manage_users.proto."""
        with Fields() as fields:
            who = fields.read(parse_who, request)
            holding = fields.read(parse_holding, request.permissions)
        actor, physician, user = who
        await self._foresee_roles(physician, actor, holding.roles)

        async def story(tx: Transaction) -> pb.UpdatePermissionsResponse:
            await manage_users.update(tx, self._model, physician, user, holding, actor=actor)
            return pb.UpdatePermissionsResponse()

        return await self._write(request, caller, actor, story)

    async def revoke_access(self, request: pb.RevokeAccessRequest, caller: str) -> pb.RevokeAccessResponse:
        """See ManageUsersService.RevokeAccess in manage_users.proto."""
        actor, physician, user = parse_who(request)

        async def story(tx: Transaction) -> pb.RevokeAccessResponse:
            await manage_users.revoke_access(tx, self._model, physician, user, actor=actor)
            return pb.RevokeAccessResponse()

        return await self._write(request, caller, actor, story)
