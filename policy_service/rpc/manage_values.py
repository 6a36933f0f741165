"""The messages of Manage Users: read strictly, and written for people."""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

from policy_service.members import Holding, Looked, RoleDefinition, advice, parse_email, refuse_name
from policy_service.pb import manage_users_pb2 as pb
from policy_service.rpc.bounds import TEXTS
from policy_service.rpc.fields import Fields, invalid, parse_text
from policy_service.store import DeliveryState, Invitation, InvitationState, Kept
from policy_service.vocabulary import Physician, Role, User, parse_action, parse_physician, parse_role, parse_user

MOST_DISPLAY_NAME: Final = TEXTS["display_name"]
_MOST_DIGITS: Final = 18
MOST_INVITATIONS: Final = 1_000
_STATES: Final[dict[int, InvitationState]] = {
    pb.InvitationState.Value(f"INVITATION_STATE_{state.name}"): state for state in InvitationState
}
_STATE_NUMBERS: Final = {state: cast(pb.InvitationState, number) for number, state in _STATES.items()}
_DELIVERIES: Final[dict[DeliveryState, pb.DeliveryState]] = {
    state: cast(pb.DeliveryState, pb.DeliveryState.Value(f"DELIVERY_STATE_{state.name}"))
    for state in DeliveryState
    if state is not DeliveryState.DROPPED
}


def response_type(request: Any) -> Any:
    """The message that answers a request: by the contract's own naming, XRequest and XResponse."""
    return getattr(pb, request.DESCRIPTOR.name.removesuffix("Request") + "Response")


def what_to_keep(key: str, digest: bytes, request: Any, response: Any, user: str) -> Kept:
    """An answer as it is kept: of a role, or of the users named in it, in the request, or by the change (``user``).

    An answer about an invitation or a link ends with that. That an account
    was opened stays true.
    """
    named = {user, getattr(request, "username", ""), getattr(response, "username", "")} - {""}
    role = getattr(request, "role", "")
    if role or isinstance(request, pb.RegisterPhysicianRequest):
        named = set()
    ends = getattr(response, "invitation", response)
    return Kept(
        key=key,
        digest=digest,
        answer=response.SerializeToString(),
        revision=response.revision,
        physician=getattr(request, "physician", "") or getattr(response, "physician", "") or None,
        users=tuple(sorted(named)),
        role=role,
        stands_until=ends.expires_at.ToDatetime(tzinfo=UTC) if hasattr(ends, "expires_at") else None,
    )


def parse_actor(text: str) -> User:
    """Read the acting person; raises InvalidRequest."""
    return parse_user(text, "actor")


def parse_address(text: str) -> str:
    """Read an e-mail address; raises InvalidRequest."""
    return parse_email(text)


def parse_new_user(text: str, *, field: str) -> User:
    """Read a username that may be somebody's first; raises InvalidRequest."""
    user = parse_user(text, field)
    refuse_name(user, field)
    return user


def parse_new_physician(text: str) -> Physician:
    """Read the name of an account to be; raises InvalidRequest."""
    physician = parse_physician(text)
    refuse_name(physician, "physician")
    return physician


def parse_invitation_id(text: str) -> str:
    """Read an invitation's id; raises InvalidRequest."""
    return parse_text(text, field="invitation_id", most=TEXTS["invitation_id"])


def parse_who(request: Any) -> tuple[User, Physician, User]:
    """Read actor, physician and username; raises InvalidRequest."""
    with Fields() as fields:
        actor = fields.read(parse_actor, request.actor)
        physician = fields.read(parse_physician, request.physician)
        user = fields.read(partial(parse_user, field="username"), request.username)
    return actor, physician, user


def parse_which_role(request: Any) -> tuple[User, Physician, Role]:
    """Read actor, physician and role; raises InvalidRequest."""
    with Fields() as fields:
        actor = fields.read(parse_actor, request.actor)
        physician = fields.read(parse_physician, request.physician)
        role = fields.read(parse_role, request.role)
    return actor, physician, role


def parse_holding(permissions: pb.Permissions) -> Holding:
    """Read roles or actions; raises InvalidRequest."""
    if bool(permissions.roles) == bool(permissions.actions):
        raise invalid("permissions", "permissions takes either roles or actions, and at least one")
    with Fields() as fields:
        roles = [fields.read(partial(parse_role, field="permissions.roles"), role) for role in permissions.roles]
        actions = [
            fields.read(partial(parse_action, field="permissions.actions"), action) for action in permissions.actions
        ]
    return Holding(roles=frozenset(roles), actions=frozenset(actions))


def parse_definition(definition: pb.RoleDefinition) -> RoleDefinition:
    """Read a custom role's definition; raises InvalidRequest."""
    if not definition.allow and not definition.includes:
        raise invalid("definition", "definition allows nothing: name actions to allow, or roles to include")
    with Fields() as fields:
        allow = [fields.read(partial(parse_action, field="definition.allow"), a) for a in definition.allow]
        deny = [fields.read(partial(parse_action, field="definition.deny"), a) for a in definition.deny]
        includes = [fields.read(partial(parse_role, field="definition.includes"), role) for role in definition.includes]
    return RoleDefinition(allow=frozenset(allow), deny=frozenset(deny), includes=frozenset(includes))


def parse_states(numbers: Iterable[int]) -> list[InvitationState]:
    """Read the states asked for, pending by default; raises InvalidRequest."""
    wanted = list(numbers) or [pb.INVITATION_STATE_PENDING]
    if any(number not in _STATES for number in wanted):
        raise invalid("states", "states names an unknown state")
    return [_STATES[number] for number in wanted]


def parse_page_token(token: str) -> int:
    """Read the revision before which a page begins; raises InvalidRequest."""
    if not token:
        return 2**63 - 1
    try:
        digits = base64.urlsafe_b64decode(token.encode()).decode("ascii")
    except (ValueError, binascii.Error) as fault:
        raise invalid("page_token", "page_token is not one of this list") from fault
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS:
        raise invalid("page_token", "page_token is not one of this list")
    return int(digits)


def encode_page_token(revision: int) -> str:
    """The token of the page after the invitation made at a revision."""
    return base64.urlsafe_b64encode(str(revision).encode()).decode()


def encode_invitation(found: Invitation, now: datetime) -> pb.Invitation:
    """An invitation as it stands now."""
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
            advice=advice(found.delivery, our_fault=found.our_fault)
            if state is InvitationState.PENDING or found.awaits_setup
            else (),
            our_fault=found.our_fault,
        ),
        awaits_setup=found.awaits_setup,
    )


def encode_looked(found: Looked) -> pb.LookUpInvitationResponse:
    """What a link leads to."""
    invitation = found.invitation
    return pb.LookUpInvitationResponse(
        physician=invitation.physician,
        display_name=found.title,
        username=invitation.user,
        email=invitation.email,
        state=_STATE_NUMBERS[invitation.state],
        invited_by=invitation.invited_by,
        allowed=found.allowed,
        expires_at=invitation.expires_at,
        must_set_up_credentials=found.must_set_up,
    )
