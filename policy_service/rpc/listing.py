"""Cuts a list into pages that all belong to one list.

A token is signed (see cursors.py) for its question, and names the offset, the
revision of the first page and a digest of the whole list and of the history that
the revision is of. On the next page the
list is made again: if its digest is another one the page is refused. So pages
never mix two states of the policy, any replica can answer the next one, and no
server keeps anything between them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from policy_service.rpc.cursors import Cursors
from policy_service.rpc.errors import ListChanged

MOST_ITEMS: Final = 1_000

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
    cursors: Cursors,
    question: tuple[str, ...],
    revision: int,
    size: int,
    token: str,
    name_at: Callable[[int], str] = lambda _: "",
) -> Page[Item]:
    """The page that a token asks for. Raises ListChanged, and InvalidRequest for a token of another question.

    ``items`` is the whole list made at ``revision``; ``size`` 0 means the most;
    ``name_at`` tells which history a revision is of.
    """
    size = min(size or MOST_ITEMS, MOST_ITEMS)
    asked, offset = repr(question).encode(), 0
    if token:
        begun, first, digest = cursors.read(asked, token)
        offset, revision = int(begun), int(first)
        if digest != _digest(items, name_at(revision)):
            raise ListChanged
    end = offset + size
    more = ""
    if end < len(items):
        more = cursors.write(asked, [end, revision, _digest(items, name_at(revision))])
    return Page(items=items[offset:end], revision=revision, next_token=more)


def _digest(items: Sequence[object], history: str) -> str:
    return hashlib.sha256(repr((history, items)).encode()).hexdigest()
