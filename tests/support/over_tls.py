"""The same tests over TLS, where a module says ``pytestmark = pytest.mark.over_tls``.

Each call is made by a caller of the shipped policy that may do no more than it must, as services in earnest are.
"""

import asyncio
import socket
import ssl
from functools import cache
from pathlib import Path
from typing import Any, Final

import grpc
import trustme

_CALLERS: Final = {
    "policy.v1.DecisionService": "billing",
    "policy.v1.ManageUsersService": "manage-users-page",
    "policy.v1.SeedService": "ops",
    "policy.v1.AuditService": "auditor",
    "policy.v1.CallersService": "callers-admin",
}
_LEAST: Final = "billing"
"""Who asks what needs no right."""


class Authority:
    """Signs the service's certificate and its callers'."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = trustme.CA()
        server = self._made.issue_cert("localhost", "127.0.0.1")
        self._made.cert_pem.write_to_path(self._path("ca"))
        server.private_key_pem.write_to_path(self._path("key"))
        self._path("cert").write_bytes(_chain(server))
        self._own = cache(self._made.issue_cert)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    @property
    def files(self) -> dict[str, Path]:
        """Settings for a service that shows this authority's certificate and wants one of it."""
        names = (("cert", "cert"), ("key", "key"), ("client_ca", "ca"))
        return {f"tls_{name}_file": self._path(file) for name, file in names}

    def credentials(self, caller: str) -> grpc.ChannelCredentials:
        """A calling service's own."""
        own = self._own(caller)
        return grpc.ssl_channel_credentials(self._made.cert_pem.bytes(), own.private_key_pem.bytes(), _chain(own))

    def wrapped(self, connection: socket.socket, path: str) -> ssl.SSLSocket:
        """A connection on which the one who calls a path has said who it is."""
        context = ssl.create_default_context()
        self._made.configure_trust(context)
        self._own(_caller_of(path)).configure_cert(context)
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(connection, server_hostname="localhost")


class Channels:
    """A channel for each caller, as one; a call goes by that of its service."""

    def __init__(self, authority: Authority, port: int) -> None:
        self._authority, self._port = authority, port
        self._of = cache(self._open)
        self._opened: list[grpc.aio.Channel] = []

    def _open(self, caller: str) -> grpc.aio.Channel:
        options = (("grpc.use_local_subchannel_pool", 1),)
        credentials = self._authority.credentials(caller)
        channel = grpc.aio.secure_channel(f"localhost:{self._port}", credentials, options=options)
        self._opened.append(channel)
        return channel

    def __getattr__(self, kind: str) -> Any:
        """``unary_unary`` and the like."""

        def call(path: str, *arguments: Any, **named: Any) -> Any:
            return getattr(self._of(_caller_of(path)), kind)(path, *arguments, **named)

        return call

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._opened))


authority: Authority | None = None
"""That of the tests which run now; none where they run over plain loopback."""


def channel(port: int) -> Any:
    """A channel to a listener of this host, as the tests that run now want it."""
    if authority is not None:
        return Channels(authority, port)
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),))


def _caller_of(path: str) -> str:
    return _CALLERS.get(path.split("/")[1] if "/" in path else path, _LEAST)


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
