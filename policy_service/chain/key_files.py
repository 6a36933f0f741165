"""Files with a secret key: made where there is none, and only for this user's eyes.

A file that is root's may be read by its group too: so orchestrators hand a secret to a process that is not root. The
group is then one that the process was given for it, and the process can give nobody more. A file of anybody else's is
as closed as one's own. (PostgreSQL asks the same of the key of its certificate.)
"""

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
        _refuse_open(path)
        return path.read_bytes()
    except OSError as fault:
        raise StartError(f"The {what} {path} cannot be used: {fault.strerror}") from fault


def _refuse_open(path: Path) -> None:
    found = _state(path)
    handed_in = found.st_uid == 0 != os.geteuid()
    if found.st_mode & (0o037 if handed_in else 0o077):
        mend = "give it mode 440 and a group that the service is in" if handed_in else f"run: chmod 600 {path}"
        raise StartError(f"{path} can be read by others; {mend}")


def _state(path: Path) -> os.stat_result:
    return path.stat()


def _write_whole(path: Path, content: bytes) -> None:
    """All of it under its name, or nothing: half a key would stop every later start. One that came first stays."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(file.name)
