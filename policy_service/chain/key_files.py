"""Files with a secret key: made where there is none, and only for this user's eyes."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from policy_service.errors import StartError


def read_or_make(path: Path, make: Callable[[], bytes], *, what: str) -> bytes:
    """What the file holds; a file that is not there is made. ``what`` names it in errors. Raises StartError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_whole(path, make())
        if path.stat().st_mode & 0o077:
            raise StartError(f"{path} can be read by others; run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as fault:
        raise StartError(f"The {what} {path} cannot be used: {fault.strerror}") from fault


def _write_whole(path: Path, content: bytes) -> None:
    """All of it under its name, or nothing: half a key would stop every later start. One that came first stays."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(file.name)
