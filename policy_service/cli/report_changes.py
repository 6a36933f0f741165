"""Changes in plain words, and no more of them than concerns the account or person reviewed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_client.reviews import AccessReview, Change, PolicyRow

from policy_service.cli.kinds import EVIDENCE, KINDS, POLICY
from policy_service.cli.report_words import role_name, role_title

_DETAILS: Final = {
    "user": "person",
    "roles": "would get",
    "actions": "would get own selection",
    "invited_by": "invited by",
    "withdrawn": "open invitation withdrawn",
    "email": "to the address",
    "before": "instead of",
    "followed": "open invitations sent there by",
}
_BUILT_IN_DOMAIN, _SERVICES_DOMAIN = "*", "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one person or role gained and lost."""

    subject: str
    began: tuple[str, ...]
    ended: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldChange:
    """A change as the report tells it; ``others`` counts rows that concern other people or accounts."""

    revision: int
    at: datetime
    actor: str
    caller: str
    reason: str
    lane: str
    title: str
    lines: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]
    others: int

    @property
    def concerns(self) -> bool:
        """Has it anything to say here? One of many accounts, or of callers' rights, may be all of others."""
        return bool(self.lines) or not self.others


def kind_words(kind: str) -> str:
    """A kind of change in words; one that is newer than this command, as it is."""
    return KINDS.get(kind, (POLICY, kind))[1]


def tell(change: Change, review: AccessReview) -> ToldChange:
    """A change in words, from the place of who is reviewed."""
    told: dict[str, tuple[list[str], list[str]]] = {}
    others = 0
    for side, rows in enumerate((change.after, change.before)):
        for row in rows:
            if len(row) > 3 and _concerns(row, review):
                told.setdefault(_subject(row, review), ([], []))[side].append(_term(row))
            else:
                others += 1
    lane, title = KINDS.get(change.kind, (POLICY, change.kind))
    return ToldChange(
        revision=change.revision,
        at=change.at,
        actor=change.actor,
        caller=change.caller,
        reason=change.reason,
        lane=lane,
        title=title,
        lines=tuple(
            Line(subject=subject, began=tuple(began), ended=tuple(ended)) for subject, (began, ended) in told.items()
        ),
        notes=tuple(_notes(change)),
        others=others,
    )


def _domain(row: PolicyRow) -> str:
    return row[2] if row[0] == "p" else row[3]


def _concerns(row: PolicyRow, review: AccessReview) -> bool:
    """Nobody else's staff: a change that is not of one account holds rows of many."""
    domain = _domain(row)
    if domain in (_BUILT_IN_DOMAIN, f"physician:{review.physician}"):
        return True
    mine = (f"user:{review.user}", f"role:custom.{review.user}")
    theirs = row[1].startswith(("user:", "role:custom.")) and row[1] not in mine
    return bool(review.user) and not theirs and domain in {*_accounts(review), *([domain] if row[1] in mine else ())}


def _accounts(review: AccessReview) -> Iterator[str]:
    return (f"physician:{access.physician}" for access in review.access)


def _subject(row: PolicyRow, review: AccessReview) -> str:
    kind, _, name = row[1].partition(":")
    domain = _domain(row)
    where = f" in {domain.partition(':')[2]}" if review.user and domain != _BUILT_IN_DOMAIN else ""
    if kind == "user":
        return name + where
    title = role_title(name)
    if domain == _BUILT_IN_DOMAIN:
        return f"built-in role {title}"
    return (title if title != name else f"role {title}") + where


def _term(row: PolicyRow) -> str:
    if row[0] == "g":
        target = role_name(row[2].partition(":")[2])
        return target if row[1].startswith("user:") else f"includes {target}"
    action = "everything" if row[3] == "*" else row[3]
    return action if row[4] == "allow" else f"never {action}"


def _notes(change: Change) -> Iterator[tuple[str, str]]:
    subjects = (row[1] for row in (*change.before, *change.after) if len(row) > 1)
    people = {subject.partition(":")[2] for subject in subjects if subject.startswith("user:")}
    for key, value in change.detail.items():
        # Ids and digests say nothing to a person, and a model's text is pages long.
        if (
            key in EVIDENCE
            or key in ("invitation", "digest", "sha256", "model")
            or value in ("", [], (), None)
            or (key == "user" and value in people)
        ):
            continue
        yield _DETAILS.get(key, key.replace("_", " ")), _value(value)


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
