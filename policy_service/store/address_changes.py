"""The table of wishes for another address, each confirmed from there or gone with its time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policy_service.store.invitations import Purpose
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import User

_ASKED = "SELECT asked_at FROM address_changes WHERE username = $1 AND asked_at > $2 ORDER BY asked_at"
_OPEN_OF = "SELECT id FROM address_changes WHERE username = $1 AND state = 'pending'"
_REPLACE = "UPDATE address_changes SET state = 'replaced', closed_at_revision = $2 WHERE id = $1"
_ADD = """
INSERT INTO address_changes (id, username, email, state, asked_at, expires_at, token_hash, asked_at_revision)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7)
"""
_ENQUEUE = """
INSERT INTO outbox (address_change, generation, state, message_id, next_try, purpose, queued_at, address)
VALUES ($1, 1, 'queued', $2, $3, $4, $3, lower($5))
"""
# Under the lock, as with invitations.
_OPEN_LINK = "SELECT id FROM address_changes WHERE token_hash = $1 AND state = 'pending' AND expires_at > $2"
_CONFIRM = """
UPDATE address_changes SET state = 'confirmed', closed_at_revision = $2
WHERE id = $1 AND state = 'pending' RETURNING id, username, email
"""
_NOTE_BEFORE = "UPDATE address_changes SET before = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """A wish that was confirmed."""

    id: str
    user: User
    email: str


async def asked_since(tx: Transaction, user: User, since: datetime) -> list[datetime]:
    """When the user asked for another address after a time."""
    return [record["asked_at"] for record in await tx.connection.fetch(_ASKED, user, since)]


async def add(
    tx: Transaction,
    wanted: str,
    user: User,
    email: str,
    *,
    now: datetime,
    expires_at: datetime,
    token_hash: bytes,
    message_id: str,
) -> None:
    """A new wish in place of an open one, with its e-mail to the new address queued."""
    replaced = await tx.connection.fetchval(_OPEN_OF, user)
    if replaced is not None:
        await tx.touch("address_changes", replaced)
        await tx.connection.execute(_REPLACE, replaced, tx.revision)
    await tx.touch("address_changes", wanted)
    await tx.connection.execute(_ADD, wanted, user, email, now, expires_at, token_hash, tx.revision)
    await tx.connection.execute(_ENQUEUE, wanted, message_id, now, Purpose.ADDRESS, email)
    tx.has_mail = True


async def confirm(tx: Transaction, token_hash: bytes, now: datetime) -> AddressChange | None:
    """Close the open wish of this token; None if there is none."""
    wanted = await tx.connection.fetchval(_OPEN_LINK, token_hash, now)
    if wanted is None:
        return None
    await tx.touch("address_changes", wanted)
    record: Any = await tx.connection.fetchrow(_CONFIRM, wanted, tx.revision)
    return AddressChange(id=record["id"], user=User(record["username"]), email=record["email"])


async def tell(tx: Transaction, wanted: str, before: str, *, now: datetime, message_id: str) -> None:
    """Queue the e-mail that tells the old address."""
    await tx.touch("address_changes", wanted)
    await tx.connection.execute(_NOTE_BEFORE, wanted, before)
    await tx.connection.execute(_ENQUEUE, wanted, message_id, now, Purpose.ADDRESS_NOTICE, before)
    tx.has_mail = True
