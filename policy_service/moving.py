"""Moving house: the whole policy as JSON lines, and back into an empty store.

The file has a header, a line for each user, physician, row and open
invitation, and a last line with the count and SHA-256 of all before it: a file
that was cut or edited is refused whole. The past does not move: history,
change log and decisions stay with the old database (docs/operations.md).
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, NoReturn

from policy_service.errors import StoreNotEmpty
from policy_service.policy_files import BrokenPolicy, Fault, seed_rows
from policy_service.seed_plan import csv_lines
from policy_service.store import Reading, Store, Written, moving
from policy_service.vocabulary import (
    ANY,
    OWNER,
    SYSTEM_DOMAIN,
    Origin,
    Row,
    row_fault,
    subject_of_role,
)

FORMAT: Final = "policy-service policy 1"
_FIELDS: Final = {"user": 3, "physician": 3, "rule": 6, "invitation": 12}
_SEED_DOMAINS: Final = (ANY, SYSTEM_DOMAIN)
_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some lines of the file; lines so far, of all."""

    text: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a file holds, found sound: where it came from, how much, and its built-in rows."""

    path: Path
    header: dict[str, Any]
    lines: int
    digest: str
    seed: tuple[Row, ...]


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


def check(path: Path, methods: frozenset[str]) -> Iterator[int | Checked]:
    """Read a file and judge every line: bytes read so far, now and then, and at last what it holds.

    Raises BrokenPolicy with the line and fault, also for a file that cannot be read.
    """
    reader = _Reader(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                reader.read(number, line)
                if number % _CHUNK == 0:
                    yield file.tell()
    except OSError as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault.strerror}")]) from fault
    yield reader.checked(methods)


class _Reader:
    """Judges the lines of a file one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._header: dict[str, Any] | None = None
        self._counts = dict.fromkeys(_FIELDS, 0)
        self._digest = hashlib.sha256()
        self._ended = False
        self._owners: dict[str, str] = {}
        self._owned: set[tuple[str, str]] = set()
        self._seed: list[Row] = []

    def read(self, number: int, line: bytes) -> None:
        self._number = number
        if self._ended:
            self._refuse("there is something after the last line")
        kind, fields = self._parse(line)
        if kind == "end":
            self._end(fields)
            return
        self._digest.update(line)
        if self._header is None:
            if kind != "policy" or not isinstance(fields, dict) or fields.get("format") != FORMAT:
                self._refuse(f"not the first line of a file of {FORMAT!r}")
            self._header = fields
            return
        if kind not in _FIELDS or not isinstance(fields, list) or len(fields) != _FIELDS[kind]:
            self._refuse("not a user, physician, rule or invitation with all of its fields")
        self._counts[kind] += 1
        if kind == "physician":
            self._owners[fields[0]] = fields[1]
        elif kind == "rule":
            self._rule(fields)

    def _parse(self, line: bytes) -> tuple[str, Any]:
        try:
            found = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or len(found) != 1:
            self._refuse("not a line of such a file, or not a whole one")
        ((kind, fields),) = found.items()
        return kind, fields

    def _rule(self, fields: list[Any]) -> None:
        origin, ptype, *values = fields
        if not all(isinstance(value, str) for value in fields) or origin not in list(Origin):
            self._refuse("not a row of policy")
        if ptype == "g" and values.pop():
            self._refuse("a g row with four fields")
        if fault := row_fault(ptype, tuple(values)):
            self._refuse(str(fault))
        row = Row(ptype=ptype, values=tuple(values))
        if (origin == Origin.SEED) != (row.domain in _SEED_DOMAINS):
            self._refuse(f"a row of domain {row.domain} is not of origin {origin}")
        if origin == Origin.SEED:
            self._seed.append(row)
            return
        physician = row.domain.partition(":")[2]
        if physician not in self._owners:
            self._refuse(f"a row of {physician}, who is not registered in this file")
        if values[1] == subject_of_role(OWNER):
            self._owned.add((physician, values[0]))

    def _end(self, fields: Any) -> None:
        if fields != {"lines": self._number - 1, "sha256": self._digest.hexdigest()}:
            self._refuse("count or SHA-256 is not that of the lines before: the file was cut or edited")
        self._ended = True

    def checked(self, methods: frozenset[str]) -> Checked:
        if not self._ended or self._header is None:
            self._number += 1
            self._refuse("the last line is missing: the file was cut off")
        if self._header.get("counts") != self._counts:
            self._refuse(f"the header speaks of {self._header.get('counts')}, there are {self._counts}")
        for physician, owner in self._owners.items():
            if (physician, f"user:{owner}") not in self._owned:
                self._refuse(f"{physician}'s owner {owner} has no grant of owner")
        seed_rows("\n".join(csv_lines(self._seed)), f"{self._path} (built-in rows)", methods=methods)
        return Checked(
            path=self._path,
            header=self._header,
            lines=self._number,
            digest=self._digest.hexdigest(),
            seed=tuple(self._seed),
        )

    def _refuse(self, words: str) -> NoReturn:
        raise BrokenPolicy(str(self._path), [Fault(line=self._number, text=words)])


async def install(
    store: Store,
    found: Checked,
    *,
    actor: str,
    reason: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Bring a checked file into an empty store, in one change. Raises StoreNotEmpty and StoreUnavailable.

    ``progress`` is told the lines that are in, of all.
    """

    def lines(kind: str) -> Iterator[list[Any]]:
        for fields in _lines(found.path, kind):
            number = next(done)
            if number % _CHUNK == 0:
                progress(number, found.lines)
            yield fields

    done = count(1)
    detail = {
        "from_revision": found.header["revision"],
        "counts": found.header["counts"],
        "lines": found.lines,
        "sha256": found.digest,
        "model": found.header["model"],
    }
    async with store.transaction(caller="local", actor=actor, reason=reason) as tx:
        # The first seed may be there, and nothing else.
        if tx.revision > 2 or await tx.has_physicians():
            raise StoreNotEmpty(revision=tx.revision - 1)
        await moving.be_patient(tx)
        held = set(await tx.seed_rows())
        await moving.add_users(tx, lines("user"))
        await moving.add_physicians(tx, lines("physician"))
        # Ended first: a row that comes again begins anew.
        await tx.change("policy.import", None, ended=held, origin=Origin.SEED, detail=detail)
        await moving.add_rules(tx, lines("rule"))
        await moving.add_invitations(tx, lines("invitation"))
    return tx.written


def _lines(path: Path, kind: str) -> Iterator[list[Any]]:
    start = f'{{"{kind}":'.encode()
    with path.open("rb") as file:
        for line in file:
            if line.startswith(start):
                yield json.loads(line)[kind]
