"""Signed statements about the change log's head, to be kept where nobody who can change the log can reach.

A chain shows that an entry was altered, not that its end was cut off or that
all of it was written anew. A checkpoint does: it says, under the service's
Ed25519 key, which hash the log had at a revision. docs/audit.md has the format.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policy_service.chain.hashing import instant
from policy_service.chain.key_files import read_or_make
from policy_service.errors import InvalidField, InvalidRequest, StartError

log = structlog.get_logger(__name__)

_MOST_TEXT: Final = 500
_FIELDS: Final = {"at": str, "hash": str, "key": str, "log": str, "revision": int, "signature": str}
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """At ``at`` the log named ``log`` ended with this revision and this hash."""

    log: str
    revision: int
    hash: str
    at: str
    key: str

    def signed_bytes(self) -> bytes:
        """What the signature is over: JSON in the canonical form of RFC 8785, without the signature."""
        fields = {"at": self.at, "hash": self.hash, "key": self.key, "log": self.log, "revision": self.revision}
        # Half a character, as a forged line may have, was never signed, and is no reason to fail.
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


class Verifier:
    """Tells checkpoints under known public keys from others."""

    def __init__(self, *keys: Ed25519PublicKey) -> None:
        """``keys`` as the auditor got them, by a way of their own."""
        self._keys = {_name(key): key for key in keys}

    def read(self, text: str) -> Checkpoint:
        """The checkpoint that a line holds, if the key signed it. Raises InvalidRequest."""
        try:
            found = json.loads(text) if len(text) <= _MOST_TEXT else None
        except (ValueError, RecursionError):
            found = None
        if (
            not isinstance(found, dict)
            or found.keys() != _FIELDS.keys()
            or any(type(found[name]) is not kind for name, kind in _FIELDS.items())
            or not _HASH.fullmatch(found["hash"])
            or not _SIGNATURE.fullmatch(found["signature"])
        ):
            raise _invalid("is not a checkpoint: a JSON object with " + ", ".join(_FIELDS))
        signature = found.pop("signature")
        checkpoint = Checkpoint(**found)
        if checkpoint.key not in self._keys:
            known = " or ".join(self._keys)
            raise _invalid(f"of revision {checkpoint.revision} is signed with another key, not {known}")
        if not self.signed(checkpoint.key, signature, checkpoint.signed_bytes()):
            raise _invalid(f"of revision {checkpoint.revision} has a signature that is not of its content")
        return checkpoint

    def signed(self, key: str, signature: str, content: bytes) -> bool:
        """Is this a known key, and did it sign this? Key and signature in hexadecimal."""
        known = self._keys.get(key)
        if known is None or not _SIGNATURE.fullmatch(signature):
            return False
        try:
            known.verify(bytes.fromhex(signature), content)
        except InvalidSignature:
            return False
        return True


class Signer:
    """The service's key for checkpoints, the same for all replicas: each believes those of its own key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Use ``read_signer``."""
        self._key = key
        self._name = _name(key.public_key())
        self.verifier = Verifier(key.public_key())

    def sign(self, *, log: str, revision: int, hash: bytes, at: datetime) -> str:  # noqa: A002 - its name everywhere.
        """A checkpoint as a line of JSON."""
        checkpoint = Checkpoint(log=log, revision=revision, hash=hash.hex(), at=instant(at), key=self._name)
        _, signature = self.sign_bytes(checkpoint.signed_bytes())
        return json.dumps({**json.loads(checkpoint.signed_bytes()), "signature": signature})

    def sign_bytes(self, content: bytes) -> tuple[str, str]:
        """The public key and its signature of some bytes, in hexadecimal."""
        return self._name, self._key.sign(content).hex()


def read_signer(path: Path) -> Signer:
    """Read the key, or make one that only this user can read; its public half beside it. Raises StartError."""
    beside = path.with_suffix(".pub")
    if beside == path:
        raise StartError(f"The checkpoint key {path} would be overwritten by its public half: choose another ending")
    content = read_or_make(path, _new_key, what="checkpoint key")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as fault:
        raise StartError(f"The checkpoint key {path} cannot be used: {fault}") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise StartError(f"{path} is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519")
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        if not beside.exists() or beside.read_bytes() != public:
            beside.write_bytes(public)
    except OSError as fault:
        # A key that is handed in lies where nothing can be written, and whoever made it has its public half.
        log.warning("the checkpoint key's public half cannot be written", file=str(beside), cause=fault.strerror)
    return Signer(key)


def read_verifier(*paths: Path) -> Verifier:
    """Read public keys, PEM. Raises StartError."""
    return Verifier(*map(_public_key, paths))


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise StartError(f"The public key {path} cannot be used: {fault}") from fault
    if not isinstance(key, Ed25519PublicKey):
        raise StartError(f"{path} is not an Ed25519 public key")
    return key


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(key: Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _invalid(words: str) -> InvalidRequest:
    return InvalidRequest(violations=(InvalidField(field="against", description=f"against: this {words}"),))
