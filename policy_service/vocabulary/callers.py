"""Calling services: how their rights are spelt in domain system, and the tokens by which they are known.

A right is a method in every account (``DecisionService/Check``) or in those that
the caller is named for (``DecisionService/Check@named``, ``physician:dr-osei``).
Each is an allow and nothing else: a row that is missing only ever takes away.

A token is ``pst_ID_SECRET``. ID tells one token from another and is no secret.
SECRET is 256 random bits, so what is kept of a token is one SHA-256: nobody tries
2^256 of them, a slow hash would not make that harder, and every call computes it.
What begins like this is found by whoever looks for secrets in what was not meant
to hold any. Nothing here awaits or reads a clock.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from policy_service.vocabulary.identifiers import Physician
from policy_service.vocabulary.rows import SYSTEM_DOMAIN, Effect, Row, subject_of_service

LOCAL_CALLER: Final = "local"
"""Whoever connects over plain loopback without a token."""

_NAMED: Final = "@named"
_TOKEN: Final = re.compile(r"pst_([0-9a-f]{16})_[A-Za-z0-9_-]{43}", re.ASCII)
_NO_DIGEST: Final = bytes(32)


def in_named(method: str) -> str:
    """The right to a method in the accounts that the caller is named for."""
    return method + _NAMED


def method_in(right: str) -> str:
    """The method that a right is to, wherever."""
    return right.removesuffix(_NAMED)


def is_in_named(right: str) -> bool:
    """Is it a right to a method in the named accounts only?"""
    return right.endswith(_NAMED)


def named(physician: str) -> str:
    """The right that names a physician's account."""
    return f"physician:{physician}"


def is_naming(right: str) -> bool:
    """Does it name an account?"""
    return right.startswith("physician:")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRights:
    """What a caller is given by itself: methods, and the accounts that it is named for; None: every account."""

    methods: frozenset[str] = frozenset()
    physicians: frozenset[Physician] | None = None

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """From the rows of one caller."""
        rights = {row.values[2] for row in rows}
        physicians = frozenset(Physician(right.partition(":")[2]) for right in rights if is_naming(right))
        methods = frozenset(right for right in rights if not is_naming(right))
        limited = any(map(is_in_named, methods)) or bool(physicians)
        return cls(methods=frozenset(map(method_in, methods)), physicians=physicians if limited else None)

    def rows(self, caller: str) -> frozenset[Row]:
        """As rows of policy."""
        if self.physicians is None:
            rights = {*self.methods}
        else:
            rights = {*map(in_named, self.methods), *map(named, self.physicians)}
        subject = subject_of_service(caller)
        return frozenset(Row(ptype="p", values=(subject, SYSTEM_DOMAIN, right, Effect.ALLOW)) for right in rights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token: its text, which is told once and kept nowhere, and what is kept."""

    text: str = field(repr=False)
    id: str
    digest: bytes = field(repr=False)


def issue_token() -> Issued:
    """A token of 256 random bits."""
    name = secrets.token_hex(8)
    text = f"pst_{name}_{secrets.token_urlsafe(32)}"
    return Issued(text=text, id=name, digest=_digest(text))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """What is known of a token: whose it is and until when, by the seconds of the clock."""

    caller: str
    digest: bytes = field(repr=False)
    expires_at: datetime


class Credentials:
    """The tokens that stand, by their ids; and the ids of those that were ended. Never changes."""

    __slots__ = ("ended", "tokens")

    def __init__(self, tokens: Mapping[str, KnownToken], ended: Iterable[str] = ()) -> None:
        """As the store has them at one revision."""
        self.tokens = dict(tokens)
        self.ended = frozenset(ended)

    def find(self, text: str) -> tuple[str, KnownToken] | None:
        """The token that was presented and its id, whether it has expired or not; None if there is none such.

        The digests are compared in constant time; the id before them is looked up, as it is no secret.
        """
        parts = _TOKEN.fullmatch(text)
        name = parts.group(1) if parts else ""
        known = self.tokens.get(name)
        kept = _NO_DIGEST if known is None else known.digest
        is_same = hmac.compare_digest(_digest(text), kept)
        return (name, known) if is_same and known is not None else None

    def after(self, before: "Credentials") -> "Credentials":
        """These, of another history than those known before: nothing that was ended, or ends, stands longer by it."""
        tokens = {name: token for name, token in self.tokens.items() if name not in before.ended}
        for name, token in tokens.items():
            known = before.tokens.get(name)
            if known is not None and known.expires_at < token.expires_at:
                tokens[name] = replace(token, expires_at=known.expires_at)
        return Credentials(tokens, self.ended | before.ended)


NO_CREDENTIALS: Final = Credentials({})
