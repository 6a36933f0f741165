"""Rules of inviting: invite, resend, cancel, accept, decline, set up. An open invitation grants nothing."""

import secrets
from dataclasses import replace
from datetime import datetime

from policy_client.testing.claims import refuse_prompted, with_address
from policy_client.testing.letters import note, send
from policy_client.testing.refusals import refuse
from policy_client.testing.state import (
    ACCEPTED,
    CANCELLED,
    DECLINED,
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
    require(account, actor, "InviteUser")
    refuse_self(actor, user)
    if user in account.users():
        refuse("ALREADY_A_MEMBER", user=user, physician=physician)
    refuse_holding_beyond(account, actor, holding)
    before = draft.open_for(physician, user)
    if before is not None:
        if before.state_at(now) == PENDING:
            refuse("ALREADY_INVITED", user=user, invitation=before.id)
        draft.close(before, EXPIRED)
    refuse_prompted(draft, physician, user, email, now, reuse_existing=reuse_existing)
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
    """Replace the link of an invitation that is open, expired or waits for the set-up; ``email`` may be empty."""
    account = draft.account(physician)
    require(account, actor, "ResendInvitation")
    invitation = _found(draft, physician, wanted)
    email = email or invitation.email
    if not draft.awaits_setup(invitation):
        if invitation.state != PENDING:
            refuse("INVITATION_CLOSED", invitation=wanted, state=invitation.state.lower())
        refuse_holding_beyond(account, actor, invitation.holding)
    refuse_prompted(draft, physician, invitation.user, email, now, reuse_existing=True, but=wanted)
    send(draft, invitation=wanted, email=email, physician=physician, now=now)
    again = replace(invitation, email=email, expires_at=until, token=secrets.token_urlsafe(32))
    draft.invitations[wanted] = again
    return again


def cancel(draft: State, actor: str, physician: str, wanted: str, now: datetime) -> None:
    """Withdraw an open invitation."""
    require(draft.account(physician), actor, "CancelInvitation")
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
    require(account, invitation.invited_by, "InviteUser")
    refuse_holding_beyond(account, invitation.invited_by, invitation.holding)
    person, owner = draft.people.get(user), with_address(draft, invitation.email)
    if owner not in (None, user) or (person is not None and person.email is not None and owner is None):
        refuse("USER_MISMATCH")
    draft.accounts[account.physician] = account.with_rows(account.rows | invitation.holding.rows(user))
    is_new = person is None or not person.is_set_up
    draft.people[user] = Person(email=(person.email if person else None) or invitation.email, is_set_up=not is_new)
    draft.close(invitation, ACCEPTED)
    return invitation, is_new


def decline(draft: State, token: str, now: datetime) -> Invitation:
    """Say no to an invitation."""
    found = [i for i in draft.invitations.values() if i.token == token and i.state_at(now) == PENDING]
    if not found:
        refuse("INVALID_TOKEN")
    draft.close(found[0], DECLINED)
    return found[0]


def look_up(state: State, token: str, now: datetime) -> Invitation:
    """The invitation that a link leads to."""
    found = [one for one in state.invitations.values() if one.token == token and one.expires_at > now]
    if not found or (found[0].state != PENDING and not state.awaits_setup(found[0])):
        refuse("INVALID_TOKEN")
    return found[0]


def complete_setup(draft: State, token: str) -> Invitation:
    """Record that the user of an accepted invitation has credentials."""
    found = next((one for one in draft.invitations.values() if one.token == token), None)
    if found is not None and found.state == PENDING:
        refuse("NOT_ACCEPTED_YET")
    if found is None or not draft.awaits_setup(found):
        refuse("INVALID_TOKEN")
    draft.people[found.user] = replace(draft.people[found.user], is_set_up=True)
    return found


def follow(draft: State, user: str, before: str, email: str, now: datetime) -> None:
    """Send a user's open invitations anew, to the address that is theirs now; expired ones would go there."""
    for one in list(draft.invitations.values()):
        if one.user != user or one.state != PENDING:
            continue
        if one.state_at(now) == PENDING:
            draft.invitations[one.id] = replace(one, email=email, token=secrets.token_urlsafe(32))
            note(draft, invitation=one.id, email=email, physician=one.physician, now=now)
        elif one.email.lower() == before.lower():
            draft.invitations[one.id] = replace(one, email=email)


def _found(draft: State, physician: str, wanted: str) -> Invitation:
    invitation = draft.invitations.get(wanted)
    if invitation is None or invitation.physician != physician:
        refuse("UNKNOWN_INVITATION", invitation=wanted)
    return invitation
