"""From a wanted seed to a safe change: a plan of exactly what would happen, then that and nothing else."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from policy_service import seeds
from policy_service.engine import Basis
from policy_service.errors import (
    BrokenSeed,
    CallersLockedOut,
    EmptiedRole,
    MassRemoval,
    PlanMoved,
    PolicyError,
    RoleNameTaken,
    UnknownRevision,
)
from policy_service.impact import Comparison, Impact
from policy_service.model import Model
from policy_service.policy_files import BrokenPolicy, seed_rows
from policy_service.replica import Replica
from policy_service.snapshot import Snapshot
from policy_service.store import Store, Written
from policy_service.vocabulary import (
    ACTIONS,
    ANY,
    SYSTEM_DOMAIN,
    Effect,
    Origin,
    Progress,
    Row,
    name_in,
    subject_of_role,
)

_APPLY: Final = "SeedService/ApplySeed"
_ACCOUNTS: Final = 1_000
"""Accounts between two breaths of a look at nothing but their roles' names."""
NAMED: Final = 10
"""Members of a group that a plan names, unless asked for others."""
_PATIENCE: Final = 2.0
"""Seconds that a plan waits for the replica to be where the store is."""
_KEPT: Final = 300.0
"""Seconds for which the last comparison is kept: long enough to read a plan and agree to it."""
_JUDGE: Final = ThreadPoolExecutor(1, "seed-judge")
_ORDER: Final = {action: place for place, action in enumerate(ACTIONS)}

Answer = TypeVar("Answer")


async def in_turn(judge: Callable[[], Answer]) -> Answer:
    """Judge a seed in the one thread for it: a hostile text takes seconds, and only one at a time does."""
    return await asyncio.get_running_loop().run_in_executor(_JUDGE, judge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The seed that is wanted: a text, or the rows that held at a revision."""

    csv: str = ""
    to_revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change of the seed would do."""

    revision: int
    digest: str
    """Stands for the rows and for everyone affected, at whatever revision."""
    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    impact: Impact
    guards: tuple[PolicyError, ...]
    """What refuses it, where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What must still be true of a plan when it is applied, and what it may do nevertheless."""

    revision: int
    digest: str
    allow_mass_removal: bool = False
    allow_emptied_role: bool = False
    at_any_revision: bool = False
    """Is the same digest enough, whatever else was changed?"""


class SeedPlans:
    """Plans and applies on one store, with the replica that follows it."""

    def __init__(
        self, store: Store, replica: Replica, model: Model, *, most_removed: float, methods: frozenset[str]
    ) -> None:
        """``most_removed`` is the share of rows that a plan may remove; ``methods`` are the contract's."""
        self._store = store
        self._replica = replica
        self._model = model
        self._most_removed = most_removed
        self._methods = methods
        self._kept: Comparison | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def plan(self, target: Target, *, most: int | None = NAMED) -> AsyncIterator[Progress | Plan]:
        """What a target would change now.

        Raises BrokenSeed, UnknownRevision, RevisionNotReached, ReplicaStale and StoreUnavailable.
        """
        snapshot = await self._now()
        wanted = await self._rows(target, snapshot)
        async for part in self._plan(snapshot, self._comparison(snapshot, wanted), most=most):
            yield part

    async def apply(self, target: Target, planned: Planned, *, caller: str, actor: str, reason: str) -> Written:
        """Do what a plan says, in one change.

        Raises PlanMoved where the digest, or the revision unless any will do, is
        another by now, MassRemoval, EmptiedRole and CallersLockedOut unless
        allowed, RoleNameTaken, and what ``plan`` raises.
        """
        snapshot = await self._now()
        wanted = await self._rows(target, snapshot)
        comparison = self._comparison(snapshot, wanted)
        await self._judge(snapshot, comparison, planned)
        detail: dict[str, object] = {"digest": planned.digest}
        if target.to_revision:
            detail["to_revision"] = target.to_revision
        kind = "seed.rollback" if target.to_revision else "seed.apply"
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as transaction:
            # Under the lock: from here on nobody can come between.
            now = transaction.revision - 1
            if now != snapshot.revision:
                if not planned.at_any_revision:
                    raise PlanMoved(planned=planned.revision, now=now)
                # Only what was changed meanwhile is looked at: others wait for the lock.
                snapshot = await self._reach(now)
                await self._judge(snapshot, comparison, planned)
            # A restored database may be at this revision with other rows than the replica knows.
            if not await transaction.has_passed(snapshot.held):
                raise PlanMoved(planned=planned.revision, now=now)
            await seeds.put(transaction, wanted, kind, detail)
        return transaction.written

    async def _judge(self, snapshot: Snapshot, comparison: Comparison, planned: Planned) -> None:
        """Raise whatever keeps a plan from being applied to a snapshot."""
        moved = PlanMoved(planned=planned.revision, now=snapshot.revision)
        if not planned.at_any_revision and snapshot.revision != planned.revision:
            raise moved
        if set(snapshot.basis.rows) != comparison.before:
            raise moved
        made = await whole(self._plan(snapshot, comparison, most=0))
        if made.digest != planned.digest:
            raise moved
        for guard in made.guards:
            if not _is_allowed(guard, planned):
                raise guard

    async def _now(self) -> Snapshot:
        """The policy as the store has it: whatever was acknowledged to anybody is in it."""
        return await self._reach(await self._store.revision())

    async def _reach(self, revision: int) -> Snapshot:
        return await asyncio.to_thread(self._replica.reach, revision, _PATIENCE)

    def _plan(self, snapshot: Snapshot, comparison: Comparison, *, most: int | None) -> AsyncIterator[Progress | Plan]:
        return plan(snapshot, comparison, most=most, most_removed=self._most_removed, methods=self._methods)

    def _comparison(self, snapshot: Snapshot, wanted: Iterable[Row]) -> Comparison:
        """The last one if it is of the same rows: to look again takes little time then."""
        kept, loop = self._kept, asyncio.get_running_loop()
        if kept is None or (kept.before, kept.after) != (frozenset(snapshot.basis.rows), frozenset(wanted)):
            kept = self._kept = Comparison(self._model, snapshot.basis.rows, wanted)
        if self._forgetting:
            self._forgetting.cancel()
        self._forgetting = loop.call_later(_KEPT, self._forget)
        return kept

    def _forget(self) -> None:
        self._kept = None

    async def _rows(self, target: Target, snapshot: Snapshot) -> tuple[Row, ...]:
        text = target.csv
        if target.to_revision:
            if not 0 < target.to_revision <= snapshot.revision:
                raise UnknownRevision(revision=str(target.to_revision))
            held = [
                row
                for domain in (ANY, SYSTEM_DOMAIN)
                for row, origin in await self._store.rows_at(target.to_revision, domain)
                if origin is Origin.SEED
            ]
            text = as_csv(held)
        try:
            return await in_turn(partial(seed_rows, text, "seed", methods=self._methods))
        except BrokenPolicy as fault:
            faults = tuple(f"line {at.line}: {at.text}" for at in fault.faults[:20])
            raise BrokenSeed(faults=faults, count=len(fault.faults)) from fault


async def plan(
    snapshot: Snapshot,
    comparison: Comparison,
    *,
    most: int | None,
    most_removed: float,
    methods: frozenset[str],
) -> AsyncIterator[Progress | Plan]:
    """What rows would change under a snapshot: accounts looked at, of all, then the plan."""
    model, held, rows = comparison.model, comparison.before, comparison.after
    added, removed = ordered(rows - held), ordered(held - rows)
    async for part in comparison.impact(snapshot, most=most):
        if isinstance(part, Progress):
            yield part
        else:
            found = part
    guards = [*_guards(held, rows, most_removed), *await in_turn(partial(_locked_out, model, held, rows, methods))]
    if taken := await _taken(snapshot, seeds.new_roles(held, rows)):
        guards.append(RoleNameTaken(roles=tuple(sorted(map(name_in, taken)))))
    told = {"added": _fields(added), "affected": found.digest, "removed": _fields(removed)}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    yield Plan(
        revision=snapshot.revision,
        digest=digest,
        added=added,
        removed=removed,
        impact=found,
        guards=tuple(guards),
    )


async def whole(parts: AsyncIterator[Progress | Plan]) -> Plan:
    """The plan, where nobody watches its progress."""
    *_, made = [part async for part in parts]
    assert isinstance(made, Plan)  # noqa: S101 - it is the last part.
    return made


def _guards(held: Set[Row], wanted: Set[Row], most_removed: float) -> Iterable[PolicyError]:
    removed = len(held - wanted)
    if removed > most_removed * len(held):
        yield MassRemoval(removed=removed, rows=len(held), most=f"{most_removed:.0%}")
    # In each domain by itself: what a role allows in accounts is not replaced by a right of a caller's.
    had, has = (
        {row.values[:2] for row in rows if row.ptype == "p" and row.values[3] == Effect.ALLOW}
        for rows in (held, wanted)
    )
    if emptied := sorted({role for role, _ in had - has}):
        yield EmptiedRole(roles=tuple(name_in(role) for role in emptied))


def _locked_out(model: Model, held: Set[Row], wanted: Set[Row], methods: frozenset[str]) -> list[PolicyError]:
    """Casbin's word on what calling services may before and after; one whose grants are all removed is meant to go."""
    before, after = ([row for row in rows if row.domain == SYSTEM_DOMAIN] for rows in (held, wanted))
    if set(before) == set(after):
        return []
    had, has = Basis(model, before), Basis(model, after)
    callers = [_callers(rows) for rows in (before, after)]

    def may_nothing(basis: Basis, caller: str) -> bool:
        return not any(basis.caller_may(caller, method) for method in methods)

    left = tuple(
        name for name in sorted(callers[0] & callers[1]) if may_nothing(has, name) and not may_nothing(had, name)
    )
    could, can = (
        sum(basis.caller_may(name, _APPLY) for name in names) for basis, names in zip((had, has), callers, strict=True)
    )
    return [CallersLockedOut(callers=left, appliers=can)] if left or (could and not can) else []


def _callers(rows: Iterable[Row]) -> set[str]:
    return {name_in(row.values[0]) for row in rows if row.ptype == "g" and row.values[0].startswith("service:")}


async def _taken(snapshot: Snapshot, new: set[str]) -> set[str]:
    """Which of these roles, new in all accounts, some account has defined for itself."""
    found = set[str]()
    for number, name in enumerate(snapshot.physicians() if new else ()):
        account = snapshot.account(name)
        assert account is not None  # noqa: S101 - a snapshot never changes.
        found |= new & {subject_of_role(role) for role in account.custom_roles()}
        if number % _ACCOUNTS == 0:
            await asyncio.sleep(0)
    return found


def _is_allowed(guard: PolicyError, planned: Planned) -> bool:
    if isinstance(guard, MassRemoval):
        return planned.allow_mass_removal
    return isinstance(guard, EmptiedRole | CallersLockedOut) and planned.allow_emptied_role


def ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows in the one order that they are shown in: rules before grants, by domain, role and the actions' own order."""
    return tuple(sorted(rows, key=_place))


def _place(row: Row) -> tuple[bool, str, str, int, tuple[str, ...]]:
    action = row.values[2] if row.ptype == "p" else ""
    return row.ptype == "g", row.domain, row.values[0], _ORDER.get(action, -1), row.values


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as lines of a seed.csv, in order."""
    return "".join(f"{line}\n" for line in csv_lines(ordered(rows)))


def csv_lines(rows: Iterable[Row]) -> list[str]:
    """Rows as lines of a seed.csv, as they come."""
    return [", ".join((row.ptype, *row.values)) for row in rows]


def _fields(rows: Sequence[Row]) -> list[list[str]]:
    return [[row.ptype, *row.values] for row in rows]
