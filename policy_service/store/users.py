"""The directory of users: usernames and addresses, each unique across the service."""

from dataclasses import dataclass
from typing import Any

from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import User

_BY_NAME = "SELECT username, email, active_since_revision FROM users WHERE username = $1"
_BY_EMAIL = "SELECT username, email, active_since_revision FROM users WHERE lower(email) = lower($1)"
_ADD = "INSERT INTO users (username, email, created_at_revision) VALUES ($1, $2, $3)"
_READDRESS = "UPDATE users SET email = $2 WHERE username = $1"
_ACTIVATE = "UPDATE users SET active_since_revision = $2 WHERE username = $1 AND active_since_revision IS NULL"
_FORGET = """
DELETE FROM users WHERE username = $1 AND active_since_revision IS NULL
AND NOT EXISTS (SELECT FROM invitations WHERE invitations.username = $1 AND state = 'pending')
"""
_EMAILS = "SELECT username, coalesce(email, '') AS email FROM users WHERE username = ANY($1::text[])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as the directory knows them."""

    user: User
    email: str | None
    is_active: bool


def _person(record: Any) -> Person | None:
    if record is None:
        return None
    return Person(
        user=User(record["username"]),
        email=record["email"],
        is_active=record["active_since_revision"] is not None,
    )


async def by_name(tx: Transaction, user: User) -> Person | None:
    """The user of this name."""
    return _person(await tx.connection.fetchrow(_BY_NAME, user))


async def by_email(tx: Transaction, email: str) -> Person | None:
    """The user with this address, however it is written."""
    return _person(await tx.connection.fetchrow(_BY_EMAIL, email))


async def add(tx: Transaction, user: User, email: str) -> None:
    """Reserve a new name and address; without credentials until an invitation is accepted."""
    await tx.touch("users", user)
    await tx.connection.execute(_ADD, user, email, tx.revision)


async def readdress(tx: Transaction, user: User, email: str) -> None:
    """Give a user another address."""
    await tx.touch("users", user)
    await tx.connection.execute(_READDRESS, user, email)


async def activate(tx: Transaction, user: User) -> bool:
    """Note that the user accepted; True the first time."""
    await tx.touch("users", user)
    return bool((await tx.connection.execute(_ACTIVATE, user, tx.revision)).endswith(" 1"))


async def forget_unaccepted(tx: Transaction, user: User) -> None:
    """Free the name and address of somebody who never accepted anything and has nothing open."""
    await tx.touch("users", user)
    await tx.connection.execute(_FORGET, user)


async def emails(look: Reading, users: list[User]) -> dict[User, str]:
    """The addresses of some users; empty where there is none."""
    return {User(record["username"]): record["email"] for record in await look.connection.fetch(_EMAILS, users)}
