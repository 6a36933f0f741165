"""The life of an invitation and of the credentials that come with it: docs/manage-users.md draws it.

An open invitation grants nothing, and reserves its name and address until its
time is up. Whether the inviter may, and what the invited user would get, is
looked at when inviting and again when accepting. Accepting makes a member and
confirms the address; a new user's credentials are set up after that, which is
a fact of its own: until it is recorded, the link leads back to the set-up, and
can be sent again. What the account does is here; what whoever holds a link does
is in ``links``.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from policy_service.decide import Model
from policy_service.members import claims
from policy_service.members.authority import refuse_self, standing
from policy_service.members.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationClosed,
    UnknownInvitation,
)
from policy_service.members.holding import Holding
from policy_service.members.letter_limits import LetterLimits
from policy_service.members.prompts import Prompts
from policy_service.members.tokens import TokenKey
from policy_service.store import Invitation, InvitationState, Reading, Transaction
from policy_service.store import invitations as table
from policy_service.vocabulary import (
    Action,
    Operation,
    Physician,
    Role,
    User,
)


class Invitations:
    """The use cases, with what they need besides a transaction."""

    def __init__(
        self, model: Model, key: TokenKey, prompts: Prompts, *, valid_for: timedelta, limits: LetterLimits | None = None
    ) -> None:
        """Links are made with ``key`` and work for ``valid_for``; their e-mails are as many as ``limits`` say.

        ``prompts`` bounds what accounts are told.
        """
        self._model = model
        self._key = key
        self._prompts = prompts
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
        UserExists, UserMismatch, TooManyPrompts, TooManyLetters, and what
        ``Holding.refuse_beyond`` raises.
        """
        at = await standing(tx, self._model, physician)
        at.require(actor, Operation.INVITE_USER)
        refuse_self(actor, user)
        if at.is_member(user):
            raise AlreadyMember(user=user, physician=physician)
        holding.refuse_beyond(at, actor)
        await self._refuse_open(tx, physician, user, now)
        await self._refuse_prompted(tx, physician, user, email, now, reuse_existing=reuse_existing)
        await self._limits.refuse_more(tx, physician=physician, email=email, invitation=None, now=now)
        wanted = f"inv-{secrets.token_hex(12)}"
        invitation = await table.add(
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
        return invitation

    async def resend(
        self, tx: Transaction, physician: Physician, wanted: str, email: str | None, *, actor: User, now: datetime
    ) -> Invitation:
        """Replace the link of an open or expired invitation and queue its e-mail, maybe to another address.

        One that was accepted is sent again while its user's credentials are
        not set up, to the address that they confirmed. Raises ActorNotAllowed,
        UnknownInvitation, InvitationClosed, UserExists, UserMismatch,
        TooManyPrompts and TooManyLetters.
        """
        at = await standing(tx, self._model, physician)
        at.require(actor, Operation.RESEND_INVITATION)
        invitation = await _found(tx, physician, wanted)
        email = email or invitation.email
        if not invitation.awaits_setup:
            _refuse_closed(invitation, invitation.state)
            Holding(roles=frozenset(invitation.roles), actions=frozenset(invitation.actions)).refuse_beyond(at, actor)
        await self._refuse_prompted(tx, physician, invitation.user, email, now, reuse_existing=True, but=wanted)
        await self._limits.refuse_more(tx, physician=physician, email=email, invitation=wanted, now=now)
        generation = invitation.generation + 1
        await table.renew(
            tx,
            invitation,
            email=email,
            expires_at=now + self._valid_for,
            token_hash=self._key.hash(wanted, generation),
            message_id=_message_id(wanted, generation),
            now=now,
        )
        kind = "setup.resend" if invitation.awaits_setup else "invitation.resend"
        readdressed = {"email": email, "before": invitation.email} if email != invitation.email else {}
        await tx.change(kind, physician, detail={"invitation": wanted, "user": invitation.user, **readdressed})
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
        at.require(actor, Operation.LIST_INVITATIONS)
        return await table.page(look, physician, states, before, now, size)

    async def cancel(self, tx: Transaction, physician: Physician, wanted: str, *, actor: User, now: datetime) -> None:
        """Withdraw an open invitation. Raises ActorNotAllowed, UnknownInvitation and InvitationClosed."""
        at = await standing(tx, self._model, physician)
        at.require(actor, Operation.CANCEL_INVITATION)
        invitation = await _found(tx, physician, wanted)
        _refuse_closed(invitation, invitation.state_at(now))
        await table.close(tx, invitation, InvitationState.CANCELLED)
        await tx.change("invitation.cancel", physician, detail={"invitation": wanted, "user": invitation.user})

    async def follow(self, tx: Transaction, user: User, before: str, email: str, *, now: datetime) -> list[Physician]:
        """Send a user's open invitations anew, to the address that is theirs now: the old links are dead.

        Whose they are. Expired ones that went to the address ``before`` would go to the new one.
        """
        await table.readdress_expired(tx, user, before, email, now)
        found = await table.open_of(tx, user, now)
        for invitation in found:
            generation = invitation.generation + 1
            await table.renew(
                tx,
                invitation,
                email=email,
                expires_at=invitation.expires_at,
                token_hash=self._key.hash(invitation.id, generation),
                message_id=_message_id(invitation.id, generation),
                now=now,
            )
        return sorted({invitation.physician for invitation in found})

    async def _refuse_open(self, tx: Transaction, physician: Physician, user: User, now: datetime) -> None:
        before = await table.open_for(tx, physician, user)
        if before is None:
            return
        if before.is_open(now):
            raise AlreadyInvited(user=user, invitation=before.id)
        await table.close(tx, before, InvitationState.EXPIRED)

    async def _refuse_prompted(
        self,
        tx: Transaction,
        physician: Physician,
        user: User,
        email: str,
        now: datetime,
        *,
        reuse_existing: bool,
        but: str = "",
    ) -> None:
        """Raise what the page must ask or tell its owner, so many times an hour."""
        self._prompts.refuse_spent(physician, now)
        fault = await claims.prompt(tx, user, email, now, reuse_existing=reuse_existing, but=but)
        if fault is not None:
            self._prompts.note(physician, now)
            raise fault


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
