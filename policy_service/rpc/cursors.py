"""Signed page tokens: where a list goes on, for one question only.

A token is the place and an HMAC over question and place. So nobody can make
one, change one, or use one with another question; any replica with the same
key can answer the next page, and no server keeps anything between them. What
stands in a token has been shown to whoever holds it.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from policy_service.errors import InvalidField, InvalidRequest

_DIGEST_BYTES = 32

Place = Sequence[str | int]


class Cursors:
    """Writes and reads tokens under one key."""

    def __init__(self, key: bytes) -> None:
        """``key`` is the same for all replicas, and serves this purpose alone."""
        self._key = key

    def write(self, question: bytes, place: Place) -> str:
        """The token of a place in the list that answers a question."""
        payload = json.dumps(list(place), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(question, payload) + payload).decode()

    def read(self, question: bytes, token: str, field: str = "page_token") -> list[str | int]:
        """The place. Raises InvalidRequest, for the field, for a token that was not written for this question."""
        try:
            # The text that was written, not another spelling of the same bytes.
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            is_spelt_as_written = base64.urlsafe_b64encode(raw).decode() == token
        except (ValueError, binascii.Error) as fault:
            raise _foreign(field) from fault
        mac, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if not hmac.compare_digest(mac, self._mac(question, payload)) or not is_spelt_as_written:
            raise _foreign(field)
        found: list[str | int] = json.loads(payload)
        return found

    def _mac(self, question: bytes, payload: bytes) -> bytes:
        # The question's digest has a fixed length, so no two pairs are the same bytes.
        return hmac.digest(self._key, hashlib.sha256(question).digest() + payload, "sha256")


def _foreign(field: str) -> InvalidRequest:
    words = f"{field} is not one of this list: it belongs to the same question with the same filters"
    return InvalidRequest(violations=(InvalidField(field=field, description=words),))
