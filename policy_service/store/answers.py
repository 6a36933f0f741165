"""Answers kept for idempotency keys, each with what it is about: given again while that is as it was.

A call repeated under its key is the same call, so it is answered as before and
writes nothing. But an answer says how things stand ("nina works on this
account"), and a repetition that comes after somebody changed that would say
what is no longer so. It gets Superseded instead, with the revision of the
change that came between.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policy_service.store.errors import IdempotencyKeyReused, Superseded

_KEPT = """
SELECT digest, answer, revision, physician, users, role, stands_until FROM idempotency WHERE caller = $1 AND key = $2
"""
# The first later change of the same users in the same account, or of the same role's own rows. What set-up an answer
# asked for may have been finished through another account, and an open invitation may have followed its user to another
# address.
_OVERTAKEN = """
SELECT min(revision) FROM changes
WHERE revision > $1 AND (
  (users && $3::text[]
   AND (physician IS NOT DISTINCT FROM $2 OR kind = 'setup.complete'
        OR (kind = 'address.change' AND detail -> 'followed' ? $2)))
  OR ($4 <> '' AND physician = $2
      AND EXISTS (SELECT FROM jsonb_array_elements(before || after) AS part WHERE part ->> 1 = 'role:' || $4))
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer, and what it is about: users of an account, or one of its roles. About nothing, it always stands."""

    key: str
    digest: bytes
    answer: bytes
    revision: int
    physician: str | None
    users: tuple[str, ...]
    role: str
    stands_until: datetime | None
    """When what it says ends by itself."""


def keeping(first: int) -> str:
    """The statement that keeps one, with its parameters from a number on; the first one under a key stays."""
    places = ", ".join(f"${first + place}" for place in range(9))
    return f"""
INSERT INTO idempotency (caller, key, digest, answer, revision, physician, users, role, stands_until)
VALUES ({places}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - numbers of ours.


def columns(caller: str, kept: Kept) -> tuple[object, ...]:
    """What those parameters are."""
    return (
        *(caller, kept.key, kept.digest, kept.answer, kept.revision),
        *(kept.physician, list(kept.users), kept.role, kept.stands_until),
    )


async def keep(connection: Any, caller: str, kept: Kept) -> None:
    """Keep an answer in a statement of its own."""
    await connection.execute(_KEEP, *columns(caller, kept))


async def kept(connection: Any, caller: str, key: str, digest: bytes, now: datetime) -> bytes | None:
    """The answer given before under a key.

    Raises IdempotencyKeyReused where that was another request's, and
    Superseded where what it says has changed since, or its time is up.
    """
    found = await connection.fetchrow(_KEPT, caller, key)
    if found is None:
        return None
    if found["digest"] != digest:
        raise IdempotencyKeyReused(key=key)
    # Kept by a release that did not say what it is about.
    if found["revision"] is not None:
        overtaken = await connection.fetchval(
            _OVERTAKEN, found["revision"], found["physician"], found["users"], found["role"]
        )
        if overtaken is not None or (found["stands_until"] is not None and found["stands_until"] <= now):
            raise Superseded(key=key, revision=found["revision"], by_revision=overtaken)
    return bytes(found["answer"])


_KEEP = keeping(1)
