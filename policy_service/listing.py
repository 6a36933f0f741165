"""Cuts a list into pages that all belong to one list.

A token names the offset, the revision of the first page and a digest of the
question with the whole list and the history that the revision is of. On the next
page the list is made again: if its digest is another one, or anything in the
token was altered, the page is refused. So pages never mix two states of the policy, any replica can answer
the next one, and no server keeps anything between them.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from policy_service.errors import ListChanged

MOST_ITEMS: Final = 1_000
_TOKEN = struct.Struct(">QQ32s")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """A part of a list, and the token of the next part, empty at the end."""

    items: Sequence[Item]
    revision: int
    next_token: str


def page(
    items: Sequence[Item],
    *,
    question: tuple[str, ...],
    revision: int,
    size: int,
    token: str,
    name_at: Callable[[int], str] = lambda _: "",
) -> Page[Item]:
    """The page that a token asks for; raises ListChanged.

    ``items`` is the whole list made at ``revision``; ``size`` 0 means the most;
    ``name_at`` tells which history a revision is of.
    """
    size = min(size or MOST_ITEMS, MOST_ITEMS)
    offset = 0
    if token:
        offset, revision, digest = _read(token)
        if digest != _digest(items, (name_at(revision), *question), offset, revision):
            raise ListChanged
    end = offset + size
    more = ""
    if end < len(items):
        more = _write(end, revision, _digest(items, (name_at(revision), *question), end, revision))
    return Page(items=items[offset:end], revision=revision, next_token=more)


def _digest(items: Sequence[object], question: tuple[str, ...], offset: int, revision: int) -> bytes:
    return hashlib.sha256(repr((question, offset, revision, items)).encode()).digest()


def _write(offset: int, revision: int, digest: bytes) -> str:
    return base64.urlsafe_b64encode(_TOKEN.pack(offset, revision, digest)).decode()


def _read(token: str) -> tuple[int, int, bytes]:
    try:
        offset, revision, digest = _TOKEN.unpack(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, struct.error) as fault:
        raise ListChanged from fault
    return int(offset), int(revision), bytes(digest)
