"""Keeps gRPC out of forks, as of a pre-forking web server or of ``multiprocessing``.

gRPC's core has threads, which a forked child lacks: there a channel from before the fork waits for ever, past any
deadline, and so does a new one. But a process in which gRPC has ended may fork. So before a fork the blocking clients'
calls are let finish, new ones held, and their channels closed, which ends those threads; after it each side opens its
own when next asked. Where that cannot be done, as others use gRPC in the same process, the child's calls are refused at
once, unless gRPC's own handling of forks was switched on (GRPC_ENABLE_FORK_SUPPORT).
"""

import os
import threading
import time
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakSet

_WAIT_FOR_CALLS: Final = 5.0
"""Seconds that a fork waits for calls in hand; those with the usual deadline are over by then."""
_WAIT_FOR_THREADS: Final = 2.0
"""Seconds that it waits for gRPC's threads to end, which takes some milliseconds, more on a busy machine."""
_THREADS: Final = Path("/proc/self/task")


class Holder(Protocol):
    """Somebody who has a channel, and can close it and make another."""

    def shut_for_fork(self) -> None:
        """Close it."""


class Forks:
    """Stands between calls and forks."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self.generation = 0
        """Grows by one in each child: what was made under another number is not this process's."""
        self.is_cut_off = False
        """Was gRPC at work when this process was forked off?"""
        self._holders: WeakSet[Holder] = WeakSet()
        self._left: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        self._turn = threading.Condition()
        self._calls = 0
        self._streams = 0
        self._forks = 0
        self._was_used = False
        self._is_alive = False

    def call_begins(self, *, may_last: bool = False) -> int:
        """Wait while there is a fork; what to end the call with. No fork waits for one that may last for minutes."""
        with self._turn:
            while self._forks:
                self._turn.wait()
            if may_last:
                self._streams += 1
            else:
                self._calls += 1
            return self.generation

    def call_ends(self, generation: int, *, may_last: bool = False) -> None:
        """It is over, in whichever process it began."""
        with self._turn:
            if generation != self.generation:
                return
            if may_last:
                self._streams -= 1
            else:
                self._calls -= 1
            self._turn.notify_all()

    def opened(self, holder: Holder) -> None:
        """A channel was opened, which its holder closes before forks."""
        with self._turn:
            self._was_used = True
            self._holders.add(holder)

    def opened_to_stay(self) -> None:
        """An asyncio channel was opened: gRPC's threads stay, even when it is closed."""
        with self._turn:
            self._is_alive = True

    def leave(self, channel: object) -> None:
        """Keep another process's channel as it is: even to be collected it would call into gRPC."""
        self._left.append(channel)

    def before(self) -> None:
        """Wait for calls, close the channels, and keep the turn through the fork."""
        self._turn.acquire()
        self._forks += 1
        until = time.monotonic() + _WAIT_FOR_CALLS
        while self._calls and (left := until - time.monotonic()) > 0:
            self._turn.wait(left)
        if not self._calls and not self._streams:
            for holder in list(self._holders):
                holder.shut_for_fork()
        # Once they were found to stay they are others', and no later fork waits for them.
        until = time.monotonic() + (_WAIT_FOR_THREADS if self._was_used and not self._is_alive else 0)
        while (alive := _grpc_threads()) and time.monotonic() < until:
            time.sleep(0.001)
        self._is_alive = alive

    def after_in_parent(self) -> None:
        """Let calls go on."""
        self._forks -= 1
        self._turn.notify_all()
        self._turn.release()

    def after_in_child(self) -> None:
        """Begin anew: the threads that held or awaited anything are not here."""
        self.generation += 1
        self.is_cut_off = (self.is_cut_off or self._is_alive) and not _grpc_handles_forks()
        self._begin()


def _grpc_threads() -> bool:
    """Has gRPC's core threads at work in this process? Where the system does not show threads: not known, no."""
    if not _THREADS.is_dir():
        return False
    for thread in _THREADS.iterdir():
        try:
            name = (thread / "comm").read_text()
        except OSError:
            continue  # It ended meanwhile.
        if name.startswith(("event_engine", "grpc_")):
            return True
    return False


def _grpc_handles_forks() -> bool:
    """As gRPC reads it."""
    return os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() in ("yes", "true", "1", "on", "y", "t")


forks: Final = Forks()
"""This process's."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=forks.before, after_in_parent=forks.after_in_parent, after_in_child=forks.after_in_child)
