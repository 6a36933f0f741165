"""Rules of one physician's custom roles: what they may hold, and how roles may include each other."""

from collections.abc import Collection, Iterable
from functools import partial

from policy_service.decide import Account, Model
from policy_service.members.authority import Standing, standing
from policy_service.members.definitions import RoleDefinition, account_rows, built_in_roles, refuse_long_chains, rows_of
from policy_service.members.errors import (
    BuiltInRole,
    EmptyRole,
    NameTooSimilar,
    OwnerOnly,
    RoleExists,
    RoleInUse,
    SelfEdit,
    UnknownRole,
)
from policy_service.members.foresight import settle
from policy_service.store import Store, Transaction, Written
from policy_service.store import invitations as table
from policy_service.vocabulary import (
    BUILT_IN_ROLES,
    OWNER,
    Operation,
    Physician,
    Role,
    Row,
    User,
    alike,
    domain_of,
    grant_row,
    name_in,
    subject_of_role,
)


async def define(
    store: Store, physician: Physician, role: Role, definition: RoleDefinition, *, caller: str, actor: str
) -> Written:
    """Create a custom role, or replace its definition, without an actor's rights: for demo data and tests.

    What it allows is not looked at. Raises BuiltInRole, UnknownPhysician,
    UnknownRole, RoleChainTooLong, and OwnerOnly for a role that includes the
    owner's; what is refused changes nothing.
    """
    async with store.transaction(caller=caller, actor=actor) as transaction:
        rows, built_in = await account_rows(transaction, physician), await built_in_roles(transaction)
        ended, begun = await _redefinition(transaction, physician, role, definition, rows, built_in)
        await transaction.change("role.define", physician, ended=ended, begun=begun)
    return transaction.written


async def delete(store: Store, physician: Physician, role: Role, *, caller: str, actor: str) -> Written:
    """Remove a custom role. Raises UnknownPhysician, UnknownRole, and RoleInUse while anyone has it."""
    async with store.transaction(caller=caller, actor=actor) as transaction:
        ended, begun = _removal(physician, role, None, await account_rows(transaction, physician))
        await transaction.change("role.delete", physician, ended=ended, begun=begun)
    return transaction.written


async def create_role(
    tx: Transaction,
    model: Model,
    physician: Physician,
    role: Role,
    definition: RoleDefinition,
    *,
    actor: User,
    foreseen: Standing | None = None,
) -> None:
    """Make a custom role. Raises RoleExists, NameTooSimilar, and what ``update_role`` raises.

    ``foreseen`` is the account about which ``defining`` was asked before.
    """
    at = await standing(tx, model, physician)
    at.require(actor, Operation.CREATE_ROLE)
    if at.account.defines(role):
        raise RoleExists(role=role, physician=physician)
    for other in (*at.basis.roles, *at.account.custom_roles()):
        if other != role and alike(other, role):
            raise NameTooSimilar(name=role, like=other)
    await _define_as(tx, at, role, definition, actor, "role.create", foreseen)


async def update_role(
    tx: Transaction,
    model: Model,
    physician: Physician,
    role: Role,
    definition: RoleDefinition,
    *,
    actor: User,
    foreseen: Standing | None = None,
) -> None:
    """Replace a custom role's definition, and so what its holders may.

    Raises ActorNotAllowed, SelfEdit, BuiltInRole, UnknownRole, OwnerOnly,
    BeyondOwnRights and RoleChainTooLong.
    """
    at = await standing(tx, model, physician)
    at.require(actor, Operation.UPDATE_ROLE)
    if role in at.basis.roles:
        raise BuiltInRole(role=role)
    if not at.account.defines(role):
        raise UnknownRole(role=role, physician=physician)
    await _define_as(tx, at, role, definition, actor, "role.update", foreseen)


async def delete_role(
    tx: Transaction,
    model: Model,
    physician: Physician,
    role: Role,
    replacement: Role | None,
    *,
    actor: User,
    foreseen: Standing | None = None,
) -> None:
    """Remove a custom role; its holders get ``replacement``.

    Without one, raises RoleInUse while anyone has it, includes it, or is
    invited to it. Raises ActorNotAllowed, SelfEdit, BuiltInRole, UnknownRole,
    OwnerOnly and BeyondOwnRights.
    """
    at = await standing(tx, model, physician)
    at.require(actor, Operation.DELETE_ROLE)
    if role in at.basis.roles:
        raise BuiltInRole(role=role)
    await settle(at, foreseen, partial(deleting, role=role, replacement=replacement, actor=actor))
    if replacement is not None:
        at.refuse_roles_beyond(actor, [replacement])
    invited = await table.open_with_role(tx, physician, role)
    if invited:
        raise RoleInUse(
            role=role, physician=physician, held_by=tuple(f"invitation:{invitation.id}" for invitation in invited)
        )
    ended, begun = _removal(physician, role, replacement, at.rows)
    refuse_long_chains(physician, (at.rows - ended) | begun)
    _refuse_own_change(at, at.with_rows((at.rows - ended) | begun), actor)
    await tx.change("role.delete", physician, ended=ended, begun=begun)


async def _define_as(
    tx: Transaction,
    at: Standing,
    role: Role,
    definition: RoleDefinition,
    actor: User,
    kind: str,
    foreseen: Standing | None,
) -> None:
    at.refuse_unknown_actions(definition.allow, "definition.allow")
    at.refuse_unknown_actions(definition.deny, "definition.deny")
    for action in sorted(definition.allow & at.basis.owner_only):
        raise OwnerOnly(action=action)
    await settle(at, foreseen, partial(defining, role=role, definition=definition, actor=actor))
    ended, begun = await _redefinition(tx, at.physician, role, definition, at.rows, at.basis.roles)
    after = at.with_rows((at.rows - ended) | begun)
    for changed in _through(at.account, role):
        gained = after.allowed_by(changed) - at.allowed_by(changed)
        at.refuse_beyond(actor, gained)
    _refuse_own_change(at, after, actor)
    await tx.change(kind, at.physician, ended=ended, begun=begun)


def defining(at: Standing, *, role: Role, definition: RoleDefinition, actor: User) -> None:
    """Ask Casbin whatever creating or updating a role will ask, before the lock is taken."""
    ended, begun = rows_of(at.physician, role, definition, at.rows)
    after = at.with_rows((at.rows - ended) | begun)
    for stands in (at, after):
        stands.allowed(actor)
        for changed in _through(at.account, role):
            stands.allowed_by(changed)


def deleting(at: Standing, *, role: Role, replacement: Role | None, actor: User) -> None:
    """Ask Casbin whatever deleting a role will ask, before the lock is taken."""
    ended, begun = _replaced(at.physician, role, replacement, at.rows)
    at.with_rows((at.rows - ended) | begun).allowed(actor)
    at.allowed(actor)
    if replacement is not None:
        at.allowed_by(replacement)


def giving(at: Standing, *, roles: Iterable[Role], actor: User) -> None:
    """Ask Casbin whatever giving somebody roles will ask, before the lock is taken."""
    at.allowed(actor)
    for role in roles:
        at.allowed_by(role)


def _through(account: Account, role: Role) -> list[Role]:
    """A role with all that include it: every role that another definition of this one changes, and no other."""
    above: dict[str, list[str]] = {}
    for holder, held in account.grants:
        above.setdefault(held, []).append(holder)
    found, waiting = {subject_of_role(role)}, [subject_of_role(role)]
    while waiting:
        for holder in above.get(waiting.pop(), ()):
            if holder.startswith("role:") and holder not in found:
                found.add(holder)
                waiting.append(holder)
    return [Role(name_in(subject)) for subject in sorted(found)]


def _refuse_own_change(before: Standing, after: Standing, actor: User) -> None:
    """Raise SelfEdit if the actor's own rights would change."""
    if before.allowed(actor) != after.allowed(actor):
        raise SelfEdit(actor=actor)


async def _redefinition(
    tx: Transaction,
    physician: Physician,
    role: Role,
    definition: RoleDefinition,
    rows: Collection[Row],
    built_in: Collection[Role],
) -> tuple[set[Row], set[Row]]:
    """The rows that end and begin when a role is defined like this."""
    if not definition.allow and not definition.deny and not definition.includes:
        raise EmptyRole(role=role)
    if OWNER in definition.includes:
        raise OwnerOnly(action="role owner")
    # Those of the page stay so, also while a seed has no rules for one.
    if role in built_in or role in BUILT_IN_ROLES:
        raise BuiltInRole(role=role)
    named = {row.values[0] for row in rows}
    for included in sorted(definition.includes):
        if included not in built_in and subject_of_role(included) not in named:
            raise UnknownRole(role=included, physician=physician)
    if subject_of_role(role) not in named and (waiting := await _waiting_for(tx, physician, role, rows)):
        raise RoleInUse(role=role, physician=physician, held_by=waiting)
    ended, begun = rows_of(physician, role, definition, rows)
    refuse_long_chains(physician, (set(rows) - ended) | begun)
    return ended, begun


async def _waiting_for(tx: Transaction, physician: Physician, role: Role, rows: Iterable[Row]) -> tuple[str, ...]:
    """Who holds a role that has no rules, as a built-in role of that name is gone: they would silently gain some."""
    holders = {row.values[0] for row in rows if row.ptype == "g" and row.values[1] == subject_of_role(role)}
    invited = await table.open_with_role(tx, physician, role)
    return (*sorted(holders), *(f"invitation:{invitation.id}" for invitation in invited))


def _removal(
    physician: Physician, role: Role, replacement: Role | None, rows: Collection[Row]
) -> tuple[set[Row], set[Row]]:
    """The rows that end and begin when a role is removed."""
    subject = subject_of_role(role)
    if not any(row.values[0] == subject for row in rows):
        raise UnknownRole(role=role, physician=physician)
    holders = sorted(row.values[0] for row in rows if row.ptype == "g" and row.values[1] == subject)
    if holders and replacement in (None, role):
        raise RoleInUse(role=role, physician=physician, held_by=tuple(holders))
    return _replaced(physician, role, replacement, rows)


def _replaced(
    physician: Physician, role: Role, replacement: Role | None, rows: Collection[Row]
) -> tuple[set[Row], set[Row]]:
    """A role's rows and the grants of it, and the grants of another in their place."""
    subject, domain = subject_of_role(role), domain_of(physician)
    held = {row for row in rows if row.values[0] == subject}
    grants = {row for row in rows if row.ptype == "g" and row.values[1] == subject}
    instead = {grant_row(row.values[0], replacement, domain) for row in grants} if replacement else set()
    return held | grants, instead - set(rows)
