"""ManageUsersService: decode, act in one transaction, answer with the revision."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from policy_service.decide import Model
from policy_service.members import (
    AddressChanges,
    Invitations,
    Questions,
    RoleDefinition,
    Standing,
    custom_roles,
    foresee,
    manage_users,
    standing,
    suggestion,
)
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields, parse_title
from policy_service.rpc.manage_values import (
    MOST_DISPLAY_NAME,
    MOST_INVITATIONS,
    encode_invitation,
    encode_looked,
    encode_page_token,
    parse_actor,
    parse_address,
    parse_definition,
    parse_holding,
    parse_invitation_id,
    parse_new_physician,
    parse_new_user,
    parse_page_token,
    parse_states,
    parse_which_role,
    parse_who,
    response_type,
    what_to_keep,
)
from policy_service.store import Store, Transaction
from policy_service.vocabulary import (
    BUILT_IN_ROLES,
    Channel,
    Operation,
    Physician,
    Role,
    User,
    name_of,
    parse_key,
    parse_physician,
    parse_role,
    parse_user,
    subject_of_role,
)

Response = TypeVar("Response", bound=Any)


class ManageUsersService:
    """The methods of the management plane, as functions from request and caller to response."""

    def __init__(
        self,
        store: Store,
        model: Model,
        invitations: Invitations,
        addresses: AddressChanges,
        *,
        clock: Callable[[], datetime],
        written: Callable[[], None],
    ) -> None:
        """``written`` is called after each write, since there may be an e-mail to send."""
        self._store = store
        self._model = model
        self._invitations = invitations
        self._addresses = addresses
        self._clock = clock
        self._written = written

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

    async def invite_user(self, request: pb.InviteUserRequest, caller: str) -> pb.InviteUserResponse:
        """See ManageUsersService.InviteUser in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            email = fields.read(parse_address, request.email)
            user = fields.read(partial(parse_user, field="username"), request.username)
            holding = fields.read(parse_holding, request.permissions)
        await self._foresee_roles(physician, actor, holding.roles)

        async def story(tx: Transaction) -> pb.InviteUserResponse:
            now = self._clock()
            invitation = await self._invitations.invite(
                tx, physician, user, email, holding, actor=actor, reuse_existing=request.reuse_existing, now=now
            )
            return pb.InviteUserResponse(
                invitation=encode_invitation(invitation, now), suggested_email=suggestion(email)
            )

        return await self._write(request, caller, actor, story)

    async def list_invitations(
        self,
        request: pb.ListInvitationsRequest,
        caller: str,  # noqa: ARG002 - the guard has seen to it.
    ) -> pb.ListInvitationsResponse:
        """See ManageUsersService.ListInvitations in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            states = fields.read(parse_states, request.states)
            before = fields.read(parse_page_token, request.page_token)
        size, now = min(request.page_size or 100, MOST_INVITATIONS), self._clock()
        async with self._store.reading() as look:
            found = await self._invitations.listed(
                look, physician, states, actor=actor, before=before, size=size + 1, now=now
            )
        token = encode_page_token(found[size - 1].revision) if len(found) > size else ""
        return pb.ListInvitationsResponse(
            invitations=[encode_invitation(invitation, now) for invitation in found[:size]], next_page_token=token
        )

    async def resend_invitation(self, request: pb.ResendInvitationRequest, caller: str) -> pb.ResendInvitationResponse:
        """See ManageUsersService.ResendInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(parse_invitation_id, request.invitation_id)
            email = fields.read(parse_address, request.email) if request.email else None

        async def story(tx: Transaction) -> pb.ResendInvitationResponse:
            now = self._clock()
            invitation = await self._invitations.resend(tx, physician, wanted, email, actor=actor, now=now)
            return pb.ResendInvitationResponse(
                invitation=encode_invitation(invitation, now), suggested_email=suggestion(email) if email else ""
            )

        return await self._write(request, caller, actor, story)

    async def cancel_invitation(self, request: pb.CancelInvitationRequest, caller: str) -> pb.CancelInvitationResponse:
        """See ManageUsersService.CancelInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(parse_invitation_id, request.invitation_id)

        async def story(tx: Transaction) -> pb.CancelInvitationResponse:
            await self._invitations.cancel(tx, physician, wanted, actor=actor, now=self._clock())
            return pb.CancelInvitationResponse()

        return await self._write(request, caller, actor, story)

    async def accept_invitation(self, request: pb.AcceptInvitationRequest, caller: str) -> pb.AcceptInvitationResponse:
        """See ManageUsersService.AcceptInvitation in manage_users.proto."""

        async def story(tx: Transaction) -> pb.AcceptInvitationResponse:
            accepted = await self._invitations.accept(tx, request.token, now=self._clock())
            return pb.AcceptInvitationResponse(
                username=accepted.user, physician=accepted.physician, must_set_up_credentials=accepted.is_new
            )

        return await self._write(request, caller, "", story)

    async def look_up_invitation(
        self,
        request: pb.LookUpInvitationRequest,
        caller: str,  # noqa: ARG002 - the guard has seen to it.
    ) -> pb.LookUpInvitationResponse:
        """See ManageUsersService.LookUpInvitation in manage_users.proto."""
        async with self._store.reading() as look:
            return encode_looked(await self._invitations.look_up(look, request.token, now=self._clock()))

    async def decline_invitation(
        self, request: pb.DeclineInvitationRequest, caller: str
    ) -> pb.DeclineInvitationResponse:
        """See ManageUsersService.DeclineInvitation in manage_users.proto."""

        async def story(tx: Transaction) -> pb.DeclineInvitationResponse:
            declined = await self._invitations.decline(tx, request.token, now=self._clock())
            return pb.DeclineInvitationResponse(username=declined.user, physician=declined.physician)

        return await self._write(request, caller, "", story)

    async def complete_setup(self, request: pb.CompleteSetupRequest, caller: str) -> pb.CompleteSetupResponse:
        """See ManageUsersService.CompleteSetup in manage_users.proto."""

        async def story(tx: Transaction) -> pb.CompleteSetupResponse:
            done = await self._invitations.complete_setup(tx, request.token)
            return pb.CompleteSetupResponse(username=done.user, physician=done.physician)

        return await self._write(request, caller, "", story)

    async def leave_account(self, request: pb.LeaveAccountRequest, caller: str) -> pb.LeaveAccountResponse:
        """See ManageUsersService.LeaveAccount in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)

        async def story(tx: Transaction) -> pb.LeaveAccountResponse:
            await manage_users.leave(tx, self._model, physician, actor=actor)
            return pb.LeaveAccountResponse()

        return await self._write(request, caller, actor, story)

    async def change_address(self, request: pb.ChangeAddressRequest, caller: str) -> pb.ChangeAddressResponse:
        """See ManageUsersService.ChangeAddress in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(parse_actor, request.actor)
            email = fields.read(parse_address, request.email)

        async def story(tx: Transaction) -> pb.ChangeAddressResponse:
            until = await self._addresses.ask(tx, actor, email, now=self._clock())
            return pb.ChangeAddressResponse(expires_at=until, suggested_email=suggestion(email))

        return await self._write(request, caller, actor, story)

    async def confirm_address(self, request: pb.ConfirmAddressRequest, caller: str) -> pb.ConfirmAddressResponse:
        """See ManageUsersService.ConfirmAddress in manage_users.proto."""

        async def story(tx: Transaction) -> pb.ConfirmAddressResponse:
            user, email = await self._addresses.confirm(tx, request.token, now=self._clock())
            return pb.ConfirmAddressResponse(username=user, email=email)

        return await self._write(request, caller, "", story)

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

    async def _foresee(self, physician: Physician, ask: Questions) -> Standing | None:
        return await foresee(self._store, self._model, physician, ask)

    async def _foresee_roles(self, physician: Physician, actor: User, roles: frozenset[Role]) -> None:
        """What the built-in ones allow is known, and asked under the lock at no cost."""
        if not roles <= set(BUILT_IN_ROLES):
            await self._foresee(physician, partial(custom_roles.giving, roles=roles, actor=actor))

    async def _write(
        self, request: Any, caller: str, actor: str, story: Callable[[Transaction], Awaitable[Response]]
    ) -> Response:
        """Run a story in one transaction; once for each idempotency key, whose answer is kept with it."""
        key = parse_key(request.idempotency_key)
        digest = hashlib.sha256(
            request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
        ).digest()
        async with self._store.transaction(caller=caller, actor=actor) as tx:
            before = await tx.kept_answer(key, digest, self._clock()) if key else None
            if before is not None:
                return cast(Response, response_type(request).FromString(before))
            response = await story(tx)
            written = await tx.named()
            response.revision, response.history = written.revision, written.history
            kept = what_to_keep(key, digest, request, response, tx.user)
            if key:
                await tx.keep_answer(kept)
        if key and not written.changed:
            # What changed nothing was taken back whole, the kept answer with it.
            await self._store.keep_answer(caller, kept)
        self._written()
        return response


def _roles(at: Standing, actor: User) -> list[pb.RoleInfo]:
    """Built-in roles, then the account's own. Raises ActorNotAllowed."""
    at.require(actor, Operation.LIST_ROLES)
    own = custom_roles.definitions_of(at.account)
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
