"""A caller's bearer token: from a text, or from a file that is read again when it changes. Never shown, never logged.

Refuses what is no token in silence-proof words: they name where it came from, and never what it was.
"""

import logging
import os
import re
import threading
from pathlib import Path
from typing import Final

_GRAMMAR: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""RFC 6750's, section 2.1."""
_MOST: Final = 4_096
"""The service takes 16 KB of metadata with a call."""

log = logging.getLogger("policy_client")

Stamp = tuple[int, int, int] | None


class Token:
    """Who this caller says it is, in place of a certificate or beside one."""

    __slots__ = ("_file", "_lock", "_metadata", "_name", "_stamp", "_told")

    def __init__(self, text: str, *, name: str = "token") -> None:
        """Raises ValueError that begins with ``name`` for what is no token."""
        self._file: Path | None = None
        self._name, self._lock, self._told = name, threading.Lock(), ""
        self._stamp: Stamp = None
        self._metadata = _metadata(text, name)

    @classmethod
    def in_file(cls, file: str | Path, *, name: str = "token_file") -> "Token":
        """The only line of a file, read again when the file changes. Raises ValueError, naming the file."""
        path = Path(file)
        stamp = stamp_of(path)
        made = cls(_line(path, name), name=f"{name} {path}")
        made._file, made._stamp = path, stamp
        if os.name == "posix" and path.stat().st_mode & 0o004:
            log.warning("%s %s can be read by everybody on this machine: chmod 600 %s", name, path, path)
        return made

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with a call."""
        if self._file is not None and stamp_of(self._file) != self._stamp:
            self._read_again(self._file)
        return self._metadata

    def _read_again(self, file: Path) -> None:
        with self._lock:
            stamp = stamp_of(file)
            try:
                self._metadata = _metadata(_line(file, self._name), self._name)
            except ValueError as fault:
                # Who writes it anew may not be done: the one before is good until the service says otherwise.
                if str(fault) != self._told:
                    log.warning("%s; the token before is used", fault)
                    self._told = str(fault)
            else:
                self._stamp, self._told = stamp, ""

    def __repr__(self) -> str:
        """Where it came from."""
        return f"Token(<{self._name}>)"


def stamp_of(file: str | Path) -> Stamp:
    """Changes with the file, also behind links; None where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - at each call, and twice as fast as by Path.
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _line(file: Path, name: str) -> str:
    try:
        with file.open("rb") as opened:
            found = opened.read(_MOST + 3)
    except OSError as fault:
        raise ValueError(f"{name} {file} cannot be read: {fault.strerror}") from fault
    return found.decode("ascii", errors="replace").removesuffix("\n").removesuffix("\r")


def _metadata(text: object, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(text, str):
        raise TypeError(f"{name} is {type(text).__name__}, not a string")
    if not text:
        raise ValueError(f"{name} is empty")
    if len(text) > _MOST:
        raise ValueError(f"{name} is longer than {_MOST:,} characters: it is no token")
    if not _GRAMMAR.fullmatch(text):
        raise ValueError(f"{name} is no token: letters, digits and . _ ~ + / - alone, in one line")
    return (("authorization", f"Bearer {text}"),)
