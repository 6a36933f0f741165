"""What whoever holds an invitation's link does, known by the token in it: look, accept, decline, complete the set-up.

Whether the inviter may, and what the invited user would get, is looked at
again when accepting. A token that leads nowhere is refused, whatever it was.
"""

from dataclasses import dataclass
from datetime import datetime

from policy_service.decide import Model
from policy_service.members.authority import standing
from policy_service.members.definitions import refuse_long_chains
from policy_service.members.errors import (
    InvalidToken,
    NotAcceptedYet,
    UserMismatch,
)
from policy_service.members.holding import Holding
from policy_service.members.tokens import hash_of
from policy_service.store import Invitation, InvitationState, Reading, Transaction, users
from policy_service.store import invitations as table
from policy_service.vocabulary import (
    Action,
    Operation,
    Physician,
    User,
    subject_of_user,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Who accepted what, and whether they must set up credentials."""

    user: User
    physician: Physician
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What whoever holds a link may know before using it."""

    invitation: Invitation
    title: str
    """How the account is called in texts for people."""
    allowed: tuple[Action, ...]
    """What one will be able to do."""
    must_set_up: bool


async def accept(tx: Transaction, model: Model, token: str, *, now: datetime) -> Accepted:
    """Use a token, once: the user gets what the invitation says, and the address it was sent to is theirs.

    Raises InvalidToken; and, the token staying good, ActorNotAllowed,
    UnknownRole, OwnerOnly or BeyondOwnRights where the inviter could no
    longer invite like this, and UserMismatch where the user has confirmed
    another address meanwhile, or somebody else this one.
    """
    invitation = await table.consume(tx, hash_of(token), now, InvitationState.ACCEPTED)
    if invitation is None:
        raise InvalidToken
    physician, user = invitation.physician, invitation.user
    tx.act_as(user)
    at = await standing(tx, model, physician)
    at.require(invitation.invited_by, Operation.INVITE_USER)
    holding = Holding(roles=frozenset(invitation.roles), actions=frozenset(invitation.actions))
    holding.refuse_beyond(at, invitation.invited_by)
    rows = holding.rows(physician, user)
    refuse_long_chains(physician, at.with_rows(at.rows | rows).within_reach(subject_of_user(user)))
    is_new = await _bind(tx, user, invitation.email)
    detail = {"invitation": invitation.id, "invited_by": invitation.invited_by, "user": user}
    await tx.change("invitation.accept", physician, begun=rows - at.rows, detail=detail)
    return Accepted(user=user, physician=physician, is_new=is_new)


async def decline(tx: Transaction, token: str, *, now: datetime) -> Invitation:
    """Use a token to say no: the invitation ends, and what it reserved is free. Raises InvalidToken."""
    invitation = await table.consume(tx, hash_of(token), now, InvitationState.DECLINED)
    if invitation is None:
        raise InvalidToken
    tx.act_as(invitation.user)
    detail = {"invitation": invitation.id, "user": invitation.user}
    await tx.change("invitation.decline", invitation.physician, detail=detail)
    return invitation


async def look_up(look: Reading, model: Model, token: str, *, now: datetime) -> Looked:
    """What a link leads to, without using it. Raises InvalidToken for one that leads nowhere."""
    invitation = await table.of_token(look, hash_of(token))
    if invitation is None or invitation.expires_at <= now:
        raise InvalidToken
    if invitation.state is not InvitationState.PENDING and not invitation.awaits_setup:
        raise InvalidToken
    at = await standing(look, model, invitation.physician)
    holding = Holding(roles=frozenset(invitation.roles), actions=frozenset(invitation.actions))
    then = at.with_rows(at.rows | holding.rows(invitation.physician, invitation.user))
    person = await users.one(look, invitation.user)
    return Looked(
        invitation=invitation,
        title=await look.title_of(invitation.physician),
        allowed=tuple(action for action in at.basis.catalogue.actions if then.may(invitation.user, action)),
        must_set_up=person is None or not person.is_set_up,
    )


async def complete_setup(tx: Transaction, token: str) -> Invitation:
    """Record that the user of an accepted invitation has set up their credentials.

    The link leads nowhere afterwards. Raises NotAcceptedYet, and
    InvalidToken where nothing is left to finish.
    """
    invitation = await table.of_token(tx, hash_of(token))
    if invitation is not None and invitation.state is InvitationState.PENDING:
        raise NotAcceptedYet
    if invitation is None or not invitation.awaits_setup:
        raise InvalidToken
    tx.act_as(invitation.user)
    await users.set_up(tx, invitation.user)
    detail = {"invitation": invitation.id, "user": invitation.user}
    await tx.change("setup.complete", invitation.physician, detail=detail)
    return invitation


async def _bind(tx: Transaction, user: User, email: str) -> bool:
    """Know the user at the address that they confirmed by the link; whether their credentials are to be set up."""
    person, owner = await users.one(tx, user), await users.with_address(tx, email)
    if owner not in (None, user) or (person is not None and person.email is not None and owner is None):
        raise UserMismatch
    if person is None:
        await users.add(tx, user, email)
    elif person.email is None:
        await users.readdress(tx, user, email)
    return person is None or not person.is_set_up
