"""Rules of who works for whom, and of an account's custom roles."""

from dataclasses import dataclass
from datetime import datetime

from policy_client.testing.claims import alike, refuse_owner, refuse_physician
from policy_client.testing.refusals import refuse
from policy_client.testing.rules import OWNER, Account, Row
from policy_client.testing.state import (
    PENDING,
    WITHDRAWN,
    Holding,
    Person,
    State,
    refuse_beyond,
    refuse_holding_beyond,
    refuse_self,
    refuse_unknown,
    refuse_unknown_actions,
    require,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A custom role: what it allows and denies of its own, and the roles that it includes."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    def rows(self, role: str) -> frozenset[Row]:
        """The rows that define the role."""
        subject = f"role:{role}"
        rows: set[Row] = {(subject, action, "allow") for action in self.allow}
        rows |= {(subject, action, "deny") for action in self.deny}
        return frozenset(rows | {(subject, f"role:{included}") for included in self.includes})


def register(draft: State, physician: str, owner: str, now: datetime) -> None:
    """Open an account with its owner."""
    refuse_physician(draft, physician)
    _know(draft, owner, now)
    draft.accounts[physician] = Account(physician, frozenset({(f"user:{owner}", f"role:{OWNER}")}), draft.built_in)


def grant(draft: State, physician: str, user: str, role: str, now: datetime) -> None:
    """Give a role without invitation."""
    if role == OWNER:
        refuse("OWNER_ONLY", action="role owner")
    account = draft.account(physician)
    refuse_unknown(account, role)
    _know(draft, user, now)
    draft.accounts[physician] = account.with_rows(account.rows | {(f"user:{user}", f"role:{role}")})


def update(draft: State, actor: str, physician: str, user: str, holding: Holding) -> None:
    """Replace what a member holds."""
    account = draft.account(physician)
    require(account, actor, "UpdatePermissions")
    held = _held(account, actor, user)
    refuse_holding_beyond(account, actor, holding)
    draft.accounts[physician] = account.with_rows((account.rows - held) | holding.rows(user))


def revoke(draft: State, actor: str, physician: str, user: str) -> None:
    """Take everything from a member, and withdraw their open invitation; whoever is only invited can be revoked too."""
    account = draft.account(physician)
    require(account, actor, "RevokeAccess")
    invitation = draft.open_for(physician, user)
    if invitation is None or user in account.users():
        draft.accounts[physician] = account.with_rows(account.rows - _held(account, actor, user))
    if invitation is not None:
        draft.close(invitation, WITHDRAWN)


def leave(draft: State, actor: str, physician: str) -> None:
    """Give up everything that one holds oneself."""
    account = draft.account(physician)
    if OWNER in account.roles_of(actor):
        refuse("LAST_OWNER", physician=physician)
    if actor not in account.users():
        refuse("NOT_A_MEMBER", user=actor, physician=physician)
    draft.accounts[physician] = account.with_rows(
        account.rows - account.of(f"user:{actor}") - account.of(f"role:custom.{actor}")
    )


def create_role(draft: State, actor: str, physician: str, role: str, definition: Definition) -> None:
    """Make a custom role."""
    account = draft.account(physician)
    require(account, actor, "CreateRole")
    if role in account.custom_roles():
        refuse("ROLE_EXISTS", role=role, physician=physician)
    for other in (*account.built_in.roles, *account.custom_roles()):
        if other != role and alike(other, role):
            refuse("NAME_TOO_SIMILAR", name=role, like=other)
    _define_as(draft, account, actor, role, definition)


def update_role(draft: State, actor: str, physician: str, role: str, definition: Definition) -> None:
    """Replace a custom role's definition, and so what its holders may."""
    account = draft.account(physician)
    require(account, actor, "UpdateRole")
    _refuse_not_custom(account, role)
    _define_as(draft, account, actor, role, definition)


def delete_role(draft: State, actor: str, physician: str, role: str, replacement: str) -> None:
    """Remove a custom role; its holders get ``replacement``, if that is not empty."""
    account = draft.account(physician)
    require(account, actor, "DeleteRole")
    if role in account.built_in.roles:
        refuse("BUILT_IN_ROLE", role=role)
    if replacement:
        refuse_holding_beyond(account, actor, Holding(roles=(replacement,)))
    invited = [
        i.id
        for i in draft.invitations.values()
        if (i.physician, i.state) == (physician, PENDING) and role in i.holding.roles
    ]
    if invited:
        refuse("ROLE_IN_USE", role=role, physician=physician, held_by=", ".join(invited))
    _refuse_not_custom(account, role)
    subject = f"role:{role}"
    holders = {row[0] for row in account.rows if len(row) == 2 and row[1] == subject}
    if holders and replacement in ("", role):
        refuse("ROLE_IN_USE", role=role, physician=physician, held_by=", ".join(sorted(holders)))
    gone = account.of(subject) | {(holder, subject) for holder in holders}
    after = account.with_rows((account.rows - gone) | {(holder, f"role:{replacement}") for holder in holders})
    _refuse_own_change(account, after, actor)
    draft.accounts[physician] = after


def define(draft: State, physician: str, role: str, definition: Definition) -> None:
    """Make a custom role or replace it, without an actor's rights."""
    draft.accounts[physician] = _defined(draft.account(physician), role, definition)


def _defined(account: Account, role: str, definition: Definition) -> Account:
    """The account with a role defined like this; refuses what no role may be."""
    if not definition.rows(role):
        refuse("EMPTY_ROLE", role=role)
    for action in sorted(account.built_in.owner_only.intersection(definition.allow)):
        refuse("OWNER_ONLY", action=action)
    if OWNER in definition.includes:
        refuse("OWNER_ONLY", action="role owner")
    if role in account.built_in.roles:
        refuse("BUILT_IN_ROLE", role=role)
    for included in sorted(definition.includes):
        refuse_unknown(account, included)
    return account.with_rows((account.rows - account.of(f"role:{role}")) | definition.rows(role))


def _define_as(draft: State, account: Account, actor: str, role: str, definition: Definition) -> None:
    refuse_unknown_actions(account, "definition.allow", definition.allow)
    refuse_unknown_actions(account, "definition.deny", definition.deny)
    after = _defined(account, role, definition)
    for changed in after.custom_roles():
        refuse_beyond(account, actor, after.allowed_by(changed) - account.allowed_by(changed))
    _refuse_own_change(account, after, actor)
    draft.accounts[account.physician] = after


def _held(account: Account, actor: str, user: str) -> frozenset[Row]:
    """The rows of a member who may be changed by the actor."""
    if OWNER in account.roles_of(user):
        refuse("LAST_OWNER", physician=account.physician)
    refuse_self(actor, user)
    if user not in account.users():
        refuse("NOT_A_MEMBER", user=user, physician=account.physician)
    return account.of(f"user:{user}") | account.of(f"role:custom.{user}")


def _know(draft: State, user: str, now: datetime) -> None:
    """Note a user who has credentials, or is known already."""
    refuse_owner(draft, user, now)
    draft.people.setdefault(user, Person(email=None, is_set_up=True))


def _refuse_not_custom(account: Account, role: str) -> None:
    if role in account.built_in.roles:
        refuse("BUILT_IN_ROLE", role=role)
    if role not in account.custom_roles():
        refuse("UNKNOWN_ROLE", role=role, physician=account.physician)


def _refuse_own_change(before: Account, after: Account, actor: str) -> None:
    if any(before.may(actor, action) != after.may(actor, action) for action in before.built_in.actions):
        refuse("SELF_EDIT", actor=actor)
