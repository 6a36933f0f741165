"""A channel that shows an identity: its token with every call, and its newest certificate with every new connection.

The token is put beside a call by this alone, and only on channels of TLS files or of
this machine (``targets.refuse_plain_text_abroad``). gRPC's own call credentials do the same
by starting a thread for each call, which makes a check half as long again or worse.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final

import grpc

from policy_client.identity import Identity

_LONG_CALLS: Final = 3_600.0
"""Seconds that a stream may go on over a connection with the certificate before."""

Credentials = grpc.ChannelCredentials | None


class Speaking:
    """In place of a channel, blocking or asyncio: opened anew when the identity's files change."""

    def __init__(self, identity: Identity, open_channel: Callable[[Credentials], Any]) -> None:
        """Opens the first."""
        self._identity, self._open_channel = identity, open_channel
        self._lock = threading.Lock()
        self._credentials = identity.credentials()
        self._channel = open_channel(self._credentials)
        self._leaving: set[asyncio.Task[None]] = set()

    def unary_unary(self, path: str, **more: Any) -> Any:
        """As a channel's."""
        return self._bearing(self._newest().unary_unary(path, **more))

    def unary_stream(self, path: str, **more: Any) -> Any:
        """As a channel's."""
        return self._bearing(self._newest().unary_stream(path, **more))

    def close(self, *grace: float | None) -> Any:
        """As a channel's."""
        for task in self._leaving:
            task.cancel()
        return self._channel.close(*grace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def _newest(self) -> Any:
        credentials = self._identity.credentials()
        if credentials is not self._credentials:
            with self._lock:
                if credentials is not self._credentials:
                    before, self._channel = self._channel, self._open_channel(credentials)
                    self._credentials = credentials
                    self._leave(before)
        return self._channel

    def _leave(self, channel: Any) -> None:
        """Calls in hand end over the old connection. A blocking channel goes with the last of them by itself."""
        if isinstance(channel, grpc.aio.Channel):
            task = asyncio.get_running_loop().create_task(channel.close(_LONG_CALLS))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _bearing(self, method: Any) -> Any:
        token = self._identity.token
        return method if token is None else _Bearing(method, token.metadata)


class _Bearing:
    """A method whose calls bear a token."""

    __slots__ = ("_metadata", "_method")

    def __init__(self, method: Any, metadata: Callable[[], tuple[tuple[str, str], ...]]) -> None:
        self._method, self._metadata = method, metadata

    def __call__(self, request: Any, *, metadata: Any = None, **more: Any) -> Any:
        return self._method(request, metadata=(*(metadata or ()), *self._metadata()), **more)

    def future(self, request: Any, *, metadata: Any = None, **more: Any) -> Any:
        return self._method.future(request, metadata=(*(metadata or ()), *self._metadata()), **more)
