"""The tables of invitations and of the e-mails that carry them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from policy_service.store.reading import Reading
from policy_service.store.records import columns_of
from policy_service.store.transaction import Transaction
from policy_service.vocabulary import Action, Physician, Role, User


class InvitationState(StrEnum):
    """Where an invitation stands; EXPIRED also of an open one whose time is up."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"


class Purpose(StrEnum):
    """What an e-mail is for."""

    INVITATION = "invitation"
    SETUP = "setup"
    ADDRESS = "address"
    ADDRESS_NOTICE = "address_notice"


class DeliveryState(StrEnum):
    """Where an e-mail stands."""

    QUEUED = "queued"
    DELAYED = "delayed"
    SENT = "sent"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation with the state of its last e-mail."""

    id: str
    physician: Physician
    user: User
    email: str
    roles: tuple[Role, ...]
    actions: tuple[Action, ...]
    state: InvitationState
    invited_by: User
    invited_at: datetime
    expires_at: datetime
    generation: int
    revision: int
    delivery: DeliveryState
    next_try: datetime | None
    words: str
    our_fault: bool
    awaits_setup: bool
    """Accepted, and its user works here and has not set up their credentials: the last link leads back to that."""

    def is_open(self, now: datetime) -> bool:
        """May it still be accepted?"""
        return self.state is InvitationState.PENDING and self.expires_at > now

    def state_at(self, now: datetime) -> InvitationState:
        """The state as people see it."""
        if self.state is InvitationState.PENDING and not self.is_open(now):
            return InvitationState.EXPIRED
        return self.state


# Who was taken off the account, and came back by another invitation, goes on with that one.
_AWAITS_SETUP = """
(i.state = 'accepted'
 AND EXISTS (SELECT FROM users u WHERE u.username = i.username AND u.set_up_revision IS NULL)
 AND EXISTS (SELECT FROM rules r WHERE r.until_revision IS NULL AND r.domain = 'physician:' || i.physician
             AND r.ptype = 'g' AND r.v0 = 'user:' || i.username)
 AND NOT EXISTS (SELECT FROM invitations later WHERE later.physician = i.physician AND later.username = i.username
                 AND later.state = 'accepted' AND later.closed_at_revision > i.closed_at_revision))
"""
_COLUMNS = f"""
i.id, i.physician, i.username, i.email, i.roles, i.actions, i.state, i.invited_by, i.invited_at, i.expires_at,
i.generation, i.invited_at_revision, o.state AS delivery, o.next_try, o.words, o.our_fault,
{_AWAITS_SETUP} AS awaits_setup
"""
_FROM = "FROM invitations i JOIN outbox o ON o.invitation = i.id AND o.generation = i.generation"
# The e-mail is queued in the same statement. What comes back is the invitation as it is, with the state of that e-mail.
_ADD = f"""
WITH i AS (
  INSERT INTO invitations (id, physician, username, email, roles, actions, state, invited_by, invited_at, expires_at,
                           token_hash, invited_at_revision)
  VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11)
  RETURNING {columns_of("invitations")}
), o AS (
  INSERT INTO outbox (invitation, generation, state, message_id, next_try, purpose, queued_at, physician, address)
  SELECT id, generation, 'queued', $12, $13, $14, $13, physician, lower(email) FROM i
  RETURNING state AS delivery, next_try, words, our_fault
)
SELECT i.*, o.*, false AS awaits_setup FROM i, o
"""  # noqa: S608 - names of ours.
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE i.physician = $1 AND i.id = $2"
_OPEN_FOR = f"SELECT {_COLUMNS} {_FROM} WHERE i.physician = $1 AND i.username = $2 AND i.state = 'pending'"
_OPEN_WITH_ROLE = f"""
SELECT {_COLUMNS} {_FROM}
WHERE i.physician = $1 AND i.state = 'pending' AND i.expires_at > now() AND $2 = ANY(i.roles)
"""
_OPEN_OF_USER = f"""
SELECT {_COLUMNS} {_FROM} WHERE i.username = $1 AND i.state = 'pending' AND i.expires_at > $2 ORDER BY i.id
"""
# The same name at the same address: nobody else took it meanwhile.
_EXPIRED_AT = """
SELECT id FROM invitations WHERE username = $1 AND state = 'pending' AND lower(email) = lower($2) AND expires_at <= $3
"""
_READDRESS = "UPDATE invitations SET email = $2 WHERE id = $1"
_OF_TOKEN = f"SELECT {_COLUMNS} {_FROM} WHERE i.token_hash = $1"
_PAGE = f"""
SELECT {_COLUMNS} {_FROM}
WHERE i.physician = $1 AND i.invited_at_revision < $2
  AND CASE WHEN i.state = 'pending' AND i.expires_at <= $3 THEN 'expired' ELSE i.state END = ANY($4::text[])
ORDER BY i.invited_at_revision DESC LIMIT $5
"""
_RENEW = f"""
UPDATE invitations SET generation = generation + 1, token_hash = $2, email = $3, expires_at = $4
WHERE id = $1 RETURNING {columns_of("invitations")}
"""  # noqa: S608 - names of ours.
_ENQUEUE = """
INSERT INTO outbox (invitation, generation, state, message_id, next_try, purpose, queued_at, physician, address)
VALUES ($1, $2, 'queued', $3, $4, $5, $4, $6, lower($7))
"""
# Under the lock: a second use of the token, a cancel or an expiry finds no row.
_OPEN_LINK = "SELECT id FROM invitations WHERE token_hash = $1 AND state = 'pending' AND expires_at > $2"
_CLOSE = f"""
UPDATE invitations SET state = $2, closed_at_revision = $3 WHERE id = $1 AND state = 'pending'
RETURNING {columns_of("invitations")}
"""  # noqa: S608 - names of ours.


def _invitation(record: Any) -> Invitation:
    return Invitation(
        id=record["id"],
        physician=Physician(record["physician"]),
        user=User(record["username"]),
        email=record["email"],
        roles=tuple(Role(role) for role in record["roles"]),
        actions=tuple(Action(action) for action in record["actions"]),
        state=InvitationState(record["state"]),
        invited_by=User(record["invited_by"]),
        invited_at=record["invited_at"],
        expires_at=record["expires_at"],
        generation=record["generation"],
        revision=record["invited_at_revision"],
        delivery=DeliveryState(record["delivery"]),
        next_try=record["next_try"],
        words=record["words"],
        our_fault=record["our_fault"],
        awaits_setup=record["awaits_setup"],
    )


async def add(
    tx: Transaction,
    *,
    id: str,  # noqa: A002 - the column's name.
    physician: Physician,
    user: User,
    email: str,
    roles: Sequence[Role],
    actions: Sequence[Action],
    invited_by: User,
    now: datetime,
    expires_at: datetime,
    token_hash: bytes,
    message_id: str,
) -> Invitation:
    """A new open invitation, with its e-mail queued."""
    record = await tx.connection.fetchrow(
        _ADD,
        id,
        physician,
        user,
        email,
        list(roles),
        [str(action) for action in actions],
        invited_by,
        now,
        expires_at,
        token_hash,
        tx.revision,
        message_id,
        now,
        Purpose.INVITATION,
    )
    tx.wrote("invitations", record, is_new=True)
    tx.has_mail = True
    return _invitation(record)


async def one(tx: Transaction, physician: Physician, wanted: str) -> Invitation | None:
    """An invitation of this account."""
    record = await tx.connection.fetchrow(_ONE, physician, wanted)
    return _invitation(record) if record else None


async def open_for(tx: Transaction, physician: Physician, user: User) -> Invitation | None:
    """The user's invitation that nobody closed, expired or not."""
    record = await tx.connection.fetchrow(_OPEN_FOR, physician, user)
    return _invitation(record) if record else None


async def open_of(tx: Transaction, user: User, now: datetime) -> list[Invitation]:
    """The user's invitations, of all accounts, that can still be accepted."""
    return [_invitation(record) for record in await tx.connection.fetch(_OPEN_OF_USER, user, now)]


async def readdress_expired(tx: Transaction, user: User, before: str, email: str, now: datetime) -> None:
    """Let the user's expired invitations go, if they are sent again, where the user is now."""
    for record in await tx.connection.fetch(_EXPIRED_AT, user, before, now):
        await tx.touch("invitations", record["id"])
        await tx.connection.execute(_READDRESS, record["id"], email)


async def of_token(source: Transaction | Reading, token_hash: bytes) -> Invitation | None:
    """The invitation whose last link has this token, whatever became of it."""
    record = await source.connection.fetchrow(_OF_TOKEN, token_hash)
    return _invitation(record) if record else None


async def open_with_role(tx: Transaction, physician: Physician, role: Role) -> list[Invitation]:
    """Invitations that can still be accepted and that name a role."""
    return [_invitation(record) for record in await tx.connection.fetch(_OPEN_WITH_ROLE, physician, role)]


async def page(
    look: Reading, physician: Physician, states: Sequence[InvitationState], before: int, now: datetime, size: int
) -> list[Invitation]:
    """Invitations in some states, newest first, made before a revision."""
    wanted = [str(state) for state in states]
    records = await look.connection.fetch(_PAGE, physician, before, now, wanted, size)
    return [_invitation(record) for record in records]


async def renew(
    tx: Transaction,
    wanted: Invitation,
    *,
    email: str,
    expires_at: datetime,
    token_hash: bytes,
    message_id: str,
    now: datetime,
) -> None:
    """Replace the link, and queue its e-mail: one that invites, or one that leads back to the set-up."""
    await tx.touch("invitations", wanted.id)
    record = await tx.connection.fetchrow(_RENEW, wanted.id, token_hash, email, expires_at)
    tx.wrote("invitations", record)
    purpose = Purpose.SETUP if wanted.awaits_setup else Purpose.INVITATION
    await tx.connection.execute(
        _ENQUEUE, wanted.id, record["generation"], message_id, now, purpose, wanted.physician, email
    )
    tx.has_mail = True


async def consume(tx: Transaction, token_hash: bytes, now: datetime, state: InvitationState) -> Invitation | None:
    """Close the open invitation of this token as accepted or declined; None if there is none."""
    wanted = await tx.connection.fetchval(_OPEN_LINK, token_hash, now)
    if wanted is None:
        return None
    await tx.touch("invitations", wanted)
    record = await tx.connection.fetchrow(_CLOSE, wanted, state, tx.revision)
    if record is None:
        return None
    tx.wrote("invitations", record)
    return await one(tx, record["physician"], record["id"])


async def close(tx: Transaction, wanted: Invitation, state: InvitationState) -> bool:
    """Close an open invitation; False if it was closed already."""
    await tx.touch("invitations", wanted.id)
    record = await tx.connection.fetchrow(_CLOSE, wanted.id, state, tx.revision)
    if record is not None:
        tx.wrote("invitations", record)
    return record is not None
