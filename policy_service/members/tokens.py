"""The secrets in invitation links.

A token is 256 bits, made from the service's key, the invitation and the count
of its links; the database holds only its SHA-256. So a dump of the database
gives no usable link, and an e-mail that has to be sent twice says the same.
"""

import base64
import hashlib
import hmac
import re
import secrets
from pathlib import Path

from policy_service.chain import read_or_make
from policy_service.errors import StartError
from policy_service.members.errors import InvalidToken

_KEY_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class TokenKey:
    """The key that links are made with. Replicas that send e-mail share one."""

    def __init__(self, key: bytes) -> None:
        """``key`` is 32 random bytes."""
        if len(key) != _KEY_BYTES:
            raise StartError(f"A token key has {_KEY_BYTES} bytes, this one {len(key)}.")
        self._key = key

    def token(self, invitation: str, generation: int) -> str:
        """The token of an invitation's link of this count."""
        made = hmac.digest(self._key, f"{invitation}:{generation}".encode(), "sha256")
        token = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
        # A command would take it for an option.
        return f"_{token[1:]}" if token.startswith("-") else token

    def hash(self, invitation: str, generation: int) -> bytes:
        """What the database holds of it."""
        return hash_of(self.token(invitation, generation))

    def made(self, token_hash: bytes, invitation: str, generation: int) -> bool:
        """Was this link's token made with this key?"""
        return hmac.compare_digest(token_hash, self.hash(invitation, generation))

    def derived(self, purpose: str) -> bytes:
        """Another key, for one purpose; it tells nothing of this one. No link's token is made from such words."""
        return hmac.digest(self._key, f"key for: {purpose}".encode(), "sha256")


def hash_of(token: str) -> bytes:
    """The SHA-256 of a token. Raises InvalidToken for what cannot be one."""
    if not _TOKEN.fullmatch(token):
        raise InvalidToken
    return hashlib.sha256(token.encode()).digest()


def read_key(path: Path) -> TokenKey:
    """Read the key, or make one that only this user can read. Raises StartError."""
    return TokenKey(read_or_make(path, lambda: secrets.token_bytes(_KEY_BYTES), what="token key"))
