"""Connections and calls that are opened and then say nothing, written as bytes: no library between them and the port."""

import contextlib
import socket
from collections.abc import Iterator

from tests.support import over_tls

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STREAMS = 100
"""What the service lets one connection open."""
TLS_HALF_WAY = bytes.fromhex("160301020001000100")
"""The head of a client's first message and nothing of its body."""


def connected(port: int, *, first: bytes = b"", path: str = "") -> socket.socket:
    """A connection that said ``first`` and no more, of one who would call ``path``."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=20)
    if path and over_tls.authority is not None:
        opened = over_tls.authority.wrapped(opened, path)
    if first:
        opened.sendall(first)
    return opened


@contextlib.contextmanager
def connections(port: int, count: int, *, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Many of them, until the block ends."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(connected(port, first=first)) for _ in range(count)]


@contextlib.contextmanager
def silent_calls(port: int, path: str, count: int, *, window: int | None = None) -> Iterator[list[socket.socket]]:
    """So many calls of a method, on as few connections as it takes, that never send their message.

    With ``window`` 0 the caller takes no byte of an answer.
    """
    with contextlib.ExitStack() as opened:
        every = []
        for start in range(0, count, _STREAMS):
            streams = range(min(_STREAMS, count - start))
            settings = b"" if window is None else _frame(4, 0, 0, b"\0\4" + window.to_bytes(4, "big"))
            head = _PREFACE + (settings or _frame(4, 0, 0, b""))
            calls = b"".join(_frame(1, 4, 2 * stream + 1, _head(path)) for stream in streams)
            every.append(opened.enter_context(connected(port, first=head + calls, path=path)))
        yield every


def _head(path: str) -> bytes:
    """The header block of a call, spelt out: no table, no compression (RFC 7541, 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


GREETING = _PREFACE + _frame(4, 0, 0, b"")
"""What opens an HTTP/2 connection."""
