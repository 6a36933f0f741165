"""Tells load balancers and metrics whether this process should be used, and for what not."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from policy_service import metrics
from policy_service.decision_log import DecisionLog
from policy_service.replicate import Replica
from policy_service.rpc.observing import callers_named
from policy_service.rpc.server import MANAGE_USERS, RECORDING, Planes
from policy_service.store import Store
from policy_service.tasks import Sound, Supervisor

log = structlog.get_logger(__name__)

FOLLOWING: Final = "follower"
SENDING: Final = "sender"
_NEEDS: Final = {SENDING: (MANAGE_USERS.full_name,)}
"""Services that a task's failure takes out of use; the follower's takes all."""
_SECONDS: Final = 0.5
_SILENT_SECONDS: Final = 5.0
"""A follower looks every second."""


class Readiness:
    """What was said last, for whoever asks by HTTP: in the words of why this process should not be used."""

    def __init__(self) -> None:
        """Nothing is served before it was said."""
        self._why_not: str | None = "starting"
        self._unused: tuple[str, ...] = ()
        self.standing: Callable[[], str] = lambda: ""
        """How the replica follows the database, in a line for people."""

    def say(self, serving: bool, unused: tuple[str, ...]) -> None:  # noqa: FBT001 - as it is said by gRPC.
        """Both planes, but for some services."""
        self._why_not, self._unused = None if serving else "not serving: the replica is stale or not recorded", unused

    def stop(self) -> None:
        """From here on nobody should be sent here."""
        self._why_not = "stopping"

    def why_no_checks(self) -> str | None:
        """Why the decision plane should not be used, if it should not."""
        return self._why_not

    def why_no_changes(self) -> str | None:
        """Why the management plane should not be used, if it should not."""
        if self._why_not is None and MANAGE_USERS.full_name in self._unused:
            return "not serving: letters are not sent"
        return self._why_not


def standing(replica: Replica, tasks: Supervisor) -> str:
    """How a replica follows the database just now, and since when it has not heard of it."""
    age = replica.age
    follower = "down" if FOLLOWING in tasks.down else "following" if age < _SILENT_SECONDS else "database is silent"
    return f"follower: {follower}; age: {age:.1f} s; revision: {replica.snapshot.revision}"


async def say_readiness(
    replica: Replica,
    decisions: DecisionLog,
    planes: Planes,
    tasks: Supervisor,
    or_lose: bool,  # noqa: FBT001 - as for DecisionService.
    ready: Readiness,
    store: Store,
    sound: Sound,
) -> None:
    """Tell load balancers and metrics how the replica, its record and its tasks stand."""
    fresh, said = True, None
    ready.standing = partial(standing, replica, tasks)
    while True:
        _measure(replica, decisions, store)
        if replica.is_fresh() != fresh:
            fresh = not fresh
            log.warning("replica is fresh again" if fresh else "replica is stale: refusing checks", age=replica.age)
        down, full = tasks.down, decisions.is_full
        unused = [name for task in sorted(down) for name in _NEEDS.get(task, ())] + ([RECORDING] if full else [])
        saying = fresh and FOLLOWING not in down and (or_lose or not full), tuple(unused)
        if saying != said:
            yes, but = saying
            await planes.say_serving(yes, but)
            ready.say(yes, but)
            said = saying
        sound()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tasks.moved(), _SECONDS)


def _measure(replica: Replica, decisions: DecisionLog, store: Store) -> None:
    """Tell metrics what nobody else tells them."""
    snapshot = replica.snapshot
    metrics.revision.set(snapshot.revision)
    metrics.age.set(replica.age)
    metrics.fresh.set(replica.is_fresh())
    metrics.know_callers(callers_named(snapshot.callers.rows))
    for state, count in store.pool_states.items():
        metrics.pool.labels(state).set(count)
    # By whoever does not wait for the database: it grows while that is away.
    metrics.decisions_waiting.set(decisions.waiting_bytes)
    metrics.calls.settle()
