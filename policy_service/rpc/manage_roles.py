"""ManageUsersService, its custom roles: decode, act in one transaction, answer with the revision."""

import asyncio
from collections import Counter
from functools import partial

from policy_service.members import (
    RoleDefinition,
    Standing,
    custom_roles,
    definitions_of,
    standing,
)
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields
from policy_service.rpc.manage_values import (
    parse_actor,
    parse_definition,
    parse_which_role,
)
from policy_service.rpc.stories import Stories
from policy_service.store import Transaction
from policy_service.vocabulary import (
    Operation,
    User,
    name_of,
    parse_physician,
    parse_role,
    subject_of_role,
)


class RoleMethods(Stories):
    """The methods about an account's roles."""

    async def create_role(self, request: pb.CreateRoleRequest, caller: str) -> pb.CreateRoleResponse:
        """See ManageUsersService.CreateRole in manage_users.proto."""
        with Fields() as fields:
            which = fields.read(parse_which_role, request)
            definition = fields.read(parse_definition, request.definition)
        actor, physician, role = which
        asking = partial(custom_roles.defining, role=role, definition=definition, actor=actor)
        foreseen = await self._foresee(physician, asking)

        async def story(tx: Transaction) -> pb.CreateRoleResponse:
            await custom_roles.create_role(tx, self._model, physician, role, definition, actor=actor, foreseen=foreseen)
            return pb.CreateRoleResponse()

        return await self._write(request, caller, actor, story)

    async def update_role(self, request: pb.UpdateRoleRequest, caller: str) -> pb.UpdateRoleResponse:
        """See ManageUsersService.UpdateRole in manage_users.proto."""
        with Fields() as fields:
            which = fields.read(parse_which_role, request)
            definition = fields.read(parse_definition, request.definition)
        actor, physician, role = which
        asking = partial(custom_roles.defining, role=role, definition=definition, actor=actor)
        foreseen = await self._foresee(physician, asking)

        async def story(tx: Transaction) -> pb.UpdateRoleResponse:
            await custom_roles.update_role(tx, self._model, physician, role, definition, actor=actor, foreseen=foreseen)
            return pb.UpdateRoleResponse()

        return await self._write(request, caller, actor, story)

    async def delete_role(self, request: pb.DeleteRoleRequest, caller: str) -> pb.DeleteRoleResponse:
        """See ManageUsersService.DeleteRole in manage_users.proto."""
        actor, physician, role = parse_which_role(request)
        replacement = parse_role(request.replacement, "replacement") if request.replacement else None
        asking = partial(custom_roles.deleting, role=role, replacement=replacement, actor=actor)
        foreseen = await self._foresee(physician, asking)

        async def story(tx: Transaction) -> pb.DeleteRoleResponse:
            await custom_roles.delete_role(
                tx, self._model, physician, role, replacement, actor=actor, foreseen=foreseen
            )
            return pb.DeleteRoleResponse()

        return await self._write(request, caller, actor, story)

    async def list_roles(self, request: pb.ListRolesRequest, caller: str) -> pb.ListRolesResponse:  # noqa: ARG002
        """See ManageUsersService.ListRoles in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
        async with self._store.reading() as look:
            at = await standing(look, self._model, physician)
        # Of a role's actions each is a question, and roles can be many.
        roles = await asyncio.to_thread(_roles, at, actor)
        return pb.ListRolesResponse(roles=roles, revision=look.revision, history=name_of(look.held.mark))


def _roles(at: Standing, actor: User) -> list[pb.RoleInfo]:
    """Built-in roles, then the account's own. Raises ActorNotAllowed."""
    at.require(actor, Operation.LIST_ROLES)
    own = definitions_of(at.account)
    holders = Counter(role for subject, role in at.account.grants if subject.startswith("user:"))
    roles = []
    for role in (*at.basis.roles, *own):
        built_in = role in at.basis.roles
        definition = RoleDefinition() if built_in else own[role]
        allowed = at.allowed_by(role)
        roles.append(
            pb.RoleInfo(
                role=role,
                built_in=built_in,
                definition=pb.RoleDefinition(
                    allow=sorted(definition.allow),
                    deny=sorted(definition.deny),
                    includes=sorted(definition.includes),
                ),
                allowed=[action for action in at.basis.catalogue.actions if action in allowed],
                holders=holders[subject_of_role(role)],
            )
        )
    return roles
