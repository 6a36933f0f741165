"""The chain finds whatever is done to a log of a thousand entries: every edit of a byte, every deletion, swap and cut."""

import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from policy_service.chain import START, Entry, Walk

Kept = tuple[Entry, bytes]


@pytest.fixture(scope="module")
def log() -> list[Kept]:
    """A thousand entries as a busy account would leave them."""
    chance, previous, kept = random.Random(4), START, []
    kinds = ("invite", "invitation.accept", "permissions.update", "access.revoke", "role.create", "seed.apply")
    for revision in range(1, 1_001):
        user, physician = f"user-{chance.randrange(50)}", f"dr-{chance.randrange(9)}"
        row = ("g", f"user:{user}", "role:data_entry", f"physician:{physician}")
        entry = Entry(
            revision=revision,
            at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=revision * 3, microseconds=chance.randrange(10**6)),
            caller="manage-users-page",
            actor=f"owner-{physician}",
            reason=chance.choice(["", "left the clinic", "ticket “12”, “é”\\"]),
            kind=chance.choice(kinds),
            physician=chance.choice([physician, None]),
            before=(row,) if revision % 3 == 0 else (),
            after=(row, ("p", "role:desk", f"physician:{physician}", "claim:view", "allow")) if revision % 2 else (),
            detail={"user": user, "roles": ["data_entry"], "rows": revision} if revision % 5 == 0 else {},
            mark=f"{chance.getrandbits(128):032x}",
            previous=previous,
        )
        previous = entry.hash()
        kept.append((entry, previous))
    return kept


def is_found(log: list[Kept], at: int, entry: Entry, kept: bytes) -> bool:
    """Is this entry refused in this place, everything before it being good?"""
    head = log[at - 1][1] if at else START
    return Walk(revision=at, head=head).fault(entry, kept) is not None


def walked(log: list[Kept]) -> Walk:
    walk = Walk()
    for entry, kept in log:
        if walk.fault(entry, kept):
            break
    return walk


def test_a_whole_log_is_whole(log):
    walk = walked(log)
    assert (walk.revision, walk.head) == (1_000, log[-1][1])


def edits(entry: Entry) -> Iterator[Entry]:
    """The entry with each byte of each of its fields changed, as the table could hold it."""
    for field in fields(entry):
        value = getattr(entry, field.name)
        match value:
            case bool():
                raise AssertionError("no field is one")
            case bytes():
                for place in range(len(value)):
                    yield replace(entry, **{field.name: value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]})
            case int():
                for bit in range(63):
                    yield replace(entry, **{field.name: value ^ (1 << bit)})
            case datetime():
                for bit in range(45):
                    moved = timedelta(microseconds=1 << bit)
                    yield replace(entry, **{field.name: value + moved})
            case str():
                for place, character in enumerate(value):
                    yield replace(entry, **{field.name: value[:place] + chr(ord(character) ^ 1) + value[place + 1 :]})
                yield replace(entry, **{field.name: value + " "})
                yield replace(entry, **{field.name: value[:-1] if value else "x"})
            case None:
                yield replace(entry, **{field.name: ""})
            case _:
                text = json.dumps(value, ensure_ascii=False)
                for place, character in enumerate(text):
                    edited = text[:place] + chr(ord(character) ^ 1) + text[place + 1 :]
                    try:
                        other = json.loads(edited)
                    except ValueError:
                        continue  # The table's jsonb would not take it.
                    if other != json.loads(text):
                        yield replace(entry, **{field.name: other})


def test_every_edit_of_a_byte_is_found(log):
    tried = 0
    for at, (entry, kept) in enumerate(log):
        for edited in edits(entry):
            assert is_found(log, at, edited, kept), (at, edited)
            tried += 1
        for place in range(len(kept)):
            assert is_found(log, at, entry, kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :])
            tried += 1
    print(f"{tried:,} edits, all found")
    assert tried > 300_000


def test_every_deletion_is_found(log):
    for at in range(len(log) - 1):
        assert is_found(log, at, *log[at + 1])
        assert walked([*log[:at], *log[at + 1 : at + 3]]).revision == at


def test_every_swap_is_found(log):
    for one, other in itertools.combinations(range(len(log)), 2):
        assert is_found(log, one, *log[other])


def test_every_repetition_is_found(log):
    for at in range(1, len(log)):
        assert is_found(log, at, *log[at - 1])


def test_every_cut_of_the_end_shows_in_where_the_log_ends(log):
    """The chain alone cannot tell; the policy's own revision and checkpoints can (see integration/test_log.py)."""
    for length in range(len(log)):
        walk = Walk(revision=length, head=log[length - 1][1] if length else START)
        assert walk.revision < log[-1][0].revision


def test_bytes_cannot_move_from_one_field_to_the_next(log):
    entry, kept = log[5]
    moved = replace(entry, caller=entry.caller[:-1], actor=entry.caller[-1] + entry.actor)
    assert is_found(log, 5, moved, kept)


def test_an_entry_made_anew_breaks_the_next(log):
    """Whoever edits an entry and mends its hash must rewrite all that follow."""
    entry, _ = log[500]
    forged = replace(entry, actor="nobody")
    walk = walked([*log[:500], (forged, forged.hash()), *log[501:]])
    assert walk.revision == 501


def test_the_encoding_is_the_documented_one(log):
    """A second implementation, from docs/audit.md alone."""
    for entry, kept in log:
        members = {
            '"actor"': text(entry.actor),
            '"after"': rows(entry.after),
            '"at"': text(f"{entry.at:%Y-%m-%dT%H:%M:%S}.{entry.at.microsecond:06d}Z"),
            '"before"': rows(entry.before),
            '"caller"': text(entry.caller),
            '"detail"': plain(entry.detail),
            '"kind"': text(entry.kind),
            '"mark"': text(entry.mark),
            '"physician"': "null" if entry.physician is None else text(entry.physician),
            '"previous"': text(entry.previous.hex()),
            '"reason"': text(entry.reason),
            '"revision"': str(entry.revision),
        }
        encoded = "{" + ",".join(f"{name}:{members[name]}" for name in sorted(members)) + "}"
        assert hashlib.sha256(encoded.encode("utf-8")).digest() == kept


def text(value: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in value) + '"'


def rows(value: tuple[tuple[str, ...], ...]) -> str:
    return "[" + ",".join("[" + ",".join(map(text, row)) + "]" for row in value) + "]"


def plain(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{text(name)}:{plain(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(plain, value)) + "]"
    return text(value) if isinstance(value, str) else str(value)
