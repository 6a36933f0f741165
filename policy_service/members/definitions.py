"""What a custom role is: its definition as rows, which roles there are, and how they may include each other."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy_service.decide import Account, UnknownPhysician
from policy_service.members.errors import RoleChainTooLong, UnknownRole
from policy_service.store import Transaction
from policy_service.vocabulary import (
    ANY,
    MAX_ROLE_CHAIN,
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


def rows_of(
    physician: Physician, role: Role, definition: RoleDefinition, rows: Iterable[Row]
) -> tuple[set[Row], set[Row]]:
    """The rows of a definition that end and begin in the place of those there are."""
    subject, domain = subject_of_role(role), domain_of(physician)
    wanted = {rule_row(role, domain, action, Effect.ALLOW) for action in definition.allow}
    wanted |= {rule_row(role, domain, action, Effect.DENY) for action in definition.deny}
    wanted |= {grant_row(subject, included, domain) for included in definition.includes}
    held = {row for row in rows if row.values[0] == subject}
    return held - wanted, wanted - held


def definitions_of(account: Account) -> dict[Role, RoleDefinition]:
    """How every custom role of an account is defined, in byte order: one pass, however many there are."""
    allow, deny, includes = (dict[str, set[str]]() for _ in range(3))
    for who, action, effect in account.rules:
        (allow if effect == Effect.ALLOW else deny).setdefault(who, set()).add(action)
    for who, target in account.grants:
        includes.setdefault(who, set()).add(name_in(target))
    return {
        role: RoleDefinition(
            allow=frozenset(map(Action, allow.get(subject, ()))),
            deny=frozenset(map(Action, deny.get(subject, ()))),
            includes=frozenset(map(Role, includes.get(subject, ()))),
        )
        for role, subject in ((role, subject_of_role(role)) for role in account.custom_roles())
    }


async def account_rows(transaction: Transaction, physician: Physician) -> list[Row]:
    """The account's rows; raises UnknownPhysician. Every account has at least its owner's."""
    rows = await transaction.rows([domain_of(physician)])
    if not rows:
        raise UnknownPhysician(physician=physician)
    return rows


async def built_in_roles(transaction: Transaction) -> set[Role]:
    """The roles that hold in every account."""
    return {Role(name_in(row.values[0])) for row in await transaction.rows([ANY]) if row.ptype == "p"}


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
