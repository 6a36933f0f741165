"""Who calls: the one identity in a client's certificate or of its token, or ``local`` for a process of this host.

With TLS a caller is ``service:NAME``. NAME is the certificate's only subject
alternative name: a DNS name, or a URI that begins with what POLICY_TLS_CALLER_URI
says, NAME being the rest. A certificate without alternative names is known by
its one common name; beside an alternative name a common name may only repeat
it. Whoever has more names, another kind, an e-mail address or the name of
loopback is nobody: an authority vouches for all names in a certificate, and
which of them was meant cannot be told.

A token comes as ``authorization: Bearer TOKEN``, where the listener asks for no
certificate (grpcio asks every client for one, or none): at the addresses for
tokens, with TLS, and on loopback. A token that is wrong is refused, and never
taken for no token. One beside a certificate would be a second identity.

Without TLS the listeners are on loopback. A proxy on this host would make
everybody ``local``, so what was passed on is refused, with a token too.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from policy_service.errors import InvalidRequest
from policy_service.rpc.errors import CallerNotIdentified, CallerNotLocal
from policy_service.vocabulary import LOCAL_CALLER, Credentials, parse_service

_MOST_REMEMBERED: Final = 1_024
# As gRPC writes them, with the brackets of an IPv6 address escaped or plain.
_OF_THIS_HOST: Final = ("ipv4:127.", "ipv6:%5B::1%5D:", "ipv6:[::1]:", "unix:")
# As gRPC names what secures a connection.
_PLAIN: Final = (b"insecure",)
_TLS: Final = (b"ssl",)
_FORWARDED: Final = frozenset({
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-host",
})  # fmt: skip
_FORWARDED_PREFIXES: Final = ("x-forwarded-", "x-original-forwarded-", "x-envoy-", "x-ssl-", "x-client-cert")


class Identities:
    """Tells callers apart. A certificate is read once and its name remembered, as long as there are few."""

    def __init__(
        self,
        *,
        certificates: bool,
        tokens: bool = False,
        uri_prefix: str = "",
        seen: Callable[[str, datetime], None] = lambda _token, _now: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """What the listeners ask for: ``certificates`` at the main addresses, ``tokens`` at addresses of their own.

        Without ``uri_prefix`` no URI is an identity. ``seen`` is told of each token that identified a caller.
        """
        self._certificates = certificates
        self._tokens = tokens
        self._seen = seen
        self._clock = clock
        self._read = lru_cache(_MOST_REMEMBERED)(lambda pem: read_certificate(pem, uri_prefix))

    @property
    def tells_apart(self) -> bool:
        """Has each caller a name of its own?"""
        return self._certificates or self._tokens

    def of(self, context: Any, credentials: Credentials) -> str:
        """The caller. Raises CallerNotIdentified, and without TLS CallerNotLocal."""
        metadata = context.invocation_metadata() or ()
        shown = [value for key, value in metadata if key == "authorization"]
        # Where no listener has TLS, gRPC need not be asked.
        transport = context.auth_context() if self.tells_apart else {}
        secured_by = tuple(transport.get("transport_security_type", ())) if self.tells_apart else _PLAIN
        if secured_by == _PLAIN and not self._certificates:
            # Plain TCP, which settings keep on loopback.
            _require_local(context.peer(), metadata)
            return self._by_token(shown, credentials) if shown else LOCAL_CALLER
        if secured_by != _TLS:
            raise CallerNotIdentified(found="a connection without TLS")
        pem = transport.get("x509_pem_cert", ())
        if not pem and self._tokens:
            if not shown:
                raise CallerNotIdentified(found="no token")
            return self._by_token(shown, credentials)
        if len(pem) != 1:
            raise CallerNotIdentified(found="no certificate")
        if shown:
            raise CallerNotIdentified(found="a token beside a certificate, which are two identities")
        name, found = self._read(bytes(pem[0]))
        if found:
            raise CallerNotIdentified(found=found)
        return name

    def refuse_stranger(self, context: Any, credentials: Credentials) -> None:
        """Raise CallerNotIdentified for who connects where anybody can, by TLS and without a certificate or token."""
        if self._tokens:
            transport = context.auth_context()
            if tuple(transport.get("transport_security_type", ())) == _TLS and "x509_pem_cert" not in transport:
                self.of(context, credentials)

    def _by_token(self, shown: Sequence[Any], credentials: Credentials) -> str:
        if len(shown) != 1:
            raise CallerNotIdentified(found="several tokens")
        scheme, _, token = str(shown[0]).partition(" ")
        if scheme.lower() != "bearer":
            raise CallerNotIdentified(found="an authorization that is no bearer token")
        known = credentials.find(token)
        if known is None:
            raise CallerNotIdentified(found="a token that is not known, or is no longer")
        name, kept = known
        now = self._clock()
        if now >= kept.expires_at:
            # Told to whoever holds the token: nobody else gets here.
            raise CallerNotIdentified(found="a token that has expired")
        self._seen(name, now)
        return kept.caller


def read_certificate(pem: bytes, uri_prefix: str) -> tuple[str, str]:
    """The one name in a certificate, or what is there instead."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        common = [str(at.value) for at in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        has_email = bool(certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
        names = _alternative_names(certificate)
    except ValueError:
        return "", "a certificate that cannot be read"
    if has_email:
        return "", "an e-mail address"
    if len(common) > 1:
        return "", "several common names"
    match names:
        case None if common:
            name = common[0]
        case None:
            return "", "no name"
        case [x509.DNSName() as one]:
            name = one.value
        case [x509.UniformResourceIdentifier() as one] if uri_prefix and one.value.startswith(uri_prefix):
            name = one.value.removeprefix(uri_prefix)
        case [x509.UniformResourceIdentifier()]:
            return "", "a URI that POLICY_TLS_CALLER_URI does not begin"
        case [_]:
            return "", "an alternative name that is neither a DNS name nor a URI"
        case _:
            return "", "several alternative names" if names else "no name"
    if common and common[0] != name:
        return "", "a common name beside another alternative name"
    return _service(name)


def _alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName] | None:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return None


def _service(name: str) -> tuple[str, str]:
    if name == LOCAL_CALLER:
        return "", "the name of loopback"
    try:
        return parse_service(name), ""
    except InvalidRequest:
        return "", "a name that no caller can have"


def _require_local(peer: str, metadata: Sequence[tuple[str, object]]) -> None:
    if not peer.startswith(_OF_THIS_HOST):
        raise CallerNotLocal(found="a connection from another address than loopback")
    for key, _ in metadata:
        if key in _FORWARDED or key.startswith(_FORWARDED_PREFIXES):
            raise CallerNotLocal(found=f"the header {key}")
