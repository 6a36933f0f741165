"""Who may take a name or an address: every door through which one comes in asks here, with the lock held.

A username is a known user's, or reserved by an open invitation until that ends.
An address is its owner's once confirmed, and reserved in the same way before.
No new name may be mistaken for one that is held (``names``).
"""

from datetime import datetime

from policy_service.errors import PolicyError
from policy_service.members.addresses import refuse_name
from policy_service.members.errors import NameReserved, NameTooSimilar, UserExists, UserMismatch
from policy_service.store import PhysicianExists, Transaction, users
from policy_service.vocabulary import Physician, User, alike


async def prompt(
    tx: Transaction, user: User, email: str, now: datetime, *, reuse_existing: bool, but: str = ""
) -> PolicyError | None:
    """What the inviting page must be told instead of inviting this user at this address; ``but`` for an invitation.

    UserExists names the user who is there, also where only the address or a
    name that looks the same is known; it is the same for a user who accepted
    and for one who is only invited. UserMismatch where the user is another
    person, so that nobody is invited by mistake, and no mail turned. Raises
    InvalidRequest for a new name that mail programs would make a link of.
    """
    held = await users.claims(tx, user, email, now, but=but)
    addressed = next((claim for claim in held if claim.has_address(email)), None)
    named = next((claim for claim in held if claim.user == user), None)
    similar = next((claim for claim in held if alike(claim.user, user)), None)
    if addressed is not None and addressed.user != user:
        return UserExists(user=addressed.user)
    if named is None:
        if similar is not None:
            return UserExists(user=similar.user)
        refuse_name(user, "username")
        return None
    if named.email is not None and not named.has_address(email):
        return UserMismatch()
    return None if reuse_existing else UserExists(user=user)


async def refuse_owner(tx: Transaction, user: User, now: datetime) -> None:
    """Raise NameReserved or NameTooSimilar for a username that nobody brings in without invitation.

    One that is known already is fine.
    """
    held = await users.claims(tx, user, "", now)
    if any(claim.user == user and claim.is_known for claim in held):
        return
    for claim in held:
        if claim.user == user:
            raise NameReserved(user=user)
        raise NameTooSimilar(name=user, like=claim.user)


async def refuse_physician(tx: Transaction, physician: Physician) -> None:
    """Raise PhysicianExists or NameTooSimilar for the name of a new account."""
    for other in await users.physicians_like(tx, physician):
        if other == physician:
            raise PhysicianExists(physician=physician)
        raise NameTooSimilar(name=physician, like=other)
