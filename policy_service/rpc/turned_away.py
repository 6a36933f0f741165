"""Counts the calls that gRPC's thread-pool server refuses by itself, before any handler of ours knows of them.

With as many calls in hand as it may have, the server looks for a call's handler
and then gives it no thread. Both are asked of us, in this order and by one
thread, so a handler that was looked for and got no thread is a call turned
away. It is known when the next call comes.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from policy_service import metrics


class Threads(ThreadPoolExecutor):
    """The threads of a server, which know the calls that they were not given."""

    _is_looked_for = False

    def given_by(self, handlers: "grpc.GenericRpcHandler[Any, Any]") -> "grpc.GenericRpcHandler[Any, Any]":
        """The handlers of whose calls it is told."""
        return _Told(handlers, self)

    def look_for(self) -> None:
        """A call is on its way here, or is turned away."""
        if self._is_looked_for:
            metrics.calls_turned_away.inc()
        self._is_looked_for = True

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """It came."""
        self._is_looked_for = False
        return super().submit(fn, *args, **kwargs)


class _Told(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self, handlers: "grpc.GenericRpcHandler[Any, Any]", threads: Threads) -> None:
        self._find, self._threads = handlers.service, threads

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if (found := self._find(handler_call_details)) is not None:
            self._threads.look_for()
        return found
