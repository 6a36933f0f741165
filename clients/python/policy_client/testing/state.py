"""All that the fake remembers, and what an acting person may do with it."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from policy_client.testing.fields import Fields
from policy_client.testing.limits import Limits, Prompts
from policy_client.testing.refusals import refuse
from policy_client.testing.rules import OWNER, Account, BuiltIn, Row

PENDING: Final = "PENDING"
ACCEPTED: Final = "ACCEPTED"
CANCELLED: Final = "CANCELLED"
EXPIRED: Final = "EXPIRED"
WITHDRAWN: Final = "WITHDRAWN"
DECLINED: Final = "DECLINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user whom the directory knows: their confirmed address, and whether they set up credentials."""

    email: str | None
    is_set_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """A wish for another address, with the token of its link."""

    user: str
    email: str
    is_open: bool
    asked_at: datetime
    expires_at: datetime
    token: str


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
    closed_at: int = 0
    """The revision at which it was accepted."""

    def state_at(self, now: datetime) -> str:
        """The state as people see it."""
        return EXPIRED if self.state == PENDING and self.expires_at <= now else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An e-mail that would have gone out; one about an address is of no invitation and no account."""

    invitation: str
    address: str
    account: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The policy at a revision. A write changes a draft; only one that was not refused is kept."""

    revision: int = 1
    built_in: BuiltIn
    lineage: str = field(default_factory=lambda: secrets.token_hex(4))
    """Of which fake this is: two have no history in common."""
    accounts: dict[str, Account] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    addresses: tuple[AddressChange, ...] = ()
    limits: Limits = field(default=Limits(), compare=False)
    prompts: Prompts = field(default_factory=Prompts, compare=False)
    about: frozenset[tuple[str, str]] = frozenset()
    """What the change that made this revision touched: users and roles of an account; of no account, addresses."""

    def draft(self) -> "State":
        """A copy to write in, at the next revision."""
        return State(
            revision=self.revision + 1,
            built_in=self.built_in,
            lineage=self.lineage,
            accounts=dict(self.accounts),
            people=dict(self.people),
            invitations=dict(self.invitations),
            letters=list(self.letters),
            addresses=self.addresses,
            limits=self.limits,
            prompts=self.prompts,
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
        return replace(self, revision=other.revision, about=other.about) != other

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
        """Close an invitation: what it reserved is free."""
        self.invitations[invitation.id] = replace(invitation, state=state, closed_at=self.revision)

    def awaits_setup(self, invitation: Invitation) -> bool:
        """Was it accepted, by somebody who works there and has not finished their set-up since?"""
        person, account = self.people.get(invitation.user), self.accounts[invitation.physician]
        later = any(
            one.closed_at > invitation.closed_at
            for one in self.invitations.values()
            if (one.physician, one.user, one.state) == (invitation.physician, invitation.user, ACCEPTED)
        )
        return (
            invitation.state == ACCEPTED
            and person is not None
            and not person.is_set_up
            and invitation.user in account.users()
            and not later
        )

    def touched(self, before: "State") -> frozenset[tuple[str, str]]:
        """What differs from a state before, as ``about`` says it."""
        found: set[tuple[str, str]] = set()
        for name, account in self.accounts.items():
            rows = before.accounts[name].rows if name in before.accounts else frozenset()
            for row in account.rows ^ rows:
                subject = row[0].replace("role:custom.", "user:")
                found.add((name, subject))
        for key, one in self.invitations.items():
            was = before.invitations.get(key)
            # That an expired one would go elsewhere is no news.
            if was is None or replace(was, email=one.email) != one:
                found.add((one.physician, f"user:{one.user}"))
        for user, person in self.people.items():
            known = before.people.get(user)
            if known is not None and person.is_set_up != known.is_set_up:
                found.add(("*", f"user:{user}"))
        for wish in set(self.addresses) ^ set(before.addresses):
            found.add(("", f"user:{wish.user}"))
        return frozenset(found)


def require(account: Account, actor: str, method: str) -> None:
    """Refuse ACTOR_NOT_ALLOWED unless the actor holds what guards a method of Manage Users."""
    action = account.built_in.guard_of(method)
    if action is None or not account.may(actor, action):
        refuse("ACTOR_NOT_ALLOWED", actor=actor, action=action or method, physician=account.physician)


def refuse_unknown_actions(account: Account, field: str, actions: Iterable[str]) -> None:
    """Refuse INVALID_REQUEST, naming the field, for an action that there is not."""
    with Fields() as fields:
        for action in sorted(set(actions)):
            if action not in account.built_in.actions:
                fields.fault(field, f"names no known action: {action}")


def refuse_self(actor: str, user: str) -> None:
    """Refuse SELF_EDIT where the actor is the user."""
    if actor == user:
        refuse("SELF_EDIT", actor=actor)


def refuse_unknown(account: Account, role: str) -> None:
    """Refuse UNKNOWN_ROLE unless the role is built in or defined here."""
    if role not in account.built_in.roles and role not in account.custom_roles():
        refuse("UNKNOWN_ROLE", role=role, physician=account.physician)


def refuse_beyond(account: Account, actor: str, actions: Iterable[str]) -> None:
    """Refuse OWNER_ONLY and BEYOND_OWN_RIGHTS: what the actor cannot give to an invited user."""
    wanted = sorted(actions)
    for action in wanted:
        if action in account.built_in.owner_only:
            refuse("OWNER_ONLY", action=action)
    beyond = [action for action in wanted if not account.may(actor, action)]
    if beyond:
        refuse("BEYOND_OWN_RIGHTS", actor=actor, actions=", ".join(beyond))


def refuse_holding_beyond(account: Account, actor: str, holding: Holding) -> None:
    """The same of roles and actions; also refuses UNKNOWN_ROLE, and actions that there are not."""
    refuse_unknown_actions(account, "permissions.actions", holding.actions)
    for role in sorted(holding.roles):
        if role == OWNER:
            refuse("OWNER_ONLY", action="role owner")
        refuse_unknown(account, role)
        refuse_beyond(account, actor, account.allowed_by(role))
    refuse_beyond(account, actor, holding.actions)
