"""grpc.health.v1 of one plane: whether it should be asked.

Needs no right, so it says nothing but the plane's own services and their
common state, and keeps nothing under a name that was asked for.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any, Final

from grpc_health.v1 import health_pb2 as pb

from policy_service.rpc.errors import UnknownService

HEALTH: Final = pb.DESCRIPTOR.services_by_name["Health"]

_State = Any  # An enum of an untyped library.


class Health:
    """The state of one plane's services, and everybody who watches it."""

    def __init__(self, *services: str) -> None:
        """Not serving, until told otherwise."""
        self._states: dict[str, _State] = dict.fromkeys(("", *services), pb.HealthCheckResponse.NOT_SERVING)
        self._closed = False
        self._watching = set[Callable[[], None]]()
        self._lock = threading.Lock()

    @property
    def is_watched(self) -> bool:
        """Does anybody wait for the next state?"""
        return bool(self._watching)

    def say(self, *, serving: bool, but: Collection[str] = ()) -> None:
        """From now on this holds, ``but`` for some services that are not serving."""
        yes, no = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
        self._states = {name: yes if serving and name not in but else no for name in self._states}
        self._wake_all()

    def close(self) -> None:
        """Nothing more will be said: whoever watches is told the last state, and let go."""
        self._closed = True
        self._wake_all()

    def check(self, request: Any) -> Any:
        """The state of a service. Raises UnknownService for one that is not here."""
        state = self._states.get(request.service)
        if state is None:
            raise UnknownService(services=tuple(filter(None, self._states)))
        return pb.HealthCheckResponse(status=state)

    def list(self) -> Any:
        """The state of all services."""
        return pb.HealthListResponse(
            statuses={name: pb.HealthCheckResponse(status=state) for name, state in self._states.items()},
        )

    def watch(self, request: Any, context: Any) -> Iterator[Any]:
        """Each new state, from a thread of its own, until the call ends."""
        changed, told = threading.Event(), None
        # A caller that goes wakes its thread too.
        with self._woken(changed.set):
            if not context.add_callback(changed.set):
                return
            while context.is_active():
                changed.clear()
                closed, state = self._closed, self._seen(request)
                if state != told:
                    told = state
                    yield pb.HealthCheckResponse(status=state)
                if closed:
                    return
                if context.is_active():
                    changed.wait()

    async def watch_async(self, request: Any) -> AsyncIterator[Any]:
        """Each new state, until the call ends."""
        changed, told = asyncio.Event(), None
        with self._woken(changed.set):
            while True:
                changed.clear()
                closed, state = self._closed, self._seen(request)
                if state != told:
                    told = state
                    yield pb.HealthCheckResponse(status=state)
                if closed:
                    return
                await changed.wait()

    def _seen(self, request: Any) -> _State:
        return self._states.get(request.service, pb.HealthCheckResponse.SERVICE_UNKNOWN)

    def _woken(self, wake: Callable[[], None]) -> "_Watcher":
        return _Watcher(self._watching, self._lock, wake)

    def _wake_all(self) -> None:
        with self._lock:
            watching = tuple(self._watching)
        for wake in watching:
            wake()


class _Watcher:
    """Is woken for the length of a block."""

    def __init__(self, all_of_them: set[Callable[[], None]], lock: threading.Lock, wake: Callable[[], None]) -> None:
        self._all, self._lock, self._wake = all_of_them, lock, wake

    def __enter__(self) -> None:
        with self._lock:
            self._all.add(self._wake)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._all.discard(self._wake)
