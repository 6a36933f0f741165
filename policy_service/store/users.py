"""The directory of users: whom the service knows, whose an address is, and which names invitations reserve.

A user is known once they accepted an invitation, or own an account. An
address is theirs once it was confirmed. What an open invitation reserves
stands in the invitation and ends with it, also by time: so everything here
that asks whether a name or an address is free takes the time that it is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import Physician, User, folded, look

# One statement for every outcome, so that none of them takes other work than the others. An invitation of somebody
# who is known reserves nothing: the name is theirs, and an address only once they accepted. Each way of being the same
# has an index.
_CLAIMS = """
SELECT username, email, NULL AS invitation, NULL AS physician
FROM users
WHERE username = $1 OR lower(username) = $2 OR lower(replace(translate(username, 'I10', 'llo'), 'rn', 'm')) = $3
   OR lower(email) = lower($4)
UNION ALL
SELECT username, email, id, physician
FROM invitations AS i
WHERE state = 'pending' AND expires_at > $5 AND id <> $6
  AND (username = $1 OR lower(username) = $2 OR lower(replace(translate(username, 'I10', 'llo'), 'rn', 'm')) = $3
       OR lower(email) = lower($4))
  AND NOT EXISTS (SELECT FROM users WHERE users.username = i.username)
"""
_PHYSICIANS_ALIKE = """
SELECT physician FROM physicians
WHERE lower(physician) = $1 OR lower(replace(translate(physician, 'I10', 'llo'), 'rn', 'm')) = $2
"""
_ONE = "SELECT username, email, set_up_revision IS NOT NULL AS is_set_up FROM users WHERE username = $1"
_OWNER_OF = "SELECT username FROM users WHERE lower(email) = lower($1)"
_ADD = "INSERT INTO users (username, email, created_at_revision, active_since_revision) VALUES ($1, $2, $3, $3)"
_READDRESS = "UPDATE users SET email = $2 WHERE username = $1"
_SET_UP = "UPDATE users SET set_up_revision = $2 WHERE username = $1 AND set_up_revision IS NULL"
_MEMBERS = """
SELECT username, coalesce(email, '') AS email, set_up_revision IS NOT NULL AS is_set_up
FROM users WHERE username = ANY($1::text[])
"""
_NAMES = "SELECT username FROM users ORDER BY username"
_PHYSICIANS = "SELECT physician FROM physicians ORDER BY physician"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as the directory knows them: their confirmed address, and whether they finished their set-up."""

    user: User
    email: str | None
    is_set_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody who holds a name or an address: a known user, or whom an open invitation reserves it for."""

    user: User
    email: str | None
    is_known: bool
    physician: Physician | None
    """Whose invitation it is, where they are not known."""

    def has_address(self, email: str) -> bool:
        """Is this address theirs, however it is written?"""
        return self.email is not None and self.email.lower() == email.lower()


async def claims(tx: Transaction, user: str, email: str, now: datetime, *, but: str = "") -> list[Claim]:
    """Who holds this name, one that looks like it, or this address; ``but`` for an invitation. Empty text is nobody's.

    Whoever is known stands before who is only invited.
    """
    found = await tx.connection.fetch(_CLAIMS, user, folded(user), look(user), email, now, but)
    held = [
        Claim(
            user=User(record["username"]),
            email=record["email"],
            is_known=record["invitation"] is None,
            physician=record["physician"],
        )
        for record in found
    ]
    return sorted(held, key=lambda claim: (not claim.is_known, claim.user, claim.email or ""))


async def physicians_like(tx: Transaction, physician: Physician) -> list[Physician]:
    """The accounts of this name, or of one that looks like it."""
    found = await tx.connection.fetch(_PHYSICIANS_ALIKE, folded(physician), look(physician))
    return sorted(Physician(record["physician"]) for record in found)


async def one(source: Transaction | Reading, user: User) -> Person | None:
    """The known user of this name."""
    record = await source.connection.fetchrow(_ONE, user)
    return None if record is None else _person(record)


async def with_address(source: Transaction | Reading, email: str) -> User | None:
    """Whose address this is, however it is written."""
    found = await source.connection.fetchval(_OWNER_OF, email)
    return None if found is None else User(found)


async def add(tx: Transaction, user: User, email: str) -> None:
    """Know a new user, who confirmed this address and has no credentials yet."""
    await tx.touch("users", user)
    await tx.connection.execute(_ADD, user, email, tx.revision)


async def readdress(tx: Transaction, user: User, email: str) -> None:
    """Give a user an address that they confirmed."""
    await tx.touch("users", user)
    await tx.connection.execute(_READDRESS, user, email)


async def set_up(tx: Transaction, user: User) -> bool:
    """Note that the user's credentials are set up; False if they were."""
    await tx.touch("users", user)
    return bool((await tx.connection.execute(_SET_UP, user, tx.revision)).endswith(" 1"))


async def people(look_: Reading, users: list[User]) -> dict[User, Person]:
    """What is known of some users."""
    return {User(record["username"]): _person(record) for record in await look_.connection.fetch(_MEMBERS, users)}


async def names(look_: Reading) -> tuple[list[str], list[str]]:
    """Every username, and every physician's name."""
    users, physicians = await look_.connection.fetch(_NAMES), await look_.connection.fetch(_PHYSICIANS)
    return [record["username"] for record in users], [record["physician"] for record in physicians]


def _person(record: Any) -> Person:
    return Person(user=User(record["username"]), email=record["email"] or None, is_set_up=record["is_set_up"])
