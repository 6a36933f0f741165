"""A TCP proxy on loopback that does to connections what networks do: cuts, delays, silence."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

from tests.support.ports import free_port

_RESET = struct.pack("ii", 1, 0)
"""Closed with this, a socket tells its other end at once, and rudely."""


class FaultyProxy:
    """What comes to its port goes to another one, as long as it is let."""

    def __init__(self, to: int | str) -> None:
        """``to`` a port of loopback, or a socket's path."""
        self.port, self._to = free_port(), to
        self.delay = 0.0
        """Seconds that each part waits, either way."""
        self._refuses = False
        self._is_frozen = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._silent: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection ends, and no new one comes through."""
        self._refuses = True
        self._end(self._pairs)

    def go_silent(self) -> None:
        """Connections stay open and nothing comes through any more: half open. New ones are as ever."""
        with self._lock:
            self._silent |= self._pairs

    def freeze(self) -> None:
        """As with a machine that hangs: what there is and what is new is taken, and nothing comes through."""
        self._is_frozen = True
        self.go_silent()

    def mend(self) -> None:
        """New connections come through at once. What went silent stays so."""
        self.delay, self._refuses, self._is_frozen = 0.0, False, False

    def close(self) -> None:
        self._listening.close()
        self._end(self._pairs)

    def _end(self, pairs: set[tuple[socket.socket, socket.socket]]) -> None:
        with self._lock:
            ending, self._pairs = tuple(pairs), set()
            self._silent.clear()
        for pair in ending:
            for end in pair:
                _reset(end)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self._refuses:
                _reset(near)
                continue
            try:
                far = self._connected()
            except OSError:
                _reset(near)
                continue
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (near, far)
            with self._lock:
                self._pairs.add(pair)
                if self._is_frozen:
                    self._silent.add(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._carry, args=(pair, source, sink), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self._to, str):
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._to)
            return far
        far = socket.create_connection(("127.0.0.1", self._to))
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return far

    def _carry(self, pair: tuple[socket.socket, socket.socket], source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                if self.delay:
                    time.sleep(self.delay)
                if pair not in self._silent:
                    sink.sendall(part)
        if pair in self._silent:
            # Nobody tells the other end either.
            return
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Wakes whoever reads from it.
        end.shutdown(socket.SHUT_RD)
    end.close()


@contextlib.contextmanager
def faulty_proxy(to: int | str) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(to)
    try:
        yield proxy
    finally:
        proxy.close()
