"""The three files of transport security, read whole and judged as one: certificate, key, callers' authorities.

Refuses what gRPC would take in silence and no caller could use: a key of another
certificate, one that callers' TLS does not speak, dates that are over or to come, an
empty list of authorities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from policy_service.settings import Settings

_MOST_BYTES: Final = 1 << 20
_FEWEST_BITS: Final = 2_048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
"""Of others gRPC's callers offer no signature, so that every handshake would fail."""

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"

CERTIFICATE: Final = "POLICY_TLS_CERT_FILE"
KEY: Final = "POLICY_TLS_KEY_FILE"
AUTHORITIES: Final = "POLICY_TLS_CLIENT_CA_FILE"


class Unusable(Exception):
    """The files cannot be used as they are; the message names the one at fault, and never what is in a key."""


class NotNow(Unusable):
    """The same, for a date: with the same content it may be another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pems:
    """What is in the files."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When they end: the first of the service's chain, and the first of the authorities that are not over yet."""

    certificate: datetime
    authorities: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where they are; without authorities for listeners that ask nobody for a certificate."""

    certificate: Path
    key: Path
    authorities: Path | None

    @classmethod
    def of(cls, settings: Settings) -> "TlsFiles | None":
        """As set; None without TLS."""
        certificate, key = settings.tls_cert_file, settings.tls_key_file
        if certificate is None or key is None:
            return None
        return cls(certificate=certificate, key=key, authorities=settings.tls_client_ca_file)

    def read(self) -> Pems:
        """Raises Unusable."""
        return Pems(
            certificate=_read(CERTIFICATE, self.certificate),
            key=_read(KEY, self.key),
            authorities=None if self.authorities is None else _read(AUTHORITIES, self.authorities),
        )

    def judge(self, pems: Pems, now: datetime) -> Until:
        """Until when this can be used. Raises Unusable."""
        chain = _certificates(pems.certificate, CERTIFICATE, self.certificate)
        self._refuse_key(pems, chain[0])
        for one in chain:
            _refuse_dates(one, now, CERTIFICATE, self.certificate)
        return Until(
            certificate=min(one.not_valid_after_utc for one in chain),
            authorities=self._authorities_until(pems.authorities, now),
        )

    def _authorities_until(self, pem: bytes | None, now: datetime) -> datetime | None:
        if pem is None or self.authorities is None:
            return None
        found = _certificates(pem, AUTHORITIES, self.authorities)
        # A list keeps those that are over beside those that follow them.
        ends = [one.not_valid_after_utc for one in found if one.not_valid_after_utc > now]
        if not ends:
            _refuse_dates(found[0], now, AUTHORITIES, self.authorities)
        return min(ends)

    def _refuse_key(self, pems: Pems, certificate: x509.Certificate) -> None:
        try:
            key = load_pem_private_key(pems.key, None)
        except TypeError:
            # Cryptography's words for it; with which the password is asked.
            raise Unusable(f"{KEY} {self.key} is locked with a password: it must be without") from None
        except (ValueError, UnsupportedAlgorithm):
            raise Unusable(f"{KEY} {self.key} holds no key in PEM") from None
        spoken = (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _FEWEST_BITS) or (
            isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES)
        )
        if not spoken:
            raise Unusable(
                f"{KEY} {self.key} is of a kind that callers' TLS does not take: make one of P-256, P-384 or RSA with "
                f"{_FEWEST_BITS:,} bits or more"
            )
        if _public(key.public_key()) != _public(certificate.public_key()):
            raise Unusable(f"{KEY} {self.key} is not the key of {CERTIFICATE} {self.certificate}")


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def _read(name: str, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            found = opened.read(_MOST_BYTES + 1)
    except OSError as fault:
        raise Unusable(f"{name} {file} cannot be read: {fault.strerror}") from fault
    if len(found) > _MOST_BYTES:
        raise Unusable(f"{name} {file} is larger than a megabyte: it is no file of certificates")
    return found


def _certificates(pem: bytes, name: str, file: Path) -> Sequence[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        found = []
    if not found or len(found) != pem.count(_BEGIN):
        raise Unusable(f"{name} {file} holds no certificate in PEM, or one that is cut off")
    return found


def _refuse_dates(certificate: x509.Certificate, now: datetime, name: str, file: Path) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        raise NotNow(f"{name} {file} begins on {begins:%Y-%m-%d %H:%M} UTC")
    if now >= ends:
        raise NotNow(f"{name} {file} ended on {ends:%Y-%m-%d %H:%M} UTC")
