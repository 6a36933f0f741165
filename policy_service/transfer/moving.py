"""Moving house: the whole policy as JSON lines, and back into an empty store.

The file has a header, a line for each user, physician, row and open
invitation, and a last line with the count and SHA-256 of all before it: a file
that was cut or edited is refused whole (moving_check.py). The past does not
move: history, change log and decisions stay with the old database
(docs/operations.md). Nor do callers' tokens: one that was removed after the file
was written would be valid again.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from policy_service.decide import Model
from policy_service.seed import WidenedCallers, widened
from policy_service.store import Reading, Store, Written, moving
from policy_service.transfer.errors import FileChanged, StoreNotEmpty
from policy_service.transfer.moving_check import FORMAT, Checked
from policy_service.vocabulary import SYSTEM_DOMAIN, Origin, Row

_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some lines of the file; lines so far, of all."""

    text: str
    done: int
    total: int


async def export(look: Reading, model: str) -> AsyncIterator[Part]:
    """The whole policy of a look, in parts."""
    counts = await moving.counts(look)
    total, digest = sum(counts.values()) + 2, hashlib.sha256()
    header = {"format": FORMAT, "revision": look.revision, "counts": counts, "model": model}
    waiting, done = [moving.line("policy", header)], 0
    async for kind, fields in moving.everything(look):
        waiting.append(moving.line(kind, fields))
        if len(waiting) == _CHUNK:
            text = "".join(waiting)
            digest.update(text.encode())
            done += len(waiting)
            yield Part(text=text, done=done, total=total)
            waiting.clear()
    text = "".join(waiting)
    digest.update(text.encode())
    end = moving.line("end", {"lines": total - 1, "sha256": digest.hexdigest()})
    yield Part(text=text + end, done=total, total=total)


async def callers_gained(
    store: Store, found: Checked, model: Model, shipped: Iterable[Row], methods: frozenset[str]
) -> list[WidenedCallers]:
    """What calling services could call by the file that they could not call by the store's first seed.

    ``shipped`` is the seed of this release, for a store that has none yet. Raises StoreUnavailable.
    """
    async with store.reading() as look:
        held = await look.rows([SYSTEM_DOMAIN])
    return widened(model, held or shipped, (*found.seed, *found.own_rights), methods)


async def install(
    store: Store,
    found: Checked,
    *,
    actor: str,
    reason: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Bring a checked file into an empty store, in one change.

    ``progress`` is told the lines that are in, of all. Raises StoreNotEmpty,
    FileChanged and StoreUnavailable.
    """
    detail = {
        "from_revision": found.revision,
        "counts": found.counts,
        "lines": found.lines,
        "sha256": found.digest,
        "rules_sha256": found.rules_digest,
        "model": found.model,
    }
    async with store.transaction(caller="local", actor=actor, reason=reason, patient=True) as tx:
        # The first seed may be there, and nothing else.
        if tx.revision > 2 or await tx.has_physicians():
            raise StoreNotEmpty(revision=tx.revision - 1)
        await moving.be_patient(tx)
        # Ended first: a row that comes again begins anew.
        held = await tx.seed_rows()
        await tx.change("policy.import", None, ended=held, origin=Origin.SEED, detail=detail)
        # The check saw to it that each kind comes once, and after what it refers to.
        for kind, lines in groupby(_lines(found, progress), key=itemgetter(0)):
            if kind in moving.ADD:
                await moving.ADD[kind](tx, (fields for _, fields in lines))
        await moving.forget_invited(tx)
        await moving.vouch(tx)
    return tx.written


def _lines(found: Checked, progress: Callable[[int, int], None]) -> Iterator[tuple[str, Any]]:
    """Each line's kind and fields. Raises FileChanged if this is not the file that was checked."""
    digest, number = hashlib.sha256(), 0
    with found.path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number < found.lines:
                digest.update(line)
            if number % _CHUNK == 0:
                progress(number, found.lines)
            yield from json.loads(line).items()
    if (digest.hexdigest(), number) != (found.digest, found.lines):
        raise FileChanged(file=str(found.path))
