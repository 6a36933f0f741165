"""The one way to write: raise the revision, change rows, leave an entry in the change log."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from policy_service.errors import PhysicianExists
from policy_service.store import rules
from policy_service.vocabulary import Origin, Physician, Row, User, domain_of

_RAISE = "UPDATE policy_revision SET revision = revision + 1 RETURNING revision"
_NOTIFY = "SELECT pg_notify('policy_revision', $1::text)"
_LOG = """
INSERT INTO changes (revision, caller, actor, reason, kind, physician, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_HAS_PHYSICIANS = "SELECT EXISTS (SELECT FROM physicians)"
_CUSTOM_NAMED = """
SELECT DISTINCT v0 FROM rules WHERE until_revision IS NULL AND origin = 'api' AND v0 = ANY($1::text[])
"""
_ADD_USER = "INSERT INTO users (username, created_at_revision) VALUES ($1, $2) ON CONFLICT (username) DO NOTHING"
_ADD_PHYSICIAN = """
INSERT INTO physicians (physician, owner, display_name, registered_at_revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (physician) DO NOTHING RETURNING physician
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write answers: the revision to ask for, and whether anything had to change."""

    revision: int
    changed: bool


class Transaction:
    """The policy as it stands, locked for writing at the next revision."""

    def __init__(self, connection: Any, revision: int, caller: str, actor: str, reason: str) -> None:
        """Use ``Store.transaction``."""
        self._connection = connection
        self._revision = revision
        self._caller, self._actor, self._reason = caller, actor, reason
        self._kind: str | None = None

    @property
    def written(self) -> Written:
        """The outcome: without a change, the revision before still holds."""
        changed = self._kind is not None
        return Written(revision=self._revision if changed else self._revision - 1, changed=changed)

    async def rows(self, domain: str) -> list[Row]:
        """The rows of a domain that hold now."""
        return await rules.current_of(self._connection, [domain])

    async def rows_of(self, physician: Physician) -> list[Row]:
        """The rows of a physician's account that hold now; none if it is not registered."""
        return await self.rows(domain_of(physician))

    async def seed_rows(self) -> list[Row]:
        """The rows of origin seed that hold now."""
        held = await rules.at(self._connection, self._revision - 1, None)
        return [row for row, origin in held if origin is Origin.SEED]

    async def has_physicians(self) -> bool:
        """Is any account registered?"""
        return bool(await self._connection.fetchval(_HAS_PHYSICIANS))

    async def custom_roles_among(self, subjects: Iterable[str]) -> set[str]:
        """Which of these role subjects some account has defined for itself."""
        return {record["v0"] for record in await self._connection.fetch(_CUSTOM_NAMED, list(subjects))}

    async def add_user(self, user: User) -> None:
        """Note a user, who may be known already."""
        await self._connection.execute(_ADD_USER, user, self._revision)

    async def add_physician(self, physician: Physician, owner: User, display_name: str) -> None:
        """Note a new account; raises PhysicianExists."""
        added = await self._connection.fetchval(_ADD_PHYSICIAN, physician, owner, display_name, self._revision)
        if added is None:
            raise PhysicianExists(physician=physician)

    async def change(
        self,
        kind: str,
        physician: Physician | None,
        *,
        ended: Iterable[Row] = (),
        begun: Iterable[Row] = (),
        origin: Origin = Origin.API,
    ) -> None:
        """End and begin rows, and log it. Once in a transaction; nothing to do is no change."""
        if self._kind is not None:
            raise RuntimeError(f"one transaction tells one story: {self._kind}, then {kind}")
        before, after = sorted(set(ended), key=_order), sorted(set(begun), key=_order)
        if not before and not after:
            return
        self._kind = kind
        await rules.write(self._connection, self._revision, before, after, origin)
        await self._connection.execute(
            _LOG,
            self._revision,
            self._caller,
            self._actor,
            self._reason,
            kind,
            physician,
            _encoded(before),
            _encoded(after),
        )
        await self._connection.execute(_NOTIFY, str(self._revision))


class _NothingChanged(Exception):
    """Takes the raised revision back."""


@asynccontextmanager
async def begin(connection: Any, caller: str, actor: str, reason: str) -> AsyncIterator[Transaction]:
    """A transaction on a connection; commits if something changed, else leaves no trace."""
    try:
        async with connection.transaction():
            revision = int(await connection.fetchval(_RAISE))
            transaction = Transaction(connection, revision, caller, actor, reason)
            yield transaction
            if not transaction.written.changed:
                raise _NothingChanged
    except _NothingChanged:
        pass


def _order(row: Row) -> tuple[str, tuple[str, ...]]:
    return row.ptype, row.values


def _encoded(rows: list[Row]) -> str:
    return json.dumps([[row.ptype, *row.values] for row in rows], separators=(",", ":"))
