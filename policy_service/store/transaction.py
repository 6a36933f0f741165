"""The one way to write: raise the revision, change rows, leave an entry in the change log."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from policy_service.chain import START, Entry
from policy_service.errors import IdempotencyKeyReused, PhysicianExists
from policy_service.history import name_of
from policy_service.store import rules
from policy_service.vocabulary import Held, Origin, Physician, Row, User, row_fault

log = structlog.get_logger(__name__)

_RAISE = """
UPDATE policy_revision
SET revision = revision + 1, mark = gen_random_uuid(), changed_at = greatest(clock_timestamp(), changed_at)
RETURNING revision, mark, changed_at, pg_current_xact_id()::text AS xact,
          (SELECT hash FROM changes ORDER BY changes.revision DESC LIMIT 1) AS head,
          changed_at > clock_timestamp() + interval '1 minute' AS is_ahead
"""
_NOTIFY = "SELECT pg_notify('policy_revision', $1::text)"
_LOG = """
INSERT INTO changes
  (revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_HAS_PHYSICIANS = "SELECT EXISTS (SELECT FROM physicians)"
# Whoever holds a custom role holds one that is defined.
_CUSTOM_NAMED = """
SELECT DISTINCT v0 FROM rules WHERE until_revision IS NULL AND origin = 'api' AND v0 = ANY($1::text[])
"""
_SEED_ROWS = """
SELECT ptype, v0, v1, v2, v3 FROM rules
WHERE until_revision IS NULL AND origin = 'seed' AND domain IN ('*', 'system')
"""
_ADD_USER = """
INSERT INTO users (username, created_at_revision, active_since_revision) VALUES ($1, $2, $2)
ON CONFLICT (username) DO UPDATE SET active_since_revision = coalesce(users.active_since_revision, $2)
"""
_KEPT_ANSWER = "SELECT digest, answer FROM idempotency WHERE caller = $1 AND key = $2"
KEEP_ANSWER = "INSERT INTO idempotency (caller, key, digest, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
_ADD_PHYSICIAN = """
INSERT INTO physicians (physician, owner, display_name, registered_at_revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (physician) DO NOTHING RETURNING physician
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write answers: the revision to ask for, and whether anything had to change."""

    revision: int
    changed: bool
    history: str = ""
    """The revision's name, where whoever wrote has asked for it; see history.py."""


class Transaction:
    """The policy as it stands, locked for writing at the next revision."""

    def __init__(self, connection: Any, raised: Any, caller: str, actor: str, reason: str) -> None:
        """Use ``Store.transaction``."""
        self.connection = connection
        self.revision = int(raised["revision"])
        """The revision that a change in here makes."""
        self._raised = raised
        self._caller, self._actor, self._reason = caller, actor, reason
        self._kind: str | None = None
        self.committing: str | None = None
        """The database's name of this transaction, from when it was told to commit."""

    def act_as(self, actor: str) -> None:
        """Name the acting person, where only what was read could tell who that is."""
        self._actor = actor

    async def kept_answer(self, key: str, digest: bytes) -> bytes | None:
        """The answer given before under an idempotency key; raises IdempotencyKeyReused for another request's."""
        kept = await self.connection.fetchrow(_KEPT_ANSWER, self._caller, key)
        if kept is None:
            return None
        if kept["digest"] != digest:
            raise IdempotencyKeyReused(key=key)
        return bytes(kept["answer"])

    async def keep_answer(self, key: str, digest: bytes, answer: bytes) -> None:
        """Keep an answer for the next time the key is used."""
        await self.connection.execute(KEEP_ANSWER, self._caller, key, digest, answer)

    @property
    def written(self) -> Written:
        """The outcome: without a change, the revision before still holds."""
        changed = self._kind is not None
        return Written(revision=self.revision if changed else self.revision - 1, changed=changed)

    async def named(self) -> Written:
        """The outcome with the name of its revision, as it is answered to callers."""
        written = self.written
        if written.changed:
            return replace(written, history=name_of(str(self._raised["mark"])))
        # Read here, under the lock: what is written beside it cannot have moved it.
        mark = await rules.mark_at(self.connection, written.revision)
        return replace(written, history=name_of(mark) if mark else "")

    async def rows(self, domains: Sequence[str]) -> list[Row]:
        """The rows of some domains that hold now."""
        return await rules.current_of(self.connection, domains)

    async def has_passed(self, point: Held) -> bool:
        """Is this point in the history that led here?"""
        return await rules.has_passed(self.connection, point)

    async def seed_rows(self) -> list[Row]:
        """The rows of origin seed that hold now."""
        return [rules.row_of(record) for record in await self.connection.fetch(_SEED_ROWS)]

    async def model(self) -> str | None:
        """The text of the model that was recorded last."""
        return await rules.model_at(self.connection, self.revision)

    async def has_physicians(self) -> bool:
        """Is any account registered?"""
        return bool(await self.connection.fetchval(_HAS_PHYSICIANS))

    async def custom_roles_among(self, subjects: Iterable[str]) -> set[str]:
        """Which of these role subjects some account has defined for itself."""
        return {record["v0"] for record in await self.connection.fetch(_CUSTOM_NAMED, list(subjects))}

    async def add_user(self, user: User) -> None:
        """Note a user who has credentials, and may be known already."""
        await self.connection.execute(_ADD_USER, user, self.revision)

    async def add_physician(self, physician: Physician, owner: User, display_name: str) -> None:
        """Note a new account; raises PhysicianExists."""
        added = await self.connection.fetchval(_ADD_PHYSICIAN, physician, owner, display_name, self.revision)
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
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """End and begin rows, and log it, with what else was done in ``detail``.

        Once in a transaction; without rows or detail there is no change.
        """
        if self._kind is not None:
            raise RuntimeError(f"one transaction tells one story: {self._kind}, then {kind}")
        before, after = sorted(set(ended), key=_order), sorted(set(begun), key=_order)
        if not before and not after and not detail:
            return
        for row in after:
            # Whatever way a row came: what a policy file may not say, the service may not write.
            if fault := row_fault(row.ptype, row.values):
                raise ValueError(f"not a row of policy: {fault}")
        self._kind = kind
        await rules.write(self.connection, self.revision, before, after, origin)
        await self._log(
            Entry(
                revision=self.revision,
                at=self._raised["changed_at"],
                caller=self._caller,
                actor=self._actor,
                reason=self._reason,
                kind=kind,
                physician=physician,
                before=tuple((row.ptype, *row.values) for row in before),
                after=tuple((row.ptype, *row.values) for row in after),
                detail=detail or {},
                mark=str(self._raised["mark"]),
                previous=self._raised["head"] or START,
            )
        )
        await self.connection.execute(_NOTIFY, str(self.revision))

    async def _log(self, entry: Entry) -> None:
        await self.connection.execute(
            _LOG,
            entry.revision,
            entry.at,
            entry.caller,
            entry.actor,
            entry.reason,
            entry.kind,
            entry.physician,
            json.dumps(entry.before),
            json.dumps(entry.after),
            json.dumps(entry.detail),
            entry.mark,
            entry.previous,
            entry.hash(),
        )


class _NothingChanged(Exception):
    """Takes the raised revision back."""


@asynccontextmanager
async def begin(connection: Any, caller: str, actor: str, reason: str) -> AsyncIterator[Transaction]:
    """A transaction on a connection; commits if something changed, else leaves no trace."""
    try:
        async with connection.transaction():
            raised = await connection.fetchrow(_RAISE)
            if raised["is_ahead"]:
                # Questions by time find the change only when that time has come.
                log.warning("changes have times to come: the database's clock was ahead once", at=raised["changed_at"])
            transaction = Transaction(connection, raised, caller, actor, reason)
            yield transaction
            if not transaction.written.changed:
                raise _NothingChanged
            transaction.committing = str(raised["xact"])
    except _NothingChanged:
        pass


def _order(row: Row) -> tuple[str, tuple[str, ...]]:
    return row.ptype, row.values
