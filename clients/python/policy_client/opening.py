"""Opens channels; a blocking one when first asked for, and once in each process that asks."""

import threading
from collections.abc import Callable
from typing import Any, cast

import grpc

from policy_client.channel import Reach, channel_options
from policy_client.forking import forks
from policy_client.identity import Identity
from policy_client.speaking import Speaking
from policy_client.usable import closed, refuse_cut_off


class LazyChannel:
    """Safe to share between threads, and to carry over a fork."""

    def __init__(self, reach: Reach) -> None:
        """Opens nothing yet."""
        self._reach = reach
        self._lock = threading.Lock()
        self._opened: tuple[int, grpc.Channel] | None = None
        self._is_closed = False

    def get(self) -> grpc.Channel:
        """This process's channel. Raises ClientNotUsable."""
        refuse_cut_off()
        with self._lock:
            if self._is_closed:
                raise closed()
            if self._opened is None or self._opened[0] != forks.generation:
                self._opened = self._open(self._opened)
            return self._opened[1]

    def shut_for_fork(self) -> None:
        """Close the channel; the next call opens another."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].close()

    def close(self) -> None:
        """Close it for good."""
        with self._lock:
            self._is_closed = True
            opened, self._opened = self._opened, None
        if opened is None:
            return
        if opened[0] == forks.generation:
            opened[1].close()
        else:
            forks.leave(opened[1])

    def _open(self, before: tuple[int, grpc.Channel] | None) -> tuple[int, grpc.Channel]:
        if before is not None:
            forks.leave(before[1])
        forks.opened(self)
        return forks.generation, open_channel(self._reach)


def open_channel(reach: Reach) -> grpc.Channel:
    """A blocking channel."""
    return cast(grpc.Channel, _open(reach, grpc.insecure_channel, grpc.secure_channel))


def open_asyncio_channel(reach: Reach) -> grpc.aio.Channel:
    """A channel of the running event loop."""
    return cast(grpc.aio.Channel, _open(reach, grpc.aio.insecure_channel, grpc.aio.secure_channel))


def _open(reach: Reach, insecure: Callable[..., Any], secure: Callable[..., Any]) -> Any:
    def with_credentials(credentials: grpc.ChannelCredentials | None) -> Any:
        options = channel_options(reach.options)
        if credentials is None:
            return insecure(reach.target, options)
        return secure(reach.target, credentials, options)

    given = reach.credentials
    return Speaking(given, with_credentials) if isinstance(given, Identity) else with_credentials(given)
