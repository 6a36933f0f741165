"""Rules of one physician's custom roles: what they may hold, and how roles may include each other."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy_service.errors import (
    BuiltInRole,
    OwnerOnly,
    RoleChainTooLong,
    RoleInUse,
    UnknownPhysician,
    UnknownRole,
)
from policy_service.store import Store, Transaction, Written
from policy_service.vocabulary import (
    ANY,
    MAX_ROLE_CHAIN,
    OWNER,
    OWNER_ONLY,
    Action,
    Effect,
    Physician,
    Role,
    Row,
    domain_of,
    grant_row,
    name_in,
    rule_row,
    subject_of_role,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDefinition:
    """A custom role: what it allows and denies of its own, and the roles whose rules it includes."""

    allow: frozenset[Action] = frozenset()
    deny: frozenset[Action] = frozenset()
    includes: frozenset[Role] = frozenset()


async def define(
    store: Store, physician: Physician, role: Role, definition: RoleDefinition, *, caller: str, actor: str
) -> Written:
    """Create a custom role, or replace its definition.

    Raises BuiltInRole, OwnerOnly, UnknownPhysician, UnknownRole and
    RoleChainTooLong; what is refused changes nothing.
    """
    for action in sorted(definition.allow & OWNER_ONLY):
        raise OwnerOnly(action=action)
    if OWNER in definition.includes:
        raise OwnerOnly(action="role owner")
    subject, domain = subject_of_role(role), domain_of(physician)
    async with store.transaction(caller=caller, actor=actor) as transaction:
        rows = await account_rows(transaction, physician)
        if role in await built_in_roles(transaction):
            raise BuiltInRole(role=role)
        for included in sorted(definition.includes):
            await refuse_unknown(transaction, physician, included, rows)
        wanted = {rule_row(role, domain, action, Effect.ALLOW) for action in definition.allow}
        wanted |= {rule_row(role, domain, action, Effect.DENY) for action in definition.deny}
        wanted |= {grant_row(subject, included, domain) for included in definition.includes}
        held = {row for row in rows if row.values[0] == subject}
        refuse_long_chains(physician, (set(rows) - held) | wanted)
        await transaction.change("role.define", physician, ended=held - wanted, begun=wanted - held)
    return transaction.written


async def delete(store: Store, physician: Physician, role: Role, *, caller: str, actor: str) -> Written:
    """Remove a custom role. Raises UnknownPhysician, UnknownRole, and RoleInUse while anyone has it."""
    subject = subject_of_role(role)
    async with store.transaction(caller=caller, actor=actor) as transaction:
        rows = await account_rows(transaction, physician)
        held = [row for row in rows if row.values[0] == subject]
        if not held:
            raise UnknownRole(role=role, physician=physician)
        holders = tuple(sorted(row.values[0] for row in rows if row.ptype == "g" and row.values[1] == subject))
        if holders:
            raise RoleInUse(role=role, physician=physician, held_by=holders)
        await transaction.change("role.delete", physician, ended=held)
    return transaction.written


async def account_rows(transaction: Transaction, physician: Physician) -> list[Row]:
    """The account's rows; raises UnknownPhysician. Every account has at least its owner's."""
    rows = await transaction.rows_of(physician)
    if not rows:
        raise UnknownPhysician(physician=physician)
    return rows


async def built_in_roles(transaction: Transaction) -> set[Role]:
    """The roles that hold in every account."""
    return {Role(name_in(row.values[0])) for row in await transaction.rows(ANY) if row.ptype == "p"}


async def refuse_unknown(transaction: Transaction, physician: Physician, role: Role, rows: Iterable[Row]) -> None:
    """Raise UnknownRole unless the role is built in or defined in this account."""
    if role not in await built_in_roles(transaction) and not any(
        row.values[0] == subject_of_role(role) for row in rows
    ):
        raise UnknownRole(role=role, physician=physician)


def refuse_long_chains(physician: Physician, rows: Iterable[Row]) -> None:
    """Raise RoleChainTooLong for a circle of roles, or a chain that Casbin would cut off without a word."""
    includes: dict[str, list[str]] = {}
    for row in rows:
        if row.ptype == "g":
            includes.setdefault(row.values[0], []).append(row.values[1])
    depths: dict[str, tuple[str, ...]] = {}

    def longest(subject: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if subject in above or len(above) > MAX_ROLE_CHAIN:
            raise RoleChainTooLong(physician=physician, chain=(*above, subject), longest=MAX_ROLE_CHAIN)
        if subject not in depths:
            below = [longest(role, (*above, subject)) for role in includes.get(subject, [])]
            depths[subject] = (subject, *max(below, key=len, default=()))
        return depths[subject]

    for subject in includes:
        chain = longest(subject, ())
        if len(chain) - 1 > MAX_ROLE_CHAIN:
            raise RoleChainTooLong(physician=physician, chain=chain, longest=MAX_ROLE_CHAIN)
