"""A channel that shows an identity: its token with every call, and its newest certificate with every new connection.

Over TLS the token is gRPC's own call credentials, which go with the health checks of a
connection too; it would refuse them on any other. In plain text, which stays on this
machine (``targets.refuse_plain_text_abroad``), it is put beside each call here.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final

import grpc

from policy_client.identity import Identity
from policy_client.tokens import Token

_LONG_CALLS: Final = 3_600.0
"""Seconds that a stream may go on over a connection with the certificate before."""

Credentials = grpc.ChannelCredentials | None


class Speaking:
    """In place of a channel, blocking or asyncio: opened anew when the identity's files change."""

    def __init__(self, identity: Identity, open_channel: Callable[[Credentials], Any]) -> None:
        """Opens the first."""
        self._identity, self._open_channel = identity, open_channel
        self._beside_calls = None if identity.speaks_tls else identity.token
        self._lock = threading.Lock()
        self._credentials = identity.credentials()
        self._channel = self._open(self._credentials)
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

    def _open(self, credentials: Credentials) -> Any:
        token = self._identity.token
        if credentials is not None and token is not None:
            bearing = grpc.metadata_call_credentials(_Plugin(token), name="policy_client")
            credentials = grpc.composite_channel_credentials(credentials, bearing)
        return self._open_channel(credentials)

    def _newest(self) -> Any:
        credentials = self._identity.credentials()
        if credentials is not self._credentials:
            with self._lock:
                if credentials is not self._credentials:
                    before, self._channel = self._channel, self._open(credentials)
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
        return method if self._beside_calls is None else _Bearing(method, self._beside_calls)


class _Plugin(grpc.AuthMetadataPlugin):
    """Gives gRPC the token, at each call and each health check."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        del context  # The same token for every method.
        callback(self._token.metadata(), None)


class _Bearing:
    """A method whose calls bear a token."""

    __slots__ = ("_method", "_token")

    def __init__(self, method: Any, token: Token) -> None:
        self._method, self._token = method, token

    def __call__(self, request: Any, *, metadata: Any = None, **more: Any) -> Any:
        return self._method(request, metadata=(*(metadata or ()), *self._token.metadata()), **more)

    def future(self, request: Any, *, metadata: Any = None, **more: Any) -> Any:
        return self._method.future(request, metadata=(*(metadata or ()), *self._token.metadata()), **more)
