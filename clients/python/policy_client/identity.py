"""Who a caller is to the service, and whom it believes: files of TLS, a token, or both.

Files that change are read again for new connections; while they cannot be used, those
before are. A token goes over TLS, or stays on this machine.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Final

import grpc

from policy_client.tokens import Stamp, Token, stamp_of
from policy_client.transport import credentials_or_none

_SECONDS: Final = 1.0
"""Between two looks at the files."""

log = logging.getLogger("policy_client")

File = str | Path | None


class Identity:
    """What a client shows, and what it asks to be shown."""

    def __init__(
        self,
        *,
        ca_file: File = None,
        cert_file: File = None,
        key_file: File = None,
        token: Token | None = None,
        names: tuple[str, str, str] = ("ca_file", "cert_file", "key_file"),
    ) -> None:
        """With any of the files TLS is spoken, else plain text, for this machine alone.

        Without ``ca_file`` the well-known authorities are trusted. ``names``
        is what errors call the files. Raises ValueError, naming the file, for
        one that cannot be used.
        """
        if token is not None and not isinstance(token, Token):
            # Not even in an error's words.
            raise TypeError(f"token is {type(token).__name__}, not a Token")
        self._names, self._files = names, (ca_file, cert_file, key_file)
        self._stamp = self._stamps()
        self._credentials = credentials_or_none(names, self._files)
        self.token: Final = token
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._fault = self._told = ""

    @property
    def speaks_tls(self) -> bool:
        """Is what is said hidden from the network?"""
        return self._credentials is not None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """For a new connection: the same object until the files change. None is plain text."""
        if self._credentials is not None and time.monotonic() - self._looked >= _SECONDS:
            self._look()
        return self._credentials

    def _look(self) -> None:
        with self._lock:
            self._looked = time.monotonic()
            stamp = self._stamps()
            if stamp == self._stamp:
                return
            try:
                made = credentials_or_none(self._names, self._files)
            except ValueError as fault:
                # Told when it is found twice: who writes several files is not done with the first.
                if str(fault) == self._fault != self._told:
                    log.warning("%s; the files before are used", fault)
                    self._told = self._fault
                self._fault = str(fault)
                return
            if stamp == self._stamps():
                self._stamp, self._credentials, self._fault, self._told = stamp, made, "", ""

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(stamp_of(file) for file in self._files if file)

    def __repr__(self) -> str:
        """Without what is in files and tokens."""
        return f"Identity(tls={self.speaks_tls}, token={self.token!r})"


def channel_credentials(given: "grpc.ChannelCredentials | Identity | None") -> grpc.ChannelCredentials | None:
    """What a connection is made with; None is plain text."""
    return given.credentials() if isinstance(given, Identity) else given
