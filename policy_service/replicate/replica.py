"""This process's copy of the policy: which snapshot holds, and whether it may still be used.

Answers questions from memory. Never awaits, never reads the database; the
follower hands it snapshots, and word that the store still agrees.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from policy_service.decide import Snapshot
from policy_service.replicate.errors import ReplicaStale, RevisionNotReached
from policy_service.vocabulary import ForeignHistory

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_WAITERS: Final = 2
"""Threads that may wait for a revision at once; more would keep other callers from being answered."""


def _seconds() -> float:
    """Seconds that also pass while the machine sleeps: a replica that slept is stale."""
    return time.clock_gettime(_CLOCK)


class Replica:
    """The snapshot in force. Any thread may ask; the follower alone replaces."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        max_age: float,
        longest_wait: float = 0.25,
        clock: Callable[[], float] = _seconds,
    ) -> None:
        """``max_age`` and ``longest_wait`` are seconds; the first snapshot counts as confirmed now."""
        self._snapshot = snapshot
        self._max_age = max_age
        self._longest_wait = longest_wait
        self._clock = clock
        self._confirmed = clock()
        self._moved = threading.Condition()
        self._waiters = threading.BoundedSemaphore(_WAITERS)
        self.look: Callable[[], object] = lambda: None
        """Has the follower look at the store now; from any thread."""

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot in force, however old."""
        return self._snapshot

    @property
    def age(self) -> float:
        """Seconds since the store last confirmed the snapshot."""
        return self._clock() - self._confirmed

    def is_fresh(self) -> bool:
        """May answers still be given?"""
        return self.age <= self._max_age

    def at(self, min_revision: int = 0, name: int | None = None, within: float | None = None) -> Snapshot:
        """The snapshot to answer from, at ``min_revision`` or later, in whose history that has this ``name``.

        Waits a little for a revision that is on its way, and only ``within`` the seconds that its caller waits. Raises
        RevisionNotReached if it does not come, ReplicaStale when the store has
        been silent for longer than the age set, and ForeignHistory where the
        revision is another's, or the store says that it has none such.
        """
        asked = self._clock()
        if asked - self._confirmed > self._max_age:
            raise ReplicaStale
        snapshot = self._snapshot
        if snapshot.revision < min_revision:
            snapshot = self._waited_for(min_revision, asked, name, within)
        if name is not None:
            snapshot.history.refuse_foreign(min_revision, name)
        return snapshot

    def _waited_for(self, revision: int, asked: float, name: int | None, within: float | None) -> Snapshot:
        longest = self._longest_wait if within is None else min(self._longest_wait, within)

        def is_known() -> bool:
            # What was acknowledged before it was asked for is in the store by then, if it is in its history at all.
            return self._snapshot.revision >= revision or (name is not None and self._confirmed > asked)

        if self._waiters.acquire(blocking=False):
            try:
                if name is not None:
                    self.look()
                with self._moved:
                    self._moved.wait_for(is_known, longest)
                    snapshot, is_confirmed = self._snapshot, self._confirmed > asked
            finally:
                self._waiters.release()
            if snapshot.revision < revision and is_confirmed and name is not None:
                raise ForeignHistory(revision=revision)
        snapshot = self._snapshot
        if snapshot.revision < revision:
            raise RevisionNotReached(wanted=revision, reached=snapshot.revision)
        return snapshot

    def reach(self, revision: int, seconds: float) -> Snapshot:
        """As ``at``, for whoever has a thread of their own to wait so long in."""
        if not self.is_fresh():
            raise ReplicaStale
        with self._moved:
            if not self._moved.wait_for(lambda: self._snapshot.revision >= revision, seconds):
                raise RevisionNotReached(wanted=revision, reached=self._snapshot.revision)
            return self._snapshot

    def replace(self, snapshot: Snapshot, confirmed: float) -> None:
        """Take a new snapshot, true of the store at ``confirmed`` (this replica's clock)."""
        with self._moved:
            self._snapshot = snapshot
            self._confirmed = confirmed
            self._moved.notify_all()

    def confirm(self, confirmed: float) -> None:
        """The store still stands at the snapshot's revision."""
        with self._moved:
            self._confirmed = confirmed
            self._moved.notify_all()

    def now(self) -> float:
        """This replica's clock, for ``replace`` and ``confirm``."""
        return self._clock()
