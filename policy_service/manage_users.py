"""Rules of who works for whom: registering a physician, granting and revoking roles."""

from policy_service.custom_roles import account_rows, refuse_long_chains, refuse_unknown
from policy_service.errors import LastOwner, NotGranted, OwnerOnly
from policy_service.store import Store, Written
from policy_service.vocabulary import (
    OWNER,
    Physician,
    Role,
    User,
    domain_of,
    grant_row,
    subject_of_user,
)


async def register_physician(
    store: Store, physician: Physician, owner: User, display_name: str, *, caller: str, actor: User
) -> Written:
    """Open an account and make its owner. Raises PhysicianExists."""
    async with store.transaction(caller=caller, actor=actor) as transaction:
        await transaction.add_user(owner)
        await transaction.add_physician(physician, owner, display_name)
        row = grant_row(subject_of_user(owner), OWNER, domain_of(physician))
        await transaction.change("physician.register", physician, begun=[row])
    return transaction.written


async def grant(store: Store, physician: Physician, user: User, role: Role, *, caller: str, actor: str) -> Written:
    """Give a user a role in an account; one held already is no change.

    Raises UnknownPhysician, UnknownRole, RoleChainTooLong, and OwnerOnly for
    the role owner: an account has the one owner it was registered with.
    """
    if role == OWNER:
        raise OwnerOnly(action="role owner")
    row = grant_row(subject_of_user(user), role, domain_of(physician))
    async with store.transaction(caller=caller, actor=actor) as transaction:
        rows = await account_rows(transaction, physician)
        await refuse_unknown(transaction, physician, role, rows)
        refuse_long_chains(physician, [*rows, row])
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
