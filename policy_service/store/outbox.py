"""E-mails waiting to be sent. Not policy: neither raises the revision nor is logged as a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policy_service.store.invitations import DeliveryState, Purpose
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import Physician, User, title_of

# SKIP LOCKED and the lease: each e-mail is with one sender, and a sender that dies gives it back.
_CLAIM = """
UPDATE outbox SET leased_until = $2, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM outbox
    WHERE state IN ('queued', 'delayed') AND next_try <= $1 AND (leased_until IS NULL OR leased_until <= $1)
    ORDER BY next_try LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING id, coalesce(invitation, address_change) AS invitation, generation, message_id, attempts, purpose
"""
_LETTER = """
SELECT i.physician, i.username, i.email, i.roles, i.actions, i.expires_at, i.token_hash, p.display_name,
       u.set_up_revision IS NOT NULL AS is_active,
       ARRAY(SELECT DISTINCT substr(v0, 6) FROM rules
             WHERE until_revision IS NULL AND domain = '*' AND ptype = 'p') AS built_in,
       ARRAY(SELECT ARRAY[v0, v3] FROM rules
             WHERE until_revision IS NULL AND domain = '*' AND ptype = 'a' AND v0 = ANY(i.actions)) AS told
FROM invitations i JOIN physicians p USING (physician) LEFT JOIN users u USING (username)
WHERE i.id = $1 AND i.generation = $2 AND i.expires_at > $3
  AND i.state = CASE $4 WHEN 'setup' THEN 'accepted' ELSE 'pending' END
  AND ($4 <> 'setup' OR u.set_up_revision IS NULL)
"""
_ADDRESS_LETTER = """
SELECT username, email, before, expires_at, token_hash FROM address_changes
WHERE id = $1 AND CASE $3 WHEN 'address_notice' THEN state = 'confirmed' ELSE state = 'pending' AND expires_at > $2 END
"""
_RECORD = """
UPDATE outbox SET state = $2, words = $3, next_try = $4, our_fault = $5, leased_until = NULL WHERE id = $1
"""
# Of what is still waited for: a link that works, a set-up that is not finished; a notice for a day.
_NOT_DONE = """
SELECT o.state, count(*) AS letters, min(o.queued_at) AS since FROM outbox o
LEFT JOIN invitations i ON i.id = o.invitation AND i.generation = o.generation AND i.expires_at > $1
LEFT JOIN users u ON u.username = i.username
LEFT JOIN address_changes c ON c.id = o.address_change
WHERE o.state IN ('queued', 'delayed', 'failed')
  AND CASE o.purpose
        WHEN 'invitation' THEN i.state = 'pending'
        WHEN 'setup' THEN i.state = 'accepted' AND u.set_up_revision IS NULL
        WHEN 'address' THEN c.state = 'pending' AND c.expires_at > $1
        ELSE o.queued_at > $1 - interval '1 day'
      END
GROUP BY o.state
"""
# Of each, the oldest of so many last letters: when it falls out of the time that counts, another may be sent.
_OLDEST_OF = """
SELECT
  (SELECT queued_at FROM outbox WHERE $3 > 0 AND invitation = $2 AND queued_at > $1
   ORDER BY queued_at DESC OFFSET greatest($3 - 1, 0) LIMIT 1) AS invitation,
  (SELECT queued_at FROM outbox WHERE $5 > 0 AND address = lower($4) AND queued_at > $1
   ORDER BY queued_at DESC OFFSET greatest($5 - 1, 0) LIMIT 1) AS address,
  (SELECT queued_at FROM outbox WHERE $7 > 0 AND physician = $6 AND queued_at > $1
   ORDER BY queued_at DESC OFFSET greatest($7 - 1, 0) LIMIT 1) AS account
"""
_TIDY = "DELETE FROM idempotency WHERE at < $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An e-mail that is ours to send until its lease ends."""

    id: int
    invitation: str
    """What it is about: an invitation, or a change of address."""
    generation: int
    message_id: str
    attempts: int
    purpose: str = Purpose.INVITATION


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """E-mails of one state that are still waited for."""

    letters: int
    since: datetime
    """When the oldest was queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What an e-mail says, and to whom."""

    physician: Physician
    title: str
    user: User
    email: str
    roles: tuple[str, ...]
    actions: tuple[str, ...]
    expires_at: datetime
    token_hash: bytes | None
    """None where the e-mail has no link."""
    is_active: bool
    built_in: frozenset[str] = frozenset()
    """Names of the roles that hold in every account."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What its actions are called."""
    purpose: Purpose = Purpose.INVITATION
    new_email: str = ""
    """In a notice: the address that took this one's place."""


async def claim(connection: Any, now: datetime, lease_until: datetime, most: int) -> list[Claimed]:
    """Take e-mails whose time has come."""
    return [Claimed(**record) for record in await connection.fetch(_CLAIM, now, lease_until, most)]


async def letter(connection: Any, claimed: Claimed, now: datetime) -> Letter | None:
    """What to send; None if the invitation no longer stands, or another link took this one's place."""
    purpose = Purpose(claimed.purpose)
    if purpose in (Purpose.ADDRESS, Purpose.ADDRESS_NOTICE):
        return await _address_letter(connection, claimed, now)
    found = await connection.fetchrow(_LETTER, claimed.invitation, claimed.generation, now, purpose)
    if found is None:
        return None
    return Letter(
        physician=found["physician"],
        title=found["display_name"] or found["physician"],
        user=found["username"],
        email=found["email"],
        roles=tuple(found["roles"]),
        actions=tuple(found["actions"]),
        expires_at=found["expires_at"],
        token_hash=found["token_hash"],
        is_active=bool(found["is_active"]),
        built_in=frozenset(found["built_in"]),
        titles={action: title_of(told) for action, told in found["told"]},
        purpose=purpose,
    )


async def _address_letter(connection: Any, claimed: Claimed, now: datetime) -> Letter | None:
    """To the new address for confirmation, or to the old one so that it is known there."""
    found = await connection.fetchrow(_ADDRESS_LETTER, claimed.invitation, now, claimed.purpose)
    if found is None:
        return None
    is_notice = claimed.purpose == Purpose.ADDRESS_NOTICE
    return Letter(
        physician=Physician(""),
        title="",
        user=found["username"],
        email=found["before"] if is_notice else found["email"],
        roles=(),
        actions=(),
        expires_at=found["expires_at"],
        token_hash=None if is_notice else found["token_hash"],
        is_active=True,
        purpose=Purpose(claimed.purpose),
        new_email=found["email"],
    )


async def record(
    connection: Any, claimed: Claimed, state: DeliveryState, words: str, next_try: datetime, *, our_fault: bool
) -> None:
    """Note how it went, and give the e-mail back."""
    await connection.execute(_RECORD, claimed.id, state, words, next_try, our_fault)


async def not_done(connection: Any, now: datetime) -> dict[DeliveryState, NotDone]:
    """How many letters that are still waited for wait, and how many are set aside; the oldest of each since when."""
    return {
        DeliveryState(record["state"]): NotDone(letters=record["letters"], since=record["since"])
        for record in await connection.fetch(_NOT_DONE, now)
    }


async def oldest_of_last(
    tx: Transaction, since: datetime, *, invitation: tuple[str, int], address: tuple[str, int], account: tuple[str, int]
) -> dict[str, datetime | None]:
    """For each, by its name: when the first of so many last letters was queued; None if there were not so many since.

    Of an invitation, to an address, for an account; of 0 letters it is None.
    """
    return dict(await tx.connection.fetchrow(_OLDEST_OF, since, *invitation, *address, *account))


async def tidy(connection: Any, before: datetime) -> None:
    """Forget answers to idempotency keys given before a time."""
    await connection.execute(_TIDY, before)
