"""Roles and invitations as messages of the contract."""

from datetime import datetime
from typing import Final

from policy_client._pb import manage_users_pb2 as mu
from policy_client.testing.rules import Account
from policy_client.testing.state import PENDING, Invitation, State

_ADVICE: Final = (
    "It may still be on its way: it can take a couple of hours, longer around holidays.",
    "Ask the recipient to look in their junk or spam folder.",
    "Check the address; if it was mistyped, resend to the right one.",
    "A corporate mail server may block it: resend to another address, or ask their administrator to allow it.",
)


def role_message(account: Account, role: str) -> mu.RoleInfo:
    """A role as it stands in an account."""
    built_in = role in account.built_in.roles
    rows = [] if built_in else sorted(account.of(f"role:{role}"))
    allowed = account.allowed_by(role)
    return mu.RoleInfo(
        role=role,
        built_in=built_in,
        definition=mu.RoleDefinition(
            allow=[row[1] for row in rows if row[2:] == ("allow",)],
            deny=[row[1] for row in rows if row[2:] == ("deny",)],
            includes=[row[1].removeprefix("role:") for row in rows if len(row) == 2],
        ),
        allowed=[action for action in account.built_in.actions if action in allowed],
        holders=sum(role in account.roles_of(user) for user in account.users()),
    )


def invitation_message(found: State, invitation: Invitation, now: datetime) -> mu.Invitation:
    """An invitation as it stands now. Its e-mail is always sent already."""
    awaits_setup = found.awaits_setup(invitation)
    state = invitation.state_at(now)
    return mu.Invitation(
        id=invitation.id,
        physician=invitation.physician,
        username=invitation.user,
        email=invitation.email,
        permissions=mu.Permissions(roles=invitation.holding.roles, actions=invitation.holding.actions),
        state=getattr(mu, f"INVITATION_STATE_{state}"),
        invited_by=invitation.invited_by,
        invited_at=invitation.invited_at,
        expires_at=invitation.expires_at,
        delivery=mu.Delivery(state=mu.DELIVERY_STATE_SENT, advice=_ADVICE if state == PENDING or awaits_setup else ()),
        awaits_setup=awaits_setup,
    )
