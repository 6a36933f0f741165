"""The report's words: roles, actions and areas as a privacy officer reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from policy_client.reviews import AccessReview

AREAS: Final = {"claim": "Claims", "report": "Reports", "invoice": "Invoices", "user": "Users", "app": "App"}
ACTIONS: Final = {
    "claim:view": "view",
    "claim:save": "save",
    "claim:submit": "submit",
    "claim:delete": "delete",
    "report:generate": "generate",
    "report:patient_details": "patients’ names",  # noqa: RUF001 - typeset, for people.
    "invoice:view": "view",
    "invoice:pay": "pay",
    "user:list": "see the list",
    "user:invite": "invite",
    "user:edit": "edit",
    "user:revoke": "revoke",
    "app:mobile": "mobile app",
}
OWN_SELECTION: Final = "own selection"
_OWN_ROLE: Final = "custom."


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How a role is shown in the matrix: by a letter or a number, and by a tone that repeats it."""

    letter: str
    tone: str
    name: str
    note: str = ""


_BUILT_IN: Final = {
    "owner": Mark(letter="O", tone="owner", name="owner", note="built in: the physician"),
    "administrator": Mark(letter="A", tone="administrator", name="administrator", note="built in"),
    "data_entry": Mark(letter="D", tone="data", name="data_entry", note="built in"),
    "financial_viewer": Mark(letter="F", tone="finance", name="financial_viewer", note="built in"),
}
_OWN: Final = Mark(letter="S", tone="own", name=OWN_SELECTION, note="actions ticked for this one person")

Marks = Mapping[tuple[str, str], Mark]
"""By account and role: a name can be another role in another account."""


def marks_of(review: AccessReview) -> Marks:
    """A mark for every role that decides a cell, those of every account first, then others by account and name."""
    deciding = {(who.physician, action.role) for who in review.access for action in who.actions if action.role}
    marks = {key: mark for key in deciding if (mark := _known(key[1]))}
    # What operators added is one role, in whichever account it decides.
    rest = {key: ("", key[1]) if key[1] in review.built_in_roles else key for key in deciding - marks.keys()}
    numbers = {role: str(number) for number, role in enumerate(sorted(set(rest.values())), start=1)}
    for key, (physician, role) in rest.items():
        note = "built in" if not physician else f"of {physician}" if review.user else "of this account"
        marks[key] = Mark(letter=numbers[physician, role], tone="custom", name=role, note=note)
    return marks


def legend(marks: Marks) -> list[Mark]:
    """Each mark once, letters before numbers."""
    order = [*_BUILT_IN.values(), _OWN]
    found = set(marks.values())
    numbered = sorted(found.difference(order), key=lambda mark: int(mark.letter))
    return [mark for mark in order if mark in found] + numbered


def _known(role: str) -> Mark | None:
    return _OWN if role.startswith(_OWN_ROLE) else _BUILT_IN.get(role)


def role_name(role: str) -> str:
    """A role as people call it: somebody's own selection of actions has no other name."""
    return OWN_SELECTION if role.startswith(_OWN_ROLE) else role


def role_title(role: str) -> str:
    """A role where it stands by itself, with the person whose own selection it is."""
    return f"{OWN_SELECTION} of {role.removeprefix(_OWN_ROLE)}" if role.startswith(_OWN_ROLE) else role


def areas_of(actions: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Actions by area, both in the order of their first appearance."""
    areas: dict[str, list[str]] = {}
    for action in dict.fromkeys(actions):
        areas.setdefault(action.partition(":")[0], []).append(action)
    return [(AREAS.get(area, area), within) for area, within in areas.items()]


def action_label(action: str) -> str:
    """An action under the heading of its area."""
    return ACTIONS.get(action, action.partition(":")[2].replace("_", " "))


def minute(moment: datetime) -> str:
    """A time to the minute, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
