"""Is the change log whole? Walks the chain, holds it against checkpoints and against the policy itself."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from policy_service.audit.errors import CheckpointOfAnotherLog
from policy_service.chain import KIND, Checkpoint, Statement, Verifier, Walk
from policy_service.store import LogLook, Recorded, Store, Unrecorded
from policy_service.vocabulary import Progress

_SLICE = 500
"""Entries between two breaths: whoever else shares the process waits for a few milliseconds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found.

    ``fault`` is empty where nothing was tampered with, ``broken_revision`` 0
    where it is of decisions. Without a fault, what is ``unrecorded`` still
    keeps the decision log from being whole.
    """

    entries: int
    head_revision: int
    head_hash: bytes
    checkpoints_met: int
    replicas: tuple[Recorded, ...]
    unrecorded: tuple[Unrecorded, ...]
    broken_revision: int = 0
    fault: str = ""
    statement: str = ""
    """What an earlier release left, where the log itself says so; empty where it says nothing of its chain."""

    @property
    def is_whole(self) -> bool:
        """Is everything there, as it was written?"""
        return not self.fault and not self.unrecorded


async def verify(
    store: Store, against: Sequence[Checkpoint], verifier: Verifier | None = None
) -> AsyncGenerator[Progress | Verdict, None]:
    """Progress, then the verdict; a statement in the log is believed by ``verifier``.

    Raises StoreUnavailable, and CheckpointOfAnotherLog, which is no fault of this one.
    """
    log_name = await store.log_name()
    for checkpoint in against:
        if checkpoint.log != log_name:
            raise CheckpointOfAnotherLog(revision=checkpoint.revision)
    kept: dict[int, set[str]] = {}
    for checkpoint in against:
        kept.setdefault(checkpoint.revision, set()).add(checkpoint.hash)
    async with store.looking_at_log() as look:
        stated = await _stated(look)
        total, walk, met = await look.count(), Walk(forks=stated.forks if stated else range(0)), 0
        broken, fault = 0, ""
        async for entry, stored in look.entries():
            if fault:
                break
            if words := walk.fault(entry, stored):
                broken, fault = walk.revision + 1, words
            elif expected := kept.get(entry.revision):
                if expected != {stored.hex()}:
                    broken, fault = entry.revision, "its hash is not the one of the checkpoint: the log was rewritten"
                met += 1
            if entry.revision % _SLICE == 0:
                yield Progress(done=entry.revision, total=total)
                await asyncio.sleep(0)
        if not fault and stated and (words := stated.fault(walk.fork, verifier)):
            broken, fault = stated.revision, words
        if not fault:
            broken, fault = await _end_fault(look, walk, max(kept, default=0))
        recorded, unlike = await look.recorded()
        if not fault:
            fault = _decisions_fault(recorded) or unlike
        head = await look.head()
        yield Verdict(
            entries=walk.revision,
            head_revision=head.revision,
            head_hash=head.hash,
            checkpoints_met=met,
            replicas=tuple(recorded),
            unrecorded=tuple(await look.unrecorded()),
            broken_revision=broken,
            fault=fault,
            statement=stated.words() if stated and not fault else "",
        )


async def _stated(look: LogLook) -> Statement | None:
    """The statement with which this release's part of the log begins; anywhere else, one explains nothing."""
    entry = await look.first_vouching()
    return Statement.of(entry) if entry is not None and entry.kind == KIND else None


def _decisions_fault(replicas: Iterable[Recorded]) -> str:
    """Decisions that are not there and were not counted as lost, or are there and come from nowhere."""
    faults = []
    for log in replicas:
        if log.started_at is None:
            faults.append(f"process {log.replica} recorded decisions, and nothing says that it ever started")
        if log.doubled:
            faults.append(f"the decision log of process {log.replica} has {log.doubled:,} decisions under another's id")
        if (missing := log.missing - log.lost) > 0:
            faults.append(f"the decision log of process {log.replica} lacks {missing:,} decisions not counted as lost")
    return "; ".join(faults)


async def _end_fault(look: LogLook, walk: Walk, last_kept: int) -> tuple[int, str]:
    """What is wrong with a log of which each entry is good."""
    head = await look.head()
    there_was = max(head.current, last_kept)
    if there_was > walk.revision:
        return walk.revision + 1, f"the log ends at revision {walk.revision}, and there was {there_was}"
    if head.current < walk.revision:
        return walk.revision, f"the policy says that it is at revision {head.current} only"
    if not head.is_marked:
        return walk.revision, "its mark is not the one that the policy has, by which replicas know this history"
    if stray := await look.stray():
        return stray.revision, stray.words
    return 0, ""
