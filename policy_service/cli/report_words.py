"""The report's words: roles, actions and areas as a privacy officer reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from policy_client import ActionInfo
from policy_client.reviews import AccessReview

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


def areas_of(catalogue: Iterable[ActionInfo], judged: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Actions with their titles by group, in the order of lists; what the catalogue does not tell of comes last."""
    areas: dict[str, list[tuple[str, str]]] = {}
    told = set[str]()
    for info in catalogue:
        areas.setdefault(info.group.replace("_", " ").capitalize(), []).append((info.action, typeset(info.title)))
        told.add(info.action)
    for action in dict.fromkeys(judged):
        if action not in told:
            areas.setdefault(action.partition(":")[0], []).append((action, action))
    return list(areas.items())


def action_label(action: str) -> str:
    """An action under the heading of its area, where there is little room."""
    return action.partition(":")[2].replace("_", " ")


def typeset(text: str) -> str:
    """A text with the apostrophes of print."""
    return text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


def able_to(title: str) -> str:
    """An action's title within a sentence."""
    return typeset(title[:1].lower() + title[1:])


def minute(moment: datetime) -> str:
    """A time to the minute, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
