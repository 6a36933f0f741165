"""A service behind TLS, and calling services with certificates of their own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import trustme

from policy_service import callers
from policy_service.rpc.methods import method_groups
from policy_service.settings import Settings
from policy_service.store import Store
from policy_service.vocabulary import OwnRights, Physician
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.rpc import Wire


class Authority:
    """Signs the service's certificate and its callers'."""

    def __init__(self, folder: Path) -> None:
        self._made = trustme.CA()
        self._folder = folder
        self.root = self._made.cert_pem.bytes()
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


async def added(
    store: Store,
    caller: str,
    *may: str,
    physicians: tuple[str, ...] = (),
    until: datetime | None = None,
    now: datetime | None = None,
) -> str:
    """The token of a new caller that may call these groups of methods, or methods."""
    methods = frozenset(one for word in may for one in method_groups().get(word, {word}))
    named = frozenset(map(Physician, physicians)) if physicians else None
    now = now or datetime.now(UTC)
    async with store.transaction(caller="test", actor="olga") as tx:
        rights = OwnRights(methods=methods, physicians=named)
        issued = await callers.add(
            tx, SHIPPED_MODEL, caller, rights, token_until=until or now + timedelta(days=1), now=now
        )
    assert issued is not None
    return issued.text
