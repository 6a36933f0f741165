"""A blocking channel that is opened when first asked for, and once in each process that asks."""

import threading

import grpc

from policy_client.channel import Reach, channel_options
from policy_client.forking import forks
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
        reach, options = self._reach, channel_options(self._reach.options)
        if reach.credentials is None:
            return forks.generation, grpc.insecure_channel(reach.target, options)
        return forks.generation, grpc.secure_channel(reach.target, reach.credentials, options)
