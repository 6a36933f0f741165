"""Rules of inviting: invite, resend, cancel, accept. An open invitation grants nothing."""

import secrets
from dataclasses import replace
from datetime import datetime

from policy_client.testing.letters import send
from policy_client.testing.refusals import refuse
from policy_client.testing.state import (
    ACCEPTED,
    CANCELLED,
    EXPIRED,
    PENDING,
    Holding,
    Invitation,
    Person,
    State,
    refuse_holding_beyond,
    refuse_self,
    require,
)


def invite(
    draft: State,
    actor: str,
    physician: str,
    user: str,
    email: str,
    holding: Holding,
    *,
    reuse_existing: bool,
    now: datetime,
    until: datetime,
) -> Invitation:
    """Make an open invitation."""
    account = draft.account(physician)
    require(account, actor, "user:invite")
    refuse_self(actor, user)
    if user in account.users():
        refuse("ALREADY_A_MEMBER", user=user, physician=physician)
    refuse_holding_beyond(account, actor, holding)
    before = draft.open_for(physician, user)
    if before is not None:
        if before.state_at(now) == PENDING:
            refuse("ALREADY_INVITED", user=user, invitation=before.id)
        draft.close(before, EXPIRED)
    _reserve(draft, user, email, reuse_existing=reuse_existing)
    invitation = Invitation(
        id=f"inv-{secrets.token_hex(12)}",
        physician=physician,
        user=user,
        email=email,
        holding=holding,
        state=PENDING,
        invited_by=actor,
        invited_at=now,
        expires_at=until,
        revision=draft.revision,
        token=secrets.token_urlsafe(32),
    )
    send(draft, invitation=invitation.id, email=email, physician=physician, now=now)
    draft.invitations[invitation.id] = invitation
    return invitation


def resend(
    draft: State, actor: str, physician: str, wanted: str, email: str, *, now: datetime, until: datetime
) -> Invitation:
    """Replace the link of an open or expired invitation; ``email`` may be empty."""
    account = draft.account(physician)
    require(account, actor, "user:invite")
    invitation = _found(draft, physician, wanted)
    if invitation.state != PENDING:
        refuse("INVITATION_CLOSED", invitation=wanted, state=invitation.state.lower())
    refuse_holding_beyond(account, actor, invitation.holding)
    if email and email != invitation.email:
        elsewhere = any(
            i.user == invitation.user and i.physician != physician and i.state == PENDING
            for i in draft.invitations.values()
        )
        taken = _addressed(draft, email) not in (None, invitation.user)
        if taken or elsewhere or draft.people[invitation.user].is_active:
            refuse("USER_MISMATCH")
        draft.people[invitation.user] = Person(email=email, is_active=False)
    send(draft, invitation=wanted, email=email or invitation.email, physician=physician, now=now)
    again = replace(invitation, email=email or invitation.email, expires_at=until, token=secrets.token_urlsafe(32))
    draft.invitations[wanted] = again
    return again


def cancel(draft: State, actor: str, physician: str, wanted: str, now: datetime) -> None:
    """Withdraw an open invitation."""
    require(draft.account(physician), actor, "user:invite")
    invitation = _found(draft, physician, wanted)
    if invitation.state_at(now) != PENDING:
        refuse("INVITATION_CLOSED", invitation=wanted, state=invitation.state_at(now).lower())
    draft.close(invitation, CANCELLED)


def accept(draft: State, token: str, now: datetime) -> tuple[Invitation, bool]:
    """Use a token, once: the user gets what the invitation says. Also answers whether the user is new."""
    found = [i for i in draft.invitations.values() if i.token == token and i.state_at(now) == PENDING]
    if not found:
        refuse("INVALID_TOKEN")
    invitation, user = found[0], found[0].user
    account = draft.account(invitation.physician)
    # The inviter's right and the roles are looked at again.
    require(account, invitation.invited_by, "user:invite")
    refuse_holding_beyond(account, invitation.invited_by, invitation.holding)
    draft.accounts[account.physician] = account.with_rows(account.rows | invitation.holding.rows(user))
    person = draft.people[user]
    draft.people[user] = replace(person, is_active=True)
    draft.close(invitation, ACCEPTED)
    return invitation, not person.is_active


def _found(draft: State, physician: str, wanted: str) -> Invitation:
    invitation = draft.invitations.get(wanted)
    if invitation is None or invitation.physician != physician:
        refuse("UNKNOWN_INVITATION", invitation=wanted)
    return invitation


def _addressed(draft: State, email: str) -> str | None:
    """Whose address this is, however it is written."""
    lower = email.lower()
    return next((user for user, person in draft.people.items() if (person.email or "").lower() == lower), None)


def _reserve(draft: State, user: str, email: str, *, reuse_existing: bool) -> None:
    named, addressed = draft.people.get(user), _addressed(draft, email)
    if named is None and addressed is None:
        draft.people[user] = Person(email=email, is_active=False)
        return
    if addressed not in (None, user) or (named is not None and named.email is not None and addressed is None):
        refuse("USER_MISMATCH")
    if not reuse_existing:
        refuse("USER_EXISTS", user=user)
    if named is not None and named.email is None:
        draft.people[user] = replace(named, email=email)
