"""Rules of inviting: invite, resend, cancel, accept.

An open invitation grants nothing. Whether the inviter may, and what the
invited user would get, is looked at when inviting and again when accepting.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy_service.addresses import refuse_name
from policy_service.authority import Standing, refuse_self, standing
from policy_service.custom_roles import refuse_long_chains
from policy_service.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvalidToken,
    InvitationClosed,
    UnknownInvitation,
    UserExists,
    UserMismatch,
)
from policy_service.letter_limits import LetterLimits
from policy_service.model import Model
from policy_service.store import Reading, Transaction, users
from policy_service.store import invitations as table
from policy_service.store.invitations import Invitation, InvitationState
from policy_service.tokens import TokenKey, hash_of
from policy_service.vocabulary import (
    Action,
    Effect,
    Physician,
    Role,
    Row,
    User,
    domain_of,
    grant_row,
    own_role,
    rule_row,
    subject_of_user,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a user is to hold: roles, or a free choice of actions; one of the two."""

    roles: frozenset[Role] = frozenset()
    actions: frozenset[Action] = frozenset()

    def rows(self, physician: Physician, user: User) -> frozenset[Row]:
        """The rows that give it to the user."""
        domain, subject = domain_of(physician), subject_of_user(user)
        if not self.actions:
            return frozenset(grant_row(subject, role, domain) for role in self.roles)
        role = own_role(user)
        rules = {rule_row(role, domain, action, Effect.ALLOW) for action in self.actions}
        return frozenset(rules | {grant_row(subject, role, domain)})

    def refuse_beyond(self, at: Standing, actor: User) -> None:
        """Raise UnknownRole, OwnerOnly or BeyondOwnRights if the actor cannot give it."""
        at.refuse_roles_beyond(actor, self.roles)
        at.refuse_beyond(actor, self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Who accepted what, and whether they must set up credentials."""

    user: User
    physician: Physician
    is_new: bool


class Invitations:
    """The use cases, with what they need besides a transaction."""

    def __init__(
        self, model: Model, key: TokenKey, *, valid_for: timedelta, limits: LetterLimits | None = None
    ) -> None:
        """Links are made with ``key`` and work for ``valid_for``; their e-mails are as many as ``limits`` say."""
        self._model = model
        self._key = key
        self._valid_for = valid_for
        self._limits = limits or LetterLimits()

    async def invite(
        self,
        tx: Transaction,
        physician: Physician,
        user: User,
        email: str,
        holding: Holding,
        *,
        actor: User,
        reuse_existing: bool,
        now: datetime,
    ) -> Invitation:
        """Write an invitation and queue its e-mail.

        Raises ActorNotAllowed, SelfEdit, AlreadyMember, AlreadyInvited,
        UserExists, UserMismatch, TooManyLetters, and what ``Holding.refuse_beyond`` raises.
        """
        at = await standing(tx, self._model, physician)
        at.require(actor, Action.USER_INVITE)
        refuse_self(actor, user)
        if at.is_member(user):
            raise AlreadyMember(user=user, physician=physician)
        holding.refuse_beyond(at, actor)
        await self._refuse_open(tx, physician, user, now)
        await self._reserve(tx, user, email, reuse_existing=reuse_existing)
        await self._limits.refuse_more(tx, physician=physician, email=email, invitation=None, now=now)
        wanted = f"inv-{secrets.token_hex(12)}"
        await table.add(
            tx,
            id=wanted,
            physician=physician,
            user=user,
            email=email,
            roles=sorted(holding.roles),
            actions=sorted(holding.actions),
            invited_by=actor,
            now=now,
            expires_at=now + self._valid_for,
            token_hash=self._key.hash(wanted, 1),
            message_id=_message_id(wanted, 1),
        )
        await tx.change("invite", physician, detail=_detail(wanted, user, holding.roles, holding.actions))
        return await _found(tx, physician, wanted)

    async def resend(
        self, tx: Transaction, physician: Physician, wanted: str, email: str | None, *, actor: User, now: datetime
    ) -> Invitation:
        """Replace the link of an open or expired invitation and queue its e-mail, maybe to another address.

        Raises ActorNotAllowed, UnknownInvitation, InvitationClosed, UserMismatch and TooManyLetters.
        """
        at = await standing(tx, self._model, physician)
        at.require(actor, Action.USER_INVITE)
        invitation = await _found(tx, physician, wanted)
        _refuse_closed(invitation, invitation.state)
        Holding(roles=frozenset(invitation.roles), actions=frozenset(invitation.actions)).refuse_beyond(at, actor)
        if email is not None and email != invitation.email:
            await self._readdress(tx, invitation, email)
        await self._limits.refuse_more(
            tx, physician=physician, email=email or invitation.email, invitation=wanted, now=now
        )
        generation = invitation.generation + 1
        await table.renew(
            tx,
            invitation,
            email=email or invitation.email,
            expires_at=now + self._valid_for,
            token_hash=self._key.hash(wanted, generation),
            message_id=_message_id(wanted, generation),
            now=now,
        )
        await tx.change("invitation.resend", physician, detail={"invitation": wanted, "user": invitation.user})
        return await _found(tx, physician, wanted)

    async def listed(
        self,
        look: Reading,
        physician: Physician,
        states: Sequence[InvitationState],
        *,
        actor: User,
        before: int,
        size: int,
        now: datetime,
    ) -> list[Invitation]:
        """Invitations in some states, newest first, made before a revision. Raises ActorNotAllowed."""
        at = await standing(look, self._model, physician)
        at.require(actor, Action.USER_LIST)
        return await table.page(look, physician, states, before, now, size)

    async def cancel(self, tx: Transaction, physician: Physician, wanted: str, *, actor: User, now: datetime) -> None:
        """Withdraw an open invitation. Raises ActorNotAllowed, UnknownInvitation and InvitationClosed."""
        at = await standing(tx, self._model, physician)
        at.require(actor, Action.USER_INVITE)
        invitation = await _found(tx, physician, wanted)
        _refuse_closed(invitation, invitation.state_at(now))
        await table.close(tx, invitation, InvitationState.CANCELLED)
        await users.forget_unaccepted(tx, invitation.user)
        await tx.change("invitation.cancel", physician, detail={"invitation": wanted, "user": invitation.user})

    async def accept(self, tx: Transaction, token: str, *, now: datetime) -> Accepted:
        """Use a token, once: the user gets what the invitation says.

        Raises InvalidToken; and, the token staying good, ActorNotAllowed,
        UnknownRole, OwnerOnly or BeyondOwnRights where the inviter could no
        longer invite like this.
        """
        invitation = await table.consume(tx, hash_of(token), now)
        if invitation is None:
            raise InvalidToken
        physician, user = invitation.physician, invitation.user
        tx.act_as(user)
        at = await standing(tx, self._model, physician)
        at.require(invitation.invited_by, Action.USER_INVITE)
        holding = Holding(roles=frozenset(invitation.roles), actions=frozenset(invitation.actions))
        holding.refuse_beyond(at, invitation.invited_by)
        rows = holding.rows(physician, user)
        refuse_long_chains(physician, at.rows | rows)
        is_new = await users.activate(tx, user)
        detail = {"invitation": invitation.id, "invited_by": invitation.invited_by}
        await tx.change("invitation.accept", physician, begun=rows - at.rows, detail=detail)
        return Accepted(user=user, physician=physician, is_new=is_new)

    async def _readdress(self, tx: Transaction, invitation: Invitation, email: str) -> None:
        """Another address for somebody whom only this account invited, and who never accepted.

        Anybody else's mail goes to the address that is known: whoever could
        turn it would accept, or set up credentials, in their place.
        """
        person, other = await users.by_name(tx, invitation.user), await users.by_email(tx, email)
        if (
            (other is not None and other.user != invitation.user)
            or person is None
            or person.is_active
            or await table.is_open_elsewhere(tx, invitation.physician, invitation.user)
        ):
            raise UserMismatch
        await users.readdress(tx, invitation.user, email)

    async def _refuse_open(self, tx: Transaction, physician: Physician, user: User, now: datetime) -> None:
        before = await table.open_for(tx, physician, user)
        if before is None:
            return
        if before.is_open(now):
            raise AlreadyInvited(user=user, invitation=before.id)
        await table.close(tx, before, InvitationState.EXPIRED)
        await users.forget_unaccepted(tx, user)

    async def _reserve(self, tx: Transaction, user: User, email: str, *, reuse_existing: bool) -> None:
        named, addressed = await users.by_name(tx, user), await users.by_email(tx, email)
        if named is None and addressed is None:
            refuse_name(user, "username")
            await users.add(tx, user, email)
            return
        if (addressed is not None and addressed.user != user) or (
            named is not None and named.email is not None and addressed is None
        ):
            raise UserMismatch
        if not reuse_existing:
            raise UserExists(user=user)
        if named is not None and named.email is None:
            await users.readdress(tx, user, email)


async def _found(tx: Transaction, physician: Physician, wanted: str) -> Invitation:
    invitation = await table.one(tx, physician, wanted)
    if invitation is None:
        raise UnknownInvitation(invitation=wanted)
    return invitation


def _refuse_closed(invitation: Invitation, state: InvitationState) -> None:
    if state is not InvitationState.PENDING:
        raise InvitationClosed(invitation=invitation.id, state=state)


def _message_id(invitation: str, generation: int) -> str:
    # The same for every try of one e-mail, so that a second copy is known as one.
    return f"<{invitation}.{generation}@policy-service.invalid>"


def _detail(invitation: str, user: User, roles: frozenset[Role], actions: frozenset[Action]) -> dict[str, object]:
    return {"invitation": invitation, "user": user, "roles": sorted(roles), "actions": sorted(actions)}
