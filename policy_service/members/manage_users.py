"""Rules of who works for whom: registering a physician, members, editing, revoking and leaving."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from policy_service.decide import Model, shapes_of
from policy_service.members import claims
from policy_service.members.authority import Standing, refuse_self, standing
from policy_service.members.definitions import account_rows, refuse_long_chains, refuse_unknown
from policy_service.members.errors import ActorNotAllowed, LastOwner, NotAMember, NotGranted, OwnerOnly
from policy_service.members.holding import Holding
from policy_service.store import InvitationState, Reading, Store, Transaction, Written, users
from policy_service.store import invitations as table
from policy_service.vocabulary import (
    OWNER,
    Operation,
    Physician,
    Role,
    Row,
    User,
    domain_of,
    grant_row,
    own_role,
    subject_of_role,
    subject_of_user,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who holds something on an account; whether they may do anything there is another question."""

    user: User
    email: str
    roles: tuple[Role, ...]
    is_owner: bool
    is_set_up: bool
    may_act: bool


REGISTERING: Final = "physician:register"
"""What is named in the refusal: nobody holds it, owners open their own accounts."""


async def register(
    tx: Transaction, physician: Physician, owner: User, display_name: str, *, actor: User, now: datetime
) -> None:
    """Open an account and make its owner, who is the actor: nobody is made an owner by somebody else.

    Raises ActorNotAllowed, PhysicianExists, NameTooSimilar, and NameReserved
    for a username that an open invitation holds for whom it invites.
    """
    if actor != owner:
        raise ActorNotAllowed(actor=actor, action=REGISTERING, physician=physician)
    await claims.refuse_physician(tx, physician)
    await claims.refuse_owner(tx, owner, now)
    await tx.add_user(owner)
    await tx.add_physician(physician, owner, display_name)
    row = grant_row(subject_of_user(owner), OWNER, domain_of(physician))
    await tx.change("physician.register", physician, begun=[row])


async def members(look: Reading, model: Model, physician: Physician, *, actor: User) -> list[Member]:
    """Everyone who holds anything on the account, in byte order. Raises ActorNotAllowed."""
    at = await standing(look, model, physician)
    at.require(actor, Operation.LIST_MEMBERS)
    people = await users.people(look, list(at.account.users()))
    # A role may have lost all its rules: whoever holds no other may do nothing. Each kind of member is a question.
    may_act = await asyncio.to_thread(lambda: {user: bool(at.judge.of(shape)) for user, shape in shapes_of(at.account)})
    return [
        Member(
            user=user,
            email=(people[user].email or "") if user in people else "",
            roles=at.account.roles_of(user),
            is_owner=at.is_owner(user),
            is_set_up=user in people and people[user].is_set_up,
            may_act=may_act[user],
        )
        for user in may_act
    ]


async def update(
    tx: Transaction, model: Model, physician: Physician, user: User, holding: Holding, *, actor: User
) -> None:
    """Replace what a member holds.

    Raises ActorNotAllowed, SelfEdit, LastOwner, NotAMember, and what
    ``Holding.refuse_beyond`` raises.
    """
    at = await standing(tx, model, physician)
    at.require(actor, Operation.UPDATE_PERMISSIONS)
    held = _held(at, actor, user)
    holding.refuse_beyond(at, actor)
    wanted = holding.rows(physician, user)
    after = at.with_rows((at.rows - held) | wanted)
    refuse_long_chains(physician, after.within_reach(subject_of_user(user)))
    await tx.change("permissions.update", physician, ended=held - wanted, begun=wanted - held)


async def revoke_access(tx: Transaction, model: Model, physician: Physician, user: User, *, actor: User) -> None:
    """Take everything from a member, and withdraw their open invitation.

    Somebody who is only invited can be revoked too. Raises ActorNotAllowed,
    SelfEdit, LastOwner and NotAMember.
    """
    at = await standing(tx, model, physician)
    at.require(actor, Operation.REVOKE_ACCESS)
    invitation = await table.open_for(tx, physician, user)
    held = frozenset[Row]() if invitation and not at.is_member(user) else _held(at, actor, user)
    if invitation is not None:
        await table.close(tx, invitation, InvitationState.WITHDRAWN)
    withdrawn = {"withdrawn": invitation.id} if invitation else {}
    await tx.change("access.revoke", physician, ended=held, detail={"user": user, **withdrawn})


async def leave(tx: Transaction, model: Model, physician: Physician, *, actor: User) -> None:
    """Give up everything that one holds oneself. Raises LastOwner for the owner, and NotAMember."""
    at = await standing(tx, model, physician)
    if at.is_owner(actor):
        raise LastOwner(physician=physician)
    await tx.change("access.leave", physician, ended=_rows_of(at, actor), detail={"user": actor})


def _held(at: Standing, actor: User, user: User) -> frozenset[Row]:
    """The rows of a member who may be changed by the actor."""
    if at.is_owner(user):
        raise LastOwner(physician=at.physician)
    refuse_self(actor, user)
    return _rows_of(at, user)


def _rows_of(at: Standing, user: User) -> frozenset[Row]:
    """What a member holds, with the role of their own."""
    if not at.is_member(user):
        raise NotAMember(user=user, physician=at.physician)
    return at.rows_of(subject_of_user(user), subject_of_role(own_role(user)))


async def register_physician(
    store: Store, physician: Physician, owner: User, display_name: str, *, caller: str, actor: User
) -> Written:
    """Open an account in a transaction of its own. Raises what ``register`` raises."""
    async with store.transaction(caller=caller, actor=actor) as transaction:
        await register(transaction, physician, owner, display_name, actor=actor, now=datetime.now(UTC))
    return transaction.written


async def grant(
    store: Store,
    physician: Physician,
    user: User,
    role: Role,
    *,
    caller: str,
    actor: str,
    now: datetime | None = None,
) -> Written:
    """Give a user a role in an account, without invitation: for demo data and tests. One held already is no change.

    Raises UnknownPhysician, UnknownRole, RoleChainTooLong, NameReserved,
    NameTooSimilar, and OwnerOnly for the role owner: an account has the one
    owner it was registered with.
    """
    if role == OWNER:
        raise OwnerOnly(action="role owner")
    row = grant_row(subject_of_user(user), role, domain_of(physician))
    async with store.transaction(caller=caller, actor=actor) as transaction:
        rows = await account_rows(transaction, physician)
        await refuse_unknown(transaction, physician, role, rows)
        refuse_long_chains(physician, [*rows, row])
        await claims.refuse_owner(transaction, user, now or datetime.now(UTC))
        await transaction.add_user(user)
        await transaction.change("grant", physician, begun={row} - set(rows))
    return transaction.written


async def revoke(store: Store, physician: Physician, user: User, role: Role, *, caller: str, actor: str) -> Written:
    """Take a role from a user in an account. Raises UnknownPhysician, NotGranted and LastOwner."""
    if role == OWNER:
        raise LastOwner(physician=physician)
    row = grant_row(subject_of_user(user), role, domain_of(physician))
    async with store.transaction(caller=caller, actor=actor) as transaction:
        if row not in await account_rows(transaction, physician):
            raise NotGranted(user=user, role=role, physician=physician)
        await transaction.change("revoke", physician, ended=[row])
    return transaction.written
