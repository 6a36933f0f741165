"""A pooler in transaction mode, small and real: each transaction gets the session that was given back last.

It speaks PostgreSQL's protocol as far as it must: a client is greeted with what a session of the server was greeted
with, and between a message and the server's word that no transaction is open, the two are joined.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_READY, _IDLE = b"Z", b"I"
_DESCRIBED = (b"T", b"n", b"E")
"""The last answer to a statement that was prepared: its columns, that it has none, or a fault."""


@dataclass
class _Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes = b""


class Pooler:
    """Sessions of one server for however many clients."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._idle: list[_Session] = []
        self._all: list[_Session] = []
        self.clients: list[asyncio.Task[None]] = []

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            startup = await _untyped(reader)
            session = await self._session(startup)
            self._idle.append(session)
            writer.write(session.greeting)
            while (message := await _typed(reader))[:1] != b"X":
                session = await self._session(startup)
                await self._joined(message, reader, writer, session)
                self._idle.append(session)
        writer.close()

    async def _session(self, startup: bytes) -> _Session:
        if self._idle:
            return self._idle.pop()
        session = _Session(*await asyncio.open_unix_connection(self._socket))
        self._all.append(session)
        session.writer.write(startup)
        while True:
            answer = await _typed(session.reader)
            session.greeting += answer
            if answer[:1] in (_READY, b"E"):
                return session

    async def _joined(
        self, message: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: _Session
    ) -> None:
        """Until the server says that no transaction is open."""
        while True:
            session.writer.write(message)
            if message[:1] in (b"Q", b"S", b"H"):
                # What a client sends next it sends after these answers.
                while True:
                    answer = await _typed(session.reader)
                    writer.write(answer)
                    if answer[:1] == _READY or (message[:1] == b"H" and answer[:1] in _DESCRIBED):
                        break
                if answer[:1] == _READY and answer[5:6] == _IDLE:
                    return
            message = await _typed(reader)

    def close(self) -> None:
        for task in self.clients:
            task.cancel()
        for session in self._all:
            session.writer.close()


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size) - 4)


async def _typed(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(1) + await _untyped(reader)


@asynccontextmanager
async def pooled_at(dsn: str, folder: Path) -> AsyncIterator[str]:
    """The address of a pooler before the server of an address, with its socket in a folder."""
    pooler = Pooler(Path(dsn.split("host=")[1]) / ".s.PGSQL.5432")
    server = await asyncio.start_unix_server(pooler.connected, folder / ".s.PGSQL.5432")
    try:
        yield dsn.split("host=")[0] + f"host={folder}"
    finally:
        server.close()
        pooler.close()
        await asyncio.gather(*pooler.clients, return_exceptions=True)
