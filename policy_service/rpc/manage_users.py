"""ManageUsersService: decode, act in one transaction, answer with the revision."""

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

from policy_service import custom_roles, manage_users
from policy_service.addresses import parse_email, suggestion
from policy_service.authority import standing
from policy_service.custom_roles import RoleDefinition
from policy_service.delivery import advice
from policy_service.invitations import Holding, Invitations
from policy_service.model import Model
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.fields import Fields, invalid, parse_text, parse_title
from policy_service.store import Store, Transaction
from policy_service.store.invitations import DeliveryState, Invitation, InvitationState
from policy_service.vocabulary import (
    Action,
    Channel,
    Physician,
    Role,
    User,
    parse_key,
    parse_known_action,
    parse_physician,
    parse_role,
    parse_user,
)

MOST_DISPLAY_NAME: Final = 128
_MOST_EMAIL: Final = 254
_MOST_INVITATIONS: Final = 1_000
_STATES: Final[dict[int, InvitationState]] = {
    pb.InvitationState.Value(f"INVITATION_STATE_{state.name}"): state for state in InvitationState
}
_STATE_NUMBERS: Final = {state: cast(pb.InvitationState, number) for number, state in _STATES.items()}
_DELIVERIES: Final[dict[DeliveryState, pb.DeliveryState]] = {
    state: cast(pb.DeliveryState, pb.DeliveryState.Value(f"DELIVERY_STATE_{state.name}"))
    for state in DeliveryState
    if state is not DeliveryState.DROPPED
}

Response = TypeVar("Response", bound=Any)


class ManageUsersService:
    """The methods of the management plane, as functions from request and caller to response."""

    def __init__(
        self,
        store: Store,
        model: Model,
        invitations: Invitations,
        *,
        clock: Callable[[], datetime],
        written: Callable[[], None],
    ) -> None:
        """``written`` is called after each write, since there may be an e-mail to send."""
        self._store = store
        self._model = model
        self._invitations = invitations
        self._clock = clock
        self._written = written

    async def register_physician(
        self, request: pb.RegisterPhysicianRequest, caller: str
    ) -> pb.RegisterPhysicianResponse:
        """See ManageUsersService.RegisterPhysician in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            owner = fields.read(partial(parse_user, field="owner"), request.owner)
            title = fields.read(
                partial(parse_title, field="display_name", most=MOST_DISPLAY_NAME), request.display_name
            )

        async def story(tx: Transaction) -> pb.RegisterPhysicianResponse:
            await manage_users.register(tx, physician, owner, title)
            return pb.RegisterPhysicianResponse()

        return await self._write(request, caller, actor, story)

    async def invite_user(self, request: pb.InviteUserRequest, caller: str) -> pb.InviteUserResponse:
        """See ManageUsersService.InviteUser in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            email = fields.read(_email, request.email)
            user = fields.read(partial(parse_user, field="username"), request.username)
            holding = fields.read(_holding, request.permissions)

        async def story(tx: Transaction) -> pb.InviteUserResponse:
            now = self._clock()
            invitation = await self._invitations.invite(
                tx, physician, user, email, holding, actor=actor, reuse_existing=request.reuse_existing, now=now
            )
            return pb.InviteUserResponse(invitation=_invitation(invitation, now), suggested_email=suggestion(email))

        return await self._write(request, caller, actor, story)

    async def list_invitations(
        self,
        request: pb.ListInvitationsRequest,
        caller: str,  # noqa: ARG002 - the guard has seen to it.
    ) -> pb.ListInvitationsResponse:
        """See ManageUsersService.ListInvitations in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            states = fields.read(_states, request.states)
            before = fields.read(_page_token, request.page_token)
        size, now = min(request.page_size or 100, _MOST_INVITATIONS), self._clock()
        async with self._store.reading() as look:
            found = await self._invitations.listed(
                look, physician, states, actor=actor, before=before, size=size + 1, now=now
            )
        token = base64.urlsafe_b64encode(str(found[size - 1].revision).encode()).decode() if len(found) > size else ""
        return pb.ListInvitationsResponse(
            invitations=[_invitation(invitation, now) for invitation in found[:size]], next_page_token=token
        )

    async def resend_invitation(self, request: pb.ResendInvitationRequest, caller: str) -> pb.ResendInvitationResponse:
        """See ManageUsersService.ResendInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(_invitation_id, request.invitation_id)
            email = fields.read(_email, request.email) if request.email else None

        async def story(tx: Transaction) -> pb.ResendInvitationResponse:
            now = self._clock()
            invitation = await self._invitations.resend(tx, physician, wanted, email, actor=actor, now=now)
            return pb.ResendInvitationResponse(
                invitation=_invitation(invitation, now), suggested_email=suggestion(email) if email else ""
            )

        return await self._write(request, caller, actor, story)

    async def cancel_invitation(self, request: pb.CancelInvitationRequest, caller: str) -> pb.CancelInvitationResponse:
        """See ManageUsersService.CancelInvitation in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
            wanted = fields.read(_invitation_id, request.invitation_id)

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

    async def list_members(self, request: pb.ListMembersRequest, caller: str) -> pb.ListMembersResponse:  # noqa: ARG002
        """See ManageUsersService.ListMembers in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
        async with self._store.reading() as look:
            found = await manage_users.members(look, self._model, physician, actor=actor)
        return pb.ListMembersResponse(
            members=[
                pb.Member(username=member.user, email=member.email, roles=member.roles, is_owner=member.is_owner)
                for member in found
            ],
            revision=look.revision,
        )

    async def get_permissions(self, request: pb.GetPermissionsRequest, caller: str) -> pb.GetPermissionsResponse:  # noqa: ARG002
        """See ManageUsersService.GetPermissions in manage_users.proto."""
        actor, physician, user = _who(request)
        async with self._store.reading() as look:
            at = await standing(look, self._model, physician)
        at.require(actor, Action.USER_LIST)
        outcomes = [(action, at.account.outcome(user, action, Channel.WEB)) for action in Action]
        return pb.GetPermissionsResponse(
            permissions=[
                pb.Permission(action=action, shown=outcome.allowed, role=outcome.role) for action, outcome in outcomes
            ],
            roles=at.account.roles_of(user),
            revision=look.revision,
        )

    async def update_permissions(
        self, request: pb.UpdatePermissionsRequest, caller: str
    ) -> pb.UpdatePermissionsResponse:
        """See ManageUsersService.UpdatePermissions in manage_users.proto."""
        actor, physician, user = _who(request)
        holding = _holding(request.permissions)

        async def story(tx: Transaction) -> pb.UpdatePermissionsResponse:
            await manage_users.update(tx, self._model, physician, user, holding, actor=actor)
            return pb.UpdatePermissionsResponse()

        return await self._write(request, caller, actor, story)

    async def revoke_access(self, request: pb.RevokeAccessRequest, caller: str) -> pb.RevokeAccessResponse:
        """See ManageUsersService.RevokeAccess in manage_users.proto."""
        actor, physician, user = _who(request)

        async def story(tx: Transaction) -> pb.RevokeAccessResponse:
            await manage_users.revoke_access(tx, self._model, physician, user, actor=actor)
            return pb.RevokeAccessResponse()

        return await self._write(request, caller, actor, story)

    async def create_role(self, request: pb.CreateRoleRequest, caller: str) -> pb.CreateRoleResponse:
        """See ManageUsersService.CreateRole in manage_users.proto."""
        actor, physician, role = _which_role(request)
        definition = _definition(request.definition)

        async def story(tx: Transaction) -> pb.CreateRoleResponse:
            await custom_roles.create_role(tx, self._model, physician, role, definition, actor=actor)
            return pb.CreateRoleResponse()

        return await self._write(request, caller, actor, story)

    async def update_role(self, request: pb.UpdateRoleRequest, caller: str) -> pb.UpdateRoleResponse:
        """See ManageUsersService.UpdateRole in manage_users.proto."""
        actor, physician, role = _which_role(request)
        definition = _definition(request.definition)

        async def story(tx: Transaction) -> pb.UpdateRoleResponse:
            await custom_roles.update_role(tx, self._model, physician, role, definition, actor=actor)
            return pb.UpdateRoleResponse()

        return await self._write(request, caller, actor, story)

    async def delete_role(self, request: pb.DeleteRoleRequest, caller: str) -> pb.DeleteRoleResponse:
        """See ManageUsersService.DeleteRole in manage_users.proto."""
        actor, physician, role = _which_role(request)
        replacement = parse_role(request.replacement, "replacement") if request.replacement else None

        async def story(tx: Transaction) -> pb.DeleteRoleResponse:
            await custom_roles.delete_role(tx, self._model, physician, role, replacement, actor=actor)
            return pb.DeleteRoleResponse()

        return await self._write(request, caller, actor, story)

    async def list_roles(self, request: pb.ListRolesRequest, caller: str) -> pb.ListRolesResponse:  # noqa: ARG002
        """See ManageUsersService.ListRoles in manage_users.proto."""
        with Fields() as fields:
            actor = fields.read(_actor, request.actor)
            physician = fields.read(parse_physician, request.physician)
        async with self._store.reading() as look:
            at = await standing(look, self._model, physician)
        at.require(actor, Action.USER_LIST)
        roles = []
        for role in (*at.basis.roles, *at.account.custom_roles()):
            built_in = role in at.basis.roles
            definition = RoleDefinition() if built_in else custom_roles.definition_of(at.account, role)
            roles.append(
                pb.RoleInfo(
                    role=role,
                    built_in=built_in,
                    definition=pb.RoleDefinition(
                        allow=sorted(definition.allow),
                        deny=sorted(definition.deny),
                        includes=sorted(definition.includes),
                    ),
                    allowed=[action for action in Action if action in at.allowed_by(role)],
                    holders=sum(role in at.account.roles_of(user) for user in at.account.users()),
                )
            )
        return pb.ListRolesResponse(roles=roles, revision=look.revision)

    async def _write(
        self, request: Any, caller: str, actor: str, story: Callable[[Transaction], Awaitable[Response]]
    ) -> Response:
        """Run a story in one transaction; once for each idempotency key, whose answer is kept with it."""
        key = parse_key(request.idempotency_key)
        digest = hashlib.sha256(
            request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
        ).digest()
        async with self._store.transaction(caller=caller, actor=actor) as tx:
            kept = await tx.kept_answer(key, digest) if key else None
            if kept is not None:
                return cast(Response, _response_type(request).FromString(kept))
            response = await story(tx)
            response.revision = tx.written.revision
            if key:
                await tx.keep_answer(key, digest, response.SerializeToString())
        self._written()
        return response


def _response_type(request: Any) -> Any:
    """The message that answers a request: by the contract's own naming, XRequest and XResponse."""
    return getattr(pb, request.DESCRIPTOR.name.removesuffix("Request") + "Response")


def _actor(text: str) -> User:
    return parse_user(text, "actor")


def _email(text: str) -> str:
    if len(text) > _MOST_EMAIL:
        raise invalid("email", f"email has more than {_MOST_EMAIL} characters")
    return parse_email(text)


def _invitation_id(text: str) -> str:
    return parse_text(text, field="invitation_id", most=64)


def _who(request: Any) -> tuple[User, Physician, User]:
    with Fields() as fields:
        actor = fields.read(_actor, request.actor)
        physician = fields.read(parse_physician, request.physician)
        user = fields.read(partial(parse_user, field="username"), request.username)
    return actor, physician, user


def _which_role(request: Any) -> tuple[User, Physician, Role]:
    with Fields() as fields:
        actor = fields.read(_actor, request.actor)
        physician = fields.read(parse_physician, request.physician)
        role = fields.read(parse_role, request.role)
    return actor, physician, role


def _holding(permissions: pb.Permissions) -> Holding:
    if bool(permissions.roles) == bool(permissions.actions):
        raise invalid("permissions", "permissions takes either roles or actions, and at least one")
    with Fields() as fields:
        roles = [fields.read(partial(parse_role, field="permissions.roles"), role) for role in permissions.roles]
        actions = [
            fields.read(partial(parse_known_action, field="permissions.actions"), action)
            for action in permissions.actions
        ]
    return Holding(roles=frozenset(roles), actions=frozenset(actions))


def _definition(definition: pb.RoleDefinition) -> RoleDefinition:
    if not definition.allow and not definition.includes:
        raise invalid("definition", "definition allows nothing: name actions to allow, or roles to include")
    with Fields() as fields:
        allow = [fields.read(partial(parse_known_action, field="definition.allow"), a) for a in definition.allow]
        deny = [fields.read(partial(parse_known_action, field="definition.deny"), a) for a in definition.deny]
        includes = [fields.read(partial(parse_role, field="definition.includes"), role) for role in definition.includes]
    return RoleDefinition(allow=frozenset(allow), deny=frozenset(deny), includes=frozenset(includes))


def _states(numbers: Iterable[int]) -> list[InvitationState]:
    wanted = list(numbers) or [pb.INVITATION_STATE_PENDING]
    if any(number not in _STATES for number in wanted):
        raise invalid("states", "states names an unknown state")
    return [_STATES[number] for number in wanted]


def _page_token(token: str) -> int:
    if not token:
        return 2**63 - 1
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode("ascii"))
    except (ValueError, binascii.Error) as fault:
        raise invalid("page_token", "page_token is not one of this list") from fault


def _invitation(found: Invitation, now: datetime) -> pb.Invitation:
    state = found.state_at(now)
    waiting = found.delivery in (DeliveryState.QUEUED, DeliveryState.DELAYED)
    return pb.Invitation(
        id=found.id,
        physician=found.physician,
        username=found.user,
        email=found.email,
        permissions=pb.Permissions(roles=found.roles, actions=found.actions),
        state=_STATE_NUMBERS[state],
        invited_by=found.invited_by,
        invited_at=found.invited_at,
        expires_at=found.expires_at,
        delivery=pb.Delivery(
            state=_DELIVERIES.get(found.delivery, pb.DELIVERY_STATE_UNSPECIFIED),
            next_try=found.next_try if waiting else None,
            words=found.words,
            advice=advice(found.delivery) if state is InvitationState.PENDING else (),
        ),
    )
