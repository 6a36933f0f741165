"""Files with a secret key: made where there is none, and only for this user's eyes."""

import os
from collections.abc import Callable
from pathlib import Path

from policy_service.errors import StartError


def read_or_make(path: Path, make: Callable[[], bytes], *, what: str) -> bytes:
    """What the file holds; a file that is not there is made. ``what`` names it in errors. Raises StartError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(make())
        except FileExistsError:
            pass
        if path.stat().st_mode & 0o077:
            raise StartError(f"{path} can be read by others; run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as fault:
        raise StartError(f"The {what} {path} cannot be used: {fault.strerror}") from fault
