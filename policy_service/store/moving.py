"""The whole policy out of one store and into an empty one, by COPY."""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Final

from policy_service.store import records
from policy_service.store.reading import Reading
from policy_service.store.transaction import Transaction

_LONG: Final = 86_400.0
_PATIENT: Final = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"

_COUNTS: Final = """
SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM physicians) AS physicians,
       (SELECT count(*) FROM rules WHERE until_revision IS NULL) AS rules,
       (SELECT count(*) FROM invitations WHERE state = 'pending') AS invitations
"""
_USERS: Final = """
SELECT username, email, set_up_revision IS NOT NULL AS is_set_up FROM users ORDER BY username
"""
_PHYSICIANS: Final = "SELECT physician, owner, display_name FROM physicians ORDER BY physician"
_RULES: Final = """
SELECT origin, ptype, v0, v1, v2, v3 FROM rules WHERE until_revision IS NULL
ORDER BY domain, ptype, v0, v1, v2, v3
"""
_INVITATIONS: Final = """
SELECT i.id, i.physician, i.username, i.email, i.roles, i.actions, i.invited_by, i.invited_at, i.expires_at,
       i.generation, encode(i.token_hash, 'hex') AS token_hash, o.message_id, o.state AS mail
FROM invitations i JOIN outbox o ON o.invitation = i.id AND o.generation = i.generation
WHERE i.state = 'pending' ORDER BY i.id
"""
_ADD_INVITATION: Final = """
INSERT INTO invitations (id, physician, username, email, roles, actions, state, invited_by, invited_at, expires_at,
                         generation, token_hash, invited_at_revision)
VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, decode($11, 'hex'), $12)
"""
# What was sent before the move stays sent: its link goes on working with the same token key. What waited waits on.
_ADD_MAIL: Final = """
INSERT INTO outbox (invitation, generation, message_id, state, next_try, queued_at, physician, address)
VALUES ($1, $2, $3, $4, now(), $5, $6, lower($7))
"""
_FORGET_INVITED: Final = """
DELETE FROM users WHERE set_up_revision IS NULL AND NOT EXISTS (SELECT FROM rules WHERE v0 = 'user:' || username)
"""
TABLES: Final = ("user", "physician", "rule", "invitation")


async def counts(look: Reading) -> dict[str, int]:
    """How many lines of each kind there will be."""
    found = await look.connection.fetchrow(_COUNTS)
    return {name: int(found[f"{name}s"]) for name in TABLES}


async def everything(look: Reading) -> AsyncIterator[tuple[str, list[Any]]]:
    """All that holds, as kinds and their fields: users, physicians, rules, open invitations."""
    for kind, statement in zip(TABLES, (_USERS, _PHYSICIANS, _RULES, _INVITATIONS), strict=True):
        async for record in look.connection.cursor(statement, prefetch=5_000, timeout=_LONG):
            yield kind, [_plain(value) for value in record.values()]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def be_patient(tx: Transaction) -> None:
    """Let this transaction take its time."""
    await tx.connection.execute(_PATIENT)


async def add_users(tx: Transaction, found: Iterable[list[Any]]) -> None:
    """Users: name, address, whether they have credentials."""
    await _copy(
        tx,
        "users",
        ("username", "email", "created_at_revision", "active_since_revision", "set_up_revision"),
        ((name, email, *(tx.revision,) * 2, tx.revision if set_up else None) for name, email, set_up in found),
    )


async def forget_invited(tx: Transaction) -> None:
    """Drop users without credentials or access: older files hold whoever was only invited among the users."""
    await tx.connection.execute(_FORGET_INVITED)


async def add_physicians(tx: Transaction, found: Iterable[list[Any]]) -> None:
    """Physicians: name, owner, display name."""
    columns = ("physician", "owner", "display_name", "registered_at_revision")
    await _copy(tx, "physicians", columns, ((*fields, tx.revision) for fields in found))


async def add_rules(tx: Transaction, found: Iterable[list[Any]]) -> None:
    """Rows: origin, type, v0 … v3."""
    columns = ("origin", "ptype", "v0", "v1", "v2", "v3", "from_revision")
    await _copy(tx, "rules", columns, ((*fields, tx.revision) for fields in found))


async def add_invitations(tx: Transaction, found: Iterable[list[Any]]) -> None:
    """Open invitations, as ``everything`` gives them."""
    for *fields, message_id, mail in found:
        fields[7:9] = (datetime.fromisoformat(moment) for moment in fields[7:9])
        await tx.connection.execute(_ADD_INVITATION, *fields, tx.revision)
        name, physician, _, email, *_, invited_at, _, generation, _ = fields
        await tx.connection.execute(_ADD_MAIL, name, generation, message_id, mail, invited_at, physician, email)


async def vouch(tx: Transaction) -> None:
    """Have the entry vouch for all users, physicians and invitations as they came in."""
    tx.tell(records.SUM, (await records.sum_of_every(tx.connection)).hexdigest())


ADD: Final = {"user": add_users, "physician": add_physicians, "rule": add_rules, "invitation": add_invitations}
"""How each kind comes in, in the order in which they must."""


async def _copy(tx: Transaction, table: str, columns: tuple[str, ...], found: Iterable[tuple[Any, ...]]) -> None:
    await tx.connection.copy_records_to_table(table, columns=columns, records=found, timeout=_LONG)


def line(kind: str, fields: object) -> str:
    """A line of the file."""
    return json.dumps({kind: fields}, separators=(",", ":"), ensure_ascii=False) + "\n"
