"""The one way to write: raise the revision, change rows, leave an entry in the change log."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from policy_service.chain import START, Entry
from policy_service.store import answers, records, rules
from policy_service.store.caps import Caps
from policy_service.store.errors import PhysicianExists
from policy_service.store.known import KnownRows, Rows
from policy_service.store.listening import CHANNEL
from policy_service.vocabulary import Held, Origin, Physician, Row, User, domain_of, name_of, row_fault

_LOG = f"""
WITH entry AS (
  INSERT INTO changes
    (revision, at, caller, actor, reason, kind, physician, before, after, detail, mark, previous_hash, hash)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING revision
){{beside}}
SELECT pg_notify('{CHANNEL}', revision::text) FROM entry
"""  # noqa: S608 - names of ours.
_LOG_ALONE, _LOG_WITH_ANSWER = _LOG.format(beside=""), _LOG.format(beside=f", kept AS ({answers.keeping(14)})")
_HAS_PHYSICIANS = "SELECT EXISTS (SELECT FROM physicians)"
# Whoever holds a custom role holds one that is defined.
_CUSTOM_NAMED = """
SELECT DISTINCT v0 FROM rules WHERE until_revision IS NULL AND origin = 'api' AND v0 = ANY($1::text[])
"""
# Of an expired invitation too, as it can be sent anew.
_USES = """
SELECT v2 AS action, substr(domain, 11) || '/' || v0 AS used_by FROM rules
WHERE until_revision IS NULL AND ptype = 'p' AND origin = 'api' AND v2 = ANY($1::text[])
UNION ALL
SELECT action, physician || '/invitation:' || id FROM invitations, unnest(actions) AS action
WHERE state IN ('pending', 'expired') AND action = ANY($1::text[])
ORDER BY action, used_by LIMIT 100
"""
_SEED_ROWS = """
SELECT ptype, v0, v1, v2, v3 FROM rules
WHERE until_revision IS NULL AND origin = 'seed' AND domain IN ('*', 'system')
"""
_ADD_USER = """
INSERT INTO users (username, created_at_revision, active_since_revision, set_up_revision) VALUES ($1, $2, $2, $2)
ON CONFLICT (username) DO NOTHING
"""
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

    def __init__(
        self,
        connection: Any,
        raised: Any,
        *,
        caller: str,
        actor: str,
        reason: str,
        key: str,
        holds: Caps,
        known: KnownRows,
    ) -> None:
        """Use ``Store.transaction``."""
        self.connection = connection
        self._caps = holds
        self._known = known
        self.revision = int(raised["revision"])
        """The revision that a change in here makes."""
        self.name = str(raised["xact"])
        """The database's name of this transaction."""
        self._raised = raised
        self._caller, self._actor, self._reason, self._key = caller, actor, reason, key
        self._story: dict[str, Any] | None = None
        self._before: dict[tuple[str, str], str | None] = {}
        self._after: dict[tuple[str, str], str | None] = {}
        self._rows: dict[str, Rows] = {}
        self._kept: answers.Kept | None = None
        self.user = ""
        """Whom the change says that it is about, beside its rows."""
        self.has_mail = False
        """Was an e-mail queued?"""

    def act_as(self, actor: str) -> None:
        """Name the acting person, where only what was read could tell who that is."""
        self._actor = actor

    async def kept_answer(self, digest: bytes, now: datetime) -> bytes | None:
        """The answer given before under this call's idempotency key, if it still stands; see ``answers.kept``."""
        if not self._raised["has_answer"]:
            return None
        return await answers.kept(self.connection, self._caller, self._key, digest, now)

    def keep_answer(self, kept: answers.Kept) -> None:
        """Keep an answer for the next time the key is used: it is written with the entry."""
        self._kept = kept

    @property
    def written(self) -> Written:
        """The outcome: without a change, the revision before still holds."""
        changed = self._story is not None
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

    async def held_rows(self, *domains: str) -> list[Rows]:
        """The same, each domain's as a set that is the very same one as long as nothing changed there.

        Before rows are written: it is what the transaction found.
        """
        head = self._raised["head_revision"]
        if head != self.revision - 1 or self._story is not None:
            # The log has a gap, as after an import by hand, or these are our own: of no revision that is known.
            return [frozenset(await self.rows([domain])) for domain in domains]
        at = Held(revision=head, mark=str(self._raised["head_mark"]))
        found = await self._known.of(self.connection, domains, at)
        self._rows |= dict(zip(domains, found, strict=True))
        return found

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

    async def uses_of(self, actions: Iterable[str]) -> list[tuple[str, str]]:
        """Which of these actions accounts' own rules and open invitations name: an action and who, each."""
        wanted = list(actions)
        found = await self.connection.fetch(_USES, wanted) if wanted else []
        return [(record["action"], record["used_by"]) for record in found]

    async def touch(self, table: str, key: str) -> None:
        """Before a row of ``records.TABLES`` is written: so that the entry can say what became of it."""
        if (table, key) not in self._before:
            self._before[table, key] = await records.digest(self.connection, table, key)

    def wrote(self, table: str, record: Any, *, is_new: bool = False) -> None:
        """Of a row of ``records.TABLES`` that was written: all its columns as the database has them now."""
        key = record[records.TABLES[table].key]
        if is_new:
            self._before[table, key] = None
        self._after[table, key] = records.digest_of(records.row_of(table, record))

    async def add_user(self, user: User) -> None:
        """Note a user who has credentials, or is known already."""
        await self.touch("users", user)
        await self.connection.execute(_ADD_USER, user, self.revision)

    async def add_physician(self, physician: Physician, owner: User, display_name: str) -> None:
        """Note a new account; raises PhysicianExists."""
        await self.touch("physicians", physician)
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
        """End and begin rows, and log it at the end, with what else was done in ``detail``.

        Once in a transaction; without rows or detail there is no change. Raises
        AccountFull where the account would hold more than it may.
        """
        if self._story is not None:
            raise RuntimeError(f"one transaction tells one story: {self._story['kind']}, then {kind}")
        before, after = sorted(set(ended), key=_order), sorted(set(begun), key=_order)
        if not before and not after and not detail:
            return
        for row in after:
            # Whatever way a row came: what a policy file may not say, the service may not write.
            if fault := row_fault(row.ptype, row.values, or_own_right=origin is Origin.API):
                raise ValueError(f"not a row of policy: {fault}")
        self.user = str((detail or {}).get("user", ""))
        if physician and after:
            domain = domain_of(physician)
            held = self._rows[domain] if domain in self._rows else (await self.held_rows(domain))[0]
            self._caps.refuse_growth(physician, held, before, after)
        await rules.write(self.connection, self.revision, before, after, origin)
        self._story = {
            "kind": kind,
            "physician": physician,
            "before": tuple((row.ptype, *row.values) for row in before),
            "after": tuple((row.ptype, *row.values) for row in after),
            "detail": dict(detail or {}),
        }

    def tell(self, name: str, fact: object) -> None:
        """One more fact of the change, known only after it was made."""
        assert self._story is not None  # noqa: S101 - the story comes first.
        self._story["detail"][name] = fact

    async def finish(self) -> None:
        """Write the entry: last, as it vouches for all that was written."""
        assert self._story is not None  # noqa: S101 - without a change there is no entry.
        self._story["detail"][records.TOUCHED] = await self._touched()
        await self._log(
            Entry(
                **self._story,
                revision=self.revision,
                at=self._raised["changed_at"],
                caller=self._caller,
                actor=self._actor,
                reason=self._reason,
                mark=str(self._raised["mark"]),
                previous=self._raised["head_hash"] or START,
            )
        )

    async def _touched(self) -> records.Touched:
        found: records.Touched = {}
        for (table, key), before in sorted(self._before.items()):
            known = (table, key) in self._after
            after = self._after[table, key] if known else await records.digest(self.connection, table, key)
            if before != after:
                found.setdefault(table, {})[key] = [before, after]
        return found

    async def _log(self, entry: Entry) -> None:
        # The entry, the kept answer and the notice in one statement, as it is the last under the lock but the commit.
        await self.connection.execute(
            _LOG_ALONE if self._kept is None else _LOG_WITH_ANSWER,
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
            *(() if self._kept is None else answers.columns(self._caller, self._kept)),
        )


def _order(row: Row) -> tuple[str, tuple[str, ...]]:
    return row.ptype, row.values
