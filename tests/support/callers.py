"""A service behind TLS, and calling services with certificates of their own."""

from pathlib import Path

import grpc
import trustme

from policy_service.settings import Settings
from tests.conftest import settings_for
from tests.support.rpc import Wire


class Authority:
    """Signs the service's certificate and its callers'."""

    def __init__(self, folder: Path) -> None:
        self._made = trustme.CA()
        self._folder = folder
        server = self._made.issue_cert("localhost", "127.0.0.1")
        self._made.cert_pem.write_to_path(folder / "ca.pem")
        server.private_key_pem.write_to_path(folder / "key.pem")
        (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))

    def settings(self, dsn: str, **more: object) -> Settings:
        """Settings for a service that shows this authority's certificate and wants one of it."""
        names = (("cert", "cert"), ("key", "key"), ("client_ca", "ca"))
        files = {f"tls_{name}_file": self._folder / f"{file}.pem" for name, file in names}
        return settings_for(dsn, **{**files, **more})

    def without_certificate(self, port: int) -> Wire:
        """A door where callers show tokens, or nothing."""
        credentials = grpc.ssl_channel_credentials(self._made.cert_pem.bytes())
        options = (("grpc.use_local_subchannel_pool", 1),)
        return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials, options))

    def wire(self, port: int, caller: str) -> Wire:
        """A calling service at a door."""
        own = self._made.issue_cert(caller)
        credentials = grpc.ssl_channel_credentials(
            self._made.cert_pem.bytes(),
            own.private_key_pem.bytes(),
            b"".join(blob.bytes() for blob in own.cert_chain_pems),
        )
        return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """A token as a call's metadata has it."""
    return (("authorization", f"Bearer {token}"),)
