"""The listeners' certificate and the authorities of callers, renewed while serving when their files change.

Connections that are open keep what they began with; a new one is given what is in
force. Files that cannot be used change nothing: they are told once in the log, and in
a metric until they are mended. All three files are taken together or not at all.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import grpc
import structlog

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.rpc.tls_files import NotNow, Pems, TlsFiles, Unusable
from policy_service.tasks import Sound

RELOADING: Final = "certificates"
"""The watch's name among background tasks."""
SECONDS: Final = 1.0
"""Between two looks at the files."""

log = structlog.get_logger(__name__)


class Certificates:
    """What is in force, and how it is renewed."""

    def __init__(self, files: TlsFiles, clock: Callable[[], datetime]) -> None:
        """Read the files for the first time. Raises StartError: a service does not begin with what nobody can use."""
        self._files, self._clock = files, clock
        try:
            self._in_force = files.read()
            self._until = files.judge(self._in_force, clock())
        except Unusable as fault:
            raise StartError(str(fault)) from fault
        self._seen: Pems | None = None
        self._faults: tuple[Pems, str] | None = None
        """Content that can never be used, and why: it is not judged again each second."""
        self._told: str | None = None
        self._told_end = False
        self._show()

    def credentials(self, *, require_client: bool = True) -> grpc.ServerCredentials:
        """For one listener: gRPC asks at every new connection whether there is something new.

        Without ``require_client`` nobody is asked for a certificate.
        """
        handed = self._in_force

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal handed
            newest = self._in_force
            if handed is newest:
                return None
            handed = newest
            # Made anew for each listener: gRPC takes it over.
            return _configuration(newest)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(handed),
            renewed,  # type: ignore[arg-type] # None is for no change, which the stubs do not know.
            require_client_authentication=require_client,
        )

    async def watch(self, sound: Sound) -> None:
        """Look at the files until cancelled."""
        while True:
            self.look(*await asyncio.to_thread(self._read))
            sound()
            await asyncio.sleep(SECONDS)

    def look(self, found: Pems | None, fault: str | None) -> None:
        """Take what was found in the files, if it was there twice: who writes three files is not done with the first.

        ``fault`` is why nothing was.
        """
        seen, self._seen = self._seen, found
        if self._clock() >= self._until.certificate and not self._told_end:
            self._told_end = True
            log.error("the certificate in force has ended: callers refuse it", ended=self._until.certificate)
        if found is None:
            self._tell(fault)
        elif found == self._in_force:
            self._tell(None)
        elif found == seen:
            self._renew(found)

    def _read(self) -> tuple[Pems | None, str | None]:
        try:
            return self._files.read(), None
        except Unusable as fault:
            return None, str(fault)

    def _renew(self, found: Pems) -> None:
        if self._faults is not None and self._faults[0] == found:
            self._tell(self._faults[1])
            return
        try:
            until = self._files.judge(found, self._clock())
        except Unusable as fault:
            if not isinstance(fault, NotNow):
                self._faults = found, str(fault)
            self._tell(str(fault))
            return
        self._in_force, self._until = found, until
        self._told, self._told_end = None, False
        metrics.tls_reloads.labels("taken").inc()
        self._show()
        log.info("TLS files were renewed", certificate_until=until.certificate, authorities_until=until.authorities)

    def _tell(self, fault: str | None) -> None:
        if fault == self._told:
            return
        self._told = fault
        metrics.tls_files_unusable.set(fault is not None)
        if fault is None:
            log.info("TLS files are those in force again")
            return
        metrics.tls_reloads.labels("refused").inc()
        log.error("TLS files cannot be used: those before stay in force", fault=fault, until=self._until.certificate)

    def _show(self) -> None:
        metrics.tls_files_unusable.set(0)
        metrics.tls_until.labels("certificate").set(self._until.certificate.timestamp())
        if self._until.authorities is not None:
            metrics.tls_until.labels("authorities").set(self._until.authorities.timestamp())


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.certificate)], root_certificates=pems.authorities)
