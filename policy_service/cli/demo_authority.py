"""Makes an authority, the service's pair and callers' pairs, for trying TLS out.

The authority's key is never written down: what it signed is all that it ever will.
Nothing is written over, and the folder is there whole or not at all.
"""

import ipaddress
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SLACK: Final = timedelta(minutes=5)
"""By so much another machine's clock may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is in the folder."""

    folder: Path
    authority: Path
    server: Pair
    callers: dict[str, Pair]
    until: datetime


def make(folder: Path, *, hosts: Sequence[str], callers: Sequence[str], now: datetime, days: int) -> Made:
    """Make all of it. Raises ValueError for a folder that has something in it, and for hosts that are none."""
    names = [_host(host) for host in hosts]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there and not empty: nothing is written over; name another folder")
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    authority = _Authority(now, now + timedelta(days=days))
    # Private, and renamed when it is whole.
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (beside / "ca.pem").write_bytes(authority.pem)
        authority.issue(beside / "server", "policy-service", names, ExtendedKeyUsageOID.SERVER_AUTH)
        for caller in callers:
            authority.issue(
                beside / "callers" / caller, caller, [x509.DNSName(caller)], ExtendedKeyUsageOID.CLIENT_AUTH
            )
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Made(
        folder=folder,
        authority=folder / "ca.pem",
        server=_pair(folder / "server"),
        callers={caller: _pair(folder / "callers" / caller) for caller in callers},
        until=authority.ends,
    )


def _pair(folder: Path) -> Pair:
    return Pair(certificate=folder / "cert.pem", key=folder / "key.pem")


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not text or not text.isascii() or any(not (sign.isalnum() or sign in ".-") for sign in text):
        raise ValueError(f"--host {text!r} is neither a host's name nor an address, as policy.internal or 10.0.0.7")
    return x509.DNSName(text)


class _Authority:
    """Signs, and is gone with the process."""

    def __init__(self, now: datetime, ends: datetime) -> None:
        self._begins, self.ends = now - _SLACK, ends.replace(microsecond=0)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("policy-service, for trying out")
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._own = (
            self._begun(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self._own.public_bytes(Encoding.PEM)

    def issue(
        self, folder: Path, name: str, alternatives: Sequence[x509.GeneralName], usage: x509.ObjectIdentifier
    ) -> None:
        """Write a pair for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._begun(_named(name), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True)
        pair = _pair(folder)
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begins)
            .not_valid_after(self.ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
