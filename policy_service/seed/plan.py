"""From a wanted seed to a safe change: a plan of exactly what would happen, then that and nothing else."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from policy_service.decide import Model, Snapshot
from policy_service.errors import PolicyError
from policy_service.policy_text import BrokenPolicy, seed_rows
from policy_service.replicate import Replica
from policy_service.seed import install
from policy_service.seed.errors import BrokenSeed, PlanMoved
from policy_service.seed.guards import actions_used, guards_of, is_allowed, names_taken, not_for
from policy_service.seed.impact import Comparison
from policy_service.seed.lines import as_csv, ordered
from policy_service.seed.values import Plan, Planned, Target
from policy_service.store import Store, TooManyLongReads, Transaction, UnknownRevision, Written
from policy_service.vocabulary import ANY, SYSTEM_DOMAIN, Origin, Progress, Row

NAMED: Final = 10
"""Members of a group that a plan names, unless asked for others."""
_PATIENCE: Final = 2.0
"""Seconds that a plan waits for the replica to be where the store is."""
_MOST_UNDER_WAY: Final = 4
_UNDER_LOCK: Final = 3.0
"""Seconds that a plan may keep other writers waiting; they give up after five."""
_KEPT: Final = 300.0
"""Seconds for which the last proposal is kept: long enough to read a plan and agree to it."""
_JUDGE: Final = ThreadPoolExecutor(1, "seed-judge")

Answer = TypeVar("Answer")


async def in_turn(judge: Callable[[], Answer]) -> Answer:
    """Judge a seed in the one thread for it: a hostile text takes seconds, and only one at a time does."""
    return await asyncio.get_running_loop().run_in_executor(_JUDGE, judge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Rows that are wanted in the place of others, and all about them that holds whatever the accounts are."""

    comparison: Comparison
    guards: tuple[PolicyError, ...]
    own: frozenset[Row]
    """The rights of single callers, under which it was judged."""

    @property
    def rows(self) -> tuple[frozenset[Row], frozenset[Row]]:
        """Before and after."""
        return self.comparison.before, self.comparison.after


class SeedPlans:
    """Plans and applies on one store, with the replica that follows it."""

    def __init__(
        self,
        store: Store,
        replica: Replica,
        model: Model,
        *,
        most_removed: float,
        methods: frozenset[str],
        asks_rights: bool = True,
    ) -> None:
        """``most_removed`` is the share of rows that a plan may remove; ``methods`` are the contract's.

        Whoever holds the database needs no right of a caller's: ``asks_rights`` is False for them alone.
        """
        self._asks_rights = asks_rights
        self._store = store
        self._replica = replica
        self._model = model
        self._most_removed = most_removed
        self._methods = methods
        self._kept: Proposal | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._under_way = 0

    async def plan(
        self, target: Target, *, caller: str, most: int | None = NAMED
    ) -> AsyncGenerator[Progress | Plan, None]:
        """What a target would change now, and what would keep this caller from applying it.

        Raises BrokenSeed, UnknownRevision, TooManyLongReads, RevisionNotReached, ReplicaStale and StoreUnavailable.
        """
        with self._one_of_few():
            snapshot = await self._now()
            proposal = await self._propose(snapshot, await self._rows(target, snapshot))
            async for part in plan_in_parts(snapshot, proposal, most=most):
                yield part if isinstance(part, Progress) else self._for(caller, part, snapshot, proposal)

    async def apply(self, target: Target, planned: Planned, *, caller: str, actor: str, reason: str) -> Written:
        """Do what a plan says, in one change.

        Raises PlanMoved where the digest, or the revision unless any will do, is
        another by now, ForeignHistory for a plan of another history, MassRemoval, EmptiedRole, CallersLockedOut and
        WidenedCallers unless allowed, MayNotChangeCallers, RoleNameTaken, and
        what ``plan`` raises.
        """
        with self._one_of_few():
            snapshot = await self._now()
            wanted = await self._rows(target, snapshot)
            proposal = await self._propose(snapshot, wanted)
            await self._judge(snapshot, proposal, planned, caller)
        detail: dict[str, object] = {"digest": planned.digest}
        if target.to_revision:
            detail["to_revision"] = target.to_revision
        kind = "seed.rollback" if target.to_revision else "seed.apply"
        async with self._store.transaction(caller=caller, actor=actor, reason=reason, patient=True) as transaction:
            # Under the lock: from here on nobody can come between.
            now = transaction.revision - 1
            moved = PlanMoved(planned=planned.revision, now=now)
            # A restored database may be at this revision with other rows than the replica knows.
            if not await transaction.has_passed(snapshot.held):
                raise moved
            if now != snapshot.revision and not (
                planned.at_any_revision and await self._is_same(proposal, snapshot, now, transaction)
            ):
                raise moved
            await install.put(transaction, wanted, kind, detail)
            written = await transaction.named()
        self._forget()
        return written

    async def _is_same(self, proposal: Proposal, judged: Snapshot, now: int, transaction: Transaction) -> bool:
        """Is a plan the same after what others did since it was judged? Others wait for the lock meanwhile."""
        try:
            async with asyncio.timeout(_UNDER_LOCK):
                snapshot = await self._reach(now)
                return (
                    await transaction.has_passed(snapshot.held)
                    and set(snapshot.basis.rows) == proposal.comparison.before
                    and snapshot.callers.own == proposal.own
                    and await proposal.comparison.is_same(judged, snapshot)
                )
        except TimeoutError:
            return False

    def _for(self, caller: str, made: Plan, snapshot: Snapshot, proposal: Proposal) -> Plan:
        """The plan with what its caller may not do."""
        if not self._asks_rights:
            return made
        return replace(made, guards=(*not_for(caller, snapshot, proposal.comparison.after), *made.guards))

    async def _judge(self, snapshot: Snapshot, proposal: Proposal, planned: Planned, caller: str) -> None:
        """Raise whatever keeps a plan from being applied to a snapshot."""
        moved = PlanMoved(planned=planned.revision, now=snapshot.revision)
        if planned.history is not None:
            snapshot.history.refuse_foreign(planned.revision, planned.history)
        if not planned.at_any_revision and snapshot.revision != planned.revision:
            raise moved
        if set(snapshot.basis.rows) != proposal.comparison.before:
            raise moved
        made = self._for(caller, await whole(plan_in_parts(snapshot, proposal, most=0)), snapshot, proposal)
        if made.digest != planned.digest:
            raise moved
        for guard in made.guards:
            if not is_allowed(
                guard,
                mass_removal=planned.allow_mass_removal,
                emptied_role=planned.allow_emptied_role,
                widened_callers=planned.allow_widened_callers,
            ):
                raise guard

    async def _now(self) -> Snapshot:
        """The policy as the store has it: whatever was acknowledged to anybody is in it."""
        return await self._reach(await self._store.revision())

    async def _reach(self, revision: int) -> Snapshot:
        if self._replica.snapshot.revision >= revision:
            return self._replica.at(revision)
        return await asyncio.to_thread(self._replica.reach, revision, _PATIENCE)

    async def _propose(self, snapshot: Snapshot, wanted: Iterable[Row]) -> Proposal:
        """The last one if it is of the same rows: to look again takes little time then."""
        kept, rows = self._kept, (frozenset(snapshot.basis.rows), frozenset(wanted))
        own = snapshot.callers.own
        if kept is None or kept.rows != rows or kept.own != own:
            kept = await propose(self._model, *rows, most_removed=self._most_removed, methods=self._methods, own=own)
        self._kept = kept
        if self._forgetting:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(_KEPT, self._forget)
        return kept

    def _forget(self) -> None:
        self._kept = None

    @contextmanager
    def _one_of_few(self) -> Iterator[None]:
        """What is found in a hundred thousand accounts takes a hundred megabytes."""
        if self._under_way == _MOST_UNDER_WAY:
            raise TooManyLongReads(limit="plans under way", most=_MOST_UNDER_WAY)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

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
            if not any(row.ptype == "a" for row in held):
                # Of a time when the actions were the release's own, which those of now were made of.
                held += [row for row in snapshot.basis.rows if row.ptype == "a"]
            text = as_csv(held)
        try:
            return await in_turn(partial(seed_rows, text, "seed", methods=self._methods))
        except BrokenPolicy as fault:
            faults = tuple(f"line {at.line}: {at.text}" for at in fault.faults[:20])
            raise BrokenSeed(faults=faults, count=len(fault.faults)) from fault


async def propose(
    model: Model,
    before: Iterable[Row],
    after: Iterable[Row],
    *,
    most_removed: float,
    methods: frozenset[str],
    own: frozenset[Row] = frozenset(),
) -> Proposal:
    """Rows to be looked at by ``plan``."""
    comparison = Comparison(model, before, after)

    def judge() -> tuple[PolicyError, ...]:
        held, wanted = comparison.before, comparison.after
        return tuple(guards_of(model, held, wanted, most_removed=most_removed, methods=methods, own=own))

    return Proposal(comparison=comparison, guards=await in_turn(judge), own=own)


async def plan_in_parts(snapshot: Snapshot, proposal: Proposal, *, most: int | None) -> AsyncIterator[Progress | Plan]:
    """What rows would change under a snapshot: accounts looked at, of all, then the plan."""
    held, rows = proposal.rows
    added, removed = ordered(rows - held, among=rows | held), ordered(held - rows, among=rows | held)
    async for part in proposal.comparison.impact(snapshot, most=most):
        if isinstance(part, Progress):
            yield part
        else:
            found = part
    told = {"added": _fields(added), "affected": found.digest, "removed": _fields(removed)}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    yield Plan(
        revision=snapshot.revision,
        digest=digest,
        added=added,
        removed=removed,
        impact=found,
        guards=(
            *proposal.guards,
            *await names_taken(snapshot, install.new_roles(held, rows)),
            *await actions_used(snapshot, install.gone_actions(held, rows)),
        ),
        history=snapshot.history.name,
    )


async def whole(parts: AsyncIterator[Progress | Plan]) -> Plan:
    """The plan, where nobody watches its progress."""
    *_, made = [part async for part in parts]
    assert isinstance(made, Plan)  # noqa: S101 - it is the last part.
    return made


def _fields(rows: Sequence[Row]) -> list[list[str]]:
    return [[row.ptype, *row.values] for row in rows]
