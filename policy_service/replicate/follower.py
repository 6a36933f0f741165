"""Keeps the replica at the store's revision.

NOTIFY only wakes it; the truth is what it then reads: every row that began or
ended after the revision it has, as of one later revision. Should a notice be lost it
looks every second anyway, and that look is also the proof that the database
still answers. After a fault: connect, listen, then catch up, so that nothing
falls between.
"""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import structlog

from policy_service import metrics
from policy_service.decide import Account, Basis, Callers, Model, Snapshot
from policy_service.errors import StartError
from policy_service.replicate.replica import Replica
from policy_service.store import Listener, Motion, Reading, Store, StoreUnavailable
from policy_service.tasks import Sound
from policy_service.vocabulary import (
    ANY,
    MOST_REMEMBERED,
    NO_CREDENTIALS,
    SYSTEM_DOMAIN,
    Credentials,
    History,
    Physician,
    Row,
    is_own_right,
    name_in,
)

_POLL_SECONDS = 1.0
_LONGEST_PAUSE = 5.0

BasisOf = Callable[[Iterable[Row]], Basis]

log = structlog.get_logger(__name__)


class EmptyPolicy(StartError):
    """The store holds no built-in rules."""


async def load(listener: Listener, basis_of: BasisOf, heard: Credentials = NO_CREDENTIALS) -> Snapshot:
    """Read the whole policy. Raises EmptyPolicy and StoreUnavailable.

    A token that was ``heard`` to have ended, or to end earlier, does so whatever the database says.
    """
    started = time.perf_counter()
    # Nothing of what is made here is garbage: the collector would look at all of it again and again.
    gc.disable()
    try:
        async with listener.reading() as look:
            basis, callers = await _built_in(look, basis_of, heard)
            accounts = [account async for account in _accounts(basis, look.every_row())]
            history = History.of(look.revision, await look.marks(look.revision - MOST_REMEMBERED))
            snapshot = Snapshot.of(look.held, basis, accounts, history, callers)
    finally:
        gc.collect()
        # The policy stays for good: taken out of the collector's rounds, it causes no pauses.
        gc.freeze()
        gc.enable()
    log.info(
        "policy loaded",
        revision=snapshot.revision,
        physicians=len(accounts),
        seconds=round(time.perf_counter() - started, 3),
    )
    return snapshot


class Follower:
    """The task that follows the store for one replica."""

    def __init__(self, store: Store, model: Model, *, most_enforcers: int = 200) -> None:
        """Follow ``store`` under ``model``; ``most_enforcers`` as for ``Basis``."""
        self._store = store
        self._basis_of = partial(Basis, model, most_enforcers=most_enforcers)
        self._wake = asyncio.Event()

    async def start(self, *, max_age: float) -> Replica:
        """The first snapshot, as a replica. Raises EmptyPolicy and StoreUnavailable."""
        async with self._store.listening(self._wake.set) as listener:
            return Replica(await load(listener, self._basis_of), max_age=max_age)

    async def run(self, replica: Replica, sound: Sound = lambda: None) -> None:
        """Follow until cancelled, through any fault of the database; ``sound`` is told of each time it has caught up.

        Whatever else goes wrong ends it: whoever keeps it begins it again, and
        knows meanwhile that this replica does not follow. It goes on from
        memory until its age says that it may not.
        """
        pause = 0.1
        replica.look = partial(asyncio.get_running_loop().call_soon_threadsafe, self._wake.set)
        while True:
            try:
                async with self._store.listening(self._wake.set) as listener:
                    while True:
                        await self._catch_up(listener, replica)
                        metrics.behind.set(0)
                        metrics.follower_is("following")
                        sound()
                        pause = 0.1
                        await self._wait()
            except (StoreUnavailable, EmptyPolicy) as fault:
                metrics.follower_is("paused")
                log.warning("following paused", fault=str(fault), cause=type(fault.__cause__).__name__, age=replica.age)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret.
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _catch_up(self, listener: Listener, replica: Replica) -> None:
        asked = replica.now()
        before = replica.snapshot
        held = await listener.held()
        metrics.behind.set(max(0, held.revision - before.revision))
        if held == before.held:
            replica.confirm(asked)
            return
        metrics.follower_is("catching_up")
        moved = await listener.since(before.held)
        if not moved.goes_on and before.revision:
            # Not a change but another history: the database was restored from a backup.
            log.warning(
                "the database has another history, loading anew", had=before.revision, found=moved.held.revision
            )
            # A backup has tokens that were ended since. What this process knows of that, a restore does not undo.
            replica.replace(await load(listener, self._basis_of, before.callers.credentials), asked)
        elif moved.tokens or _is_built_in(moved):
            await self._beside_accounts(listener, replica, asked)
        else:
            replica.replace(_next(before, moved), asked)

    async def _beside_accounts(self, listener: Listener, replica: Replica, asked: float) -> None:
        """Built-in rules and tokens are read whole, at one moment with what moved beside them."""
        before = on = replica.snapshot
        async with listener.reading() as look:
            moved = await look.since(before.held)
            if not moved.goes_on and before.revision:
                # The next look loads it anew.
                return
            if _is_built_in(moved):
                on = await self._with_built_in(look, before)
            elif moved.tokens:
                known = (await look.credentials()).after(before.callers.credentials)
                on = before.with_callers(before.callers.showing(known))
        replica.replace(_next(on, moved, before), asked)

    async def _with_built_in(self, look: Reading, snapshot: Snapshot) -> Snapshot:
        """Under the built-in rules of a look; what is remembered of accounts stays where only callers are others."""
        basis, callers = await _built_in(look, self._basis_of, snapshot.callers.credentials, snapshot.basis)
        if basis is not snapshot.basis:
            snapshot = snapshot.on(look.held, basis)
        return snapshot.with_callers(callers)


def _is_built_in(moved: Motion) -> bool:
    """Did a row move that is no account's?"""
    return any(row.domain in (ANY, SYSTEM_DOMAIN) for row in (*moved.ended, *moved.begun))


def _next(on: Snapshot, moved: Motion, before: Snapshot | None = None) -> Snapshot:
    """The snapshot of where it stands now: what moved is put in its place, the rest shared."""
    ended, begun = _by_domain(moved.ended), _by_domain(moved.begun)
    accounts = dict[Physician, Account | None]()
    for domain in (ended.keys() | begun.keys()) - {ANY, SYSTEM_DOMAIN}:
        physician = Physician(name_in(domain))
        account = on.account(physician) or Account(on.basis, physician, (), ())
        account = account.changed(ended.get(domain, ()), begun.get(domain, ()))
        accounts[physician] = account if account.grants or account.rules else None
    return on.after(moved.held, accounts, (before or on).history.after(moved.held.revision, moved.marks))


def _by_domain(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found = dict[str, list[Row]]()
    for row in rows:
        found.setdefault(row.domain, []).append(row)
    return found


async def _built_in(
    look: Reading, basis_of: BasisOf, heard: Credentials, before: Basis | None = None
) -> tuple[Basis, Callers]:
    """The seed's rows as a basis, that before if they are the same, and the callers as they are now."""
    rows = await look.rows([ANY, SYSTEM_DOMAIN])
    own = {row for row in rows if is_own_right(row)}
    basis = before
    if basis is None or {*basis.rows} != {*rows} - own:
        basis = basis_of(row for row in rows if row not in own)
    if not basis.roles:
        raise EmptyPolicy("The policy in the database has no built-in rules: run 'policy-service migrate'.")
    return basis, basis.callers.knowing(own, (await look.credentials()).after(heard))


async def _accounts(basis: Basis, rows: AsyncIterator[Any]) -> AsyncIterator[Account]:
    """Accounts from rows that come domain by domain, equal strings kept once."""
    kept: dict[str, str] = {}
    keep: Callable[[str, str], str] = kept.setdefault
    current = ""
    grants: list[tuple[str, str]] = []
    rules: list[tuple[str, str, str]] = []

    def finished() -> Account:
        physician = Physician(name_in(current))
        return Account(basis, physician, tuple(sorted(set(grants))), tuple(sorted(set(rules))))

    async for domain, ptype, v0, v1, v2, v3 in rows:
        if domain != current:
            if current.startswith("physician:"):
                yield finished()
            current = domain
            grants.clear()
            rules.clear()
        if ptype == "g":
            grants.append((keep(v0, v0), keep(v1, v1)))
        else:
            rules.append((keep(v0, v0), keep(v2, v2), keep(v3, v3)))
    if current.startswith("physician:"):
        yield finished()
