"""What auditors read of the policy: as it was at a revision, and by whose doing. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_service.store.errors import UnknownRevision
from policy_service.store.reading import Reading
from policy_service.store.rules import row_of
from policy_service.vocabulary import (
    Action,
    Held,
    Physician,
    Role,
    Row,
    User,
    domain_of,
    name_in,
    subject_of_user,
)

_POINT: Final = "SELECT revision, at, hash, mark FROM changes WHERE revision = $1"
_POINT_AT: Final = "SELECT revision, at, hash, mark FROM changes WHERE at <= $1 ORDER BY at DESC, revision DESC LIMIT 1"
_FIRST_POINT: Final = "SELECT revision, at FROM changes ORDER BY revision LIMIT 1"
# Whoever accepts an invitation acts, but it is the inviter who granted.
_ROWS_SINCE: Final = """
SELECT r.ptype, r.v0, r.v1, r.v2, r.v3, r.from_revision, c.at, c.kind,
       coalesce(c.detail ->> 'invited_by', c.actor) AS granted_by
FROM rules r LEFT JOIN changes c ON c.revision = r.from_revision
WHERE r.domain = ANY($1::text[])
  AND r.from_revision <= $2 AND (r.until_revision IS NULL OR r.until_revision > $2)
  AND ($3::text IS NULL OR r.v0 = $3 OR r.v0 LIKE 'role:%')
ORDER BY r.domain
"""
_DOMAINS_OF_SUBJECT: Final = """
SELECT DISTINCT domain FROM rules
WHERE v0 = $1 AND from_revision <= $2 AND (until_revision IS NULL OR until_revision > $2)
  AND domain > $3 AND domain LIKE 'physician:%'
ORDER BY domain LIMIT $4
"""
_DISPLAY_NAME: Final = "SELECT display_name FROM physicians WHERE physician = $1"
_PENDING: Final = """
SELECT id, physician, username, email, roles, actions, invited_by, invited_at, expires_at FROM invitations
WHERE (physician = $1 OR username = $2) AND invited_at_revision <= $3
  AND (closed_at_revision IS NULL OR closed_at_revision > $3) AND expires_at > $4
ORDER BY physician, username, id
"""
_IS_KNOWN: Final = """
SELECT EXISTS (SELECT FROM users WHERE username = $1) OR EXISTS (SELECT FROM invitations WHERE username = $1)
  OR EXISTS (SELECT FROM rules WHERE v0 = $2)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A revision with its mark, when it was made, and the hash of its entry in the change log."""

    revision: int
    at: datetime
    hash: bytes
    mark: str = ""

    @property
    def held(self) -> Held:
        """As a point in one history."""
        return Held(revision=self.revision, mark=self.mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """When a row of policy began, by whose doing, and by what kind of change."""

    revision: int
    at: datetime
    granted_by: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An invitation that was open. Address and expiry are those of its last link, which may be a later one."""

    id: str
    physician: Physician
    user: User
    email: str
    roles: tuple[Role, ...]
    actions: tuple[Action, ...]
    invited_by: str
    invited_at: datetime
    expires_at: datetime


async def point(look: Reading, asked: int | datetime | None) -> Point:
    """The point of a revision, of a time, or of now. Raises UnknownRevision."""
    if isinstance(asked, datetime):
        record = await look.connection.fetchrow(_POINT_AT, asked)
    else:
        record = await look.connection.fetchrow(_POINT, look.revision if asked is None else asked)
    if record is None:
        wanted = f"the last until {asked:%Y-%m-%d %H:%M} UTC" if isinstance(asked, datetime) else str(asked)
        begin = await look.connection.fetchrow(_FIRST_POINT)
        history = f"from revision {begin['revision']}, {begin['at']:%Y-%m-%d %H:%M} UTC, to {look.revision}"
        raise UnknownRevision(revision=wanted, history=history if begin else None)
    return Point(revision=record["revision"], at=record["at"], hash=record["hash"], mark=str(record["mark"]))


async def rows_since(
    look: Reading, physicians: Sequence[Physician], revision: int, *, subject: str | None = None
) -> list[tuple[Row, Since]]:
    """The rows of some accounts at a revision with their beginnings; of a ``subject``, those that can reach it.

    Raises UnknownRevision for a row whose beginning is not in the log.
    """
    domains = [domain_of(physician) for physician in physicians]
    found = []
    for record in await look.connection.fetch(_ROWS_SINCE, domains, revision, subject):
        if record["at"] is None:
            raise UnknownRevision(revision=str(record["from_revision"]))
        since = Since(
            revision=record["from_revision"], at=record["at"], granted_by=record["granted_by"], kind=record["kind"]
        )
        found.append((row_of(record), since))
    return found


async def physicians_of(
    look: Reading, subject: str, revision: int, *, after: Physician | None, size: int
) -> list[Physician]:
    """The accounts, in byte order, in which a subject had a row at a revision."""
    start = domain_of(after or Physician(""))
    records = await look.connection.fetch(_DOMAINS_OF_SUBJECT, subject, revision, start, size)
    return [Physician(name_in(record["domain"])) for record in records]


async def display_name(look: Reading, physician: Physician) -> str:
    """How texts for people call an account; empty where it has no such name."""
    return await look.connection.fetchval(_DISPLAY_NAME, physician) or ""


async def is_known(look: Reading, user: User) -> bool:
    """Is or was there anybody of this name: with credentials, invited, or with a role somewhere?"""
    return bool(await look.connection.fetchval(_IS_KNOWN, user, subject_of_user(user)))


async def pending(
    look: Reading, revision: int, moment: datetime, *, physician: Physician | None = None, user: User | None = None
) -> list[Pending]:
    """The invitations of an account or to a user that were open at a revision and could be accepted at a moment."""
    return [
        Pending(
            id=record["id"],
            physician=Physician(record["physician"]),
            user=User(record["username"]),
            email=record["email"],
            roles=tuple(Role(role) for role in record["roles"]),
            actions=tuple(Action(action) for action in record["actions"]),
            invited_by=record["invited_by"],
            invited_at=record["invited_at"],
            expires_at=record["expires_at"],
        )
        for record in await look.connection.fetch(_PENDING, physician, user, revision, moment)
    ]
