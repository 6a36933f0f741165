"""All that the fake remembers, and what an acting person may do with it."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from policy_client.testing.refusals import refuse
from policy_client.testing.rules import BUILT_IN, OWNER, OWNER_ONLY, Account, Row

PENDING: Final = "PENDING"
ACCEPTED: Final = "ACCEPTED"
CANCELLED: Final = "CANCELLED"
EXPIRED: Final = "EXPIRED"
WITHDRAWN: Final = "WITHDRAWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as the directory knows them; active once they have credentials."""

    email: str | None
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a user is to hold: roles, or a free choice of actions."""

    roles: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def rows(self, user: str) -> frozenset[Row]:
        """The rows that give it to the user."""
        roles = [f"custom.{user}"] if self.actions else self.roles
        grants: set[Row] = {(f"user:{user}", f"role:{role}") for role in roles}
        return frozenset(grants | {(f"role:custom.{user}", action, "allow") for action in self.actions})


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation with the token of its last link. ``state`` does not know the time; ``state_at`` does."""

    id: str
    physician: str
    user: str
    email: str
    holding: Holding
    state: str
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    revision: int
    token: str

    def state_at(self, now: datetime) -> str:
        """The state as people see it."""
        return EXPIRED if self.state == PENDING and self.expires_at <= now else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The policy at a revision. A write changes a draft; only one that was not refused is kept."""

    revision: int = 1
    lineage: str = field(default_factory=lambda: secrets.token_hex(4))
    """Of which fake this is: two have no history in common."""
    accounts: dict[str, Account] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)

    def draft(self) -> "State":
        """A copy to write in, at the next revision."""
        return State(
            revision=self.revision + 1,
            lineage=self.lineage,
            accounts=dict(self.accounts),
            people=dict(self.people),
            invitations=dict(self.invitations),
        )

    def history_at(self, revision: int) -> str:
        """What stands beside a revision; empty for one that was not."""
        return f"{self.lineage}{revision:08x}" if 0 < revision <= self.revision else ""

    @property
    def history(self) -> str:
        """What stands beside the revision that holds now."""
        return self.history_at(self.revision)

    def differs(self, other: "State") -> bool:
        """Has anything changed, the revision apart?"""
        return replace(self, revision=other.revision) != other

    def account(self, physician: str) -> Account:
        """A registered account. Refuses UNKNOWN_PHYSICIAN."""
        if physician not in self.accounts:
            refuse("UNKNOWN_PHYSICIAN", physician=physician)
        return self.accounts[physician]

    def knows(self, user: str) -> bool:
        """Is anything granted to this user in any account?"""
        return any(user in account.users() for account in self.accounts.values())

    def open_for(self, physician: str, user: str) -> Invitation | None:
        """The user's invitation that nobody closed, expired or not."""
        found = (i for i in self.invitations.values() if (i.physician, i.user, i.state) == (physician, user, PENDING))
        return next(found, None)

    def close(self, invitation: Invitation, state: str) -> None:
        """Close an invitation; frees the name and address of somebody who never accepted one and has none open."""
        self.invitations[invitation.id] = replace(invitation, state=state)
        user = invitation.user
        waits = any(other.user == user and other.state == PENDING for other in self.invitations.values())
        if user in self.people and not self.people[user].is_active and not waits:
            del self.people[user]


def require(account: Account, actor: str, action: str) -> None:
    """Refuse ACTOR_NOT_ALLOWED unless the actor may."""
    if not account.may(actor, action):
        refuse("ACTOR_NOT_ALLOWED", actor=actor, action=action, physician=account.physician)


def refuse_self(actor: str, user: str) -> None:
    """Refuse SELF_EDIT where the actor is the user."""
    if actor == user:
        refuse("SELF_EDIT", actor=actor)


def refuse_unknown(account: Account, role: str) -> None:
    """Refuse UNKNOWN_ROLE unless the role is built in or defined here."""
    if role not in BUILT_IN and role not in account.custom_roles():
        refuse("UNKNOWN_ROLE", role=role, physician=account.physician)


def refuse_beyond(account: Account, actor: str, actions: Iterable[str]) -> None:
    """Refuse OWNER_ONLY and BEYOND_OWN_RIGHTS: what the actor cannot give to an invited user."""
    wanted = sorted(actions)
    for action in wanted:
        if action in OWNER_ONLY:
            refuse("OWNER_ONLY", action=action)
    beyond = [action for action in wanted if not account.may(actor, action)]
    if beyond:
        refuse("BEYOND_OWN_RIGHTS", actor=actor, actions=", ".join(beyond))


def refuse_holding_beyond(account: Account, actor: str, holding: Holding) -> None:
    """The same of roles and actions; also refuses UNKNOWN_ROLE."""
    for role in sorted(holding.roles):
        if role == OWNER:
            refuse("OWNER_ONLY", action="role owner")
        refuse_unknown(account, role)
        refuse_beyond(account, actor, account.allowed_by(role))
    refuse_beyond(account, actor, holding.actions)
