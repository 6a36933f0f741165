"""What actions there are: rows of type ``a``, which ops write, and what they say.

Nobody but these rows knows an action by name. A row is the action's id, its
place and group, ``*`` as it is one in every account, and in its last field what
people read, ``TITLE | SENTENCE | MARKS``: whatever follows from an action is
marked there. Refuses what cannot be drawn or read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policy_service.vocabulary.answers import Channel
from policy_service.vocabulary.identifiers import ACTION, Action
from policy_service.vocabulary.plain_text import line_fault


class Operation(StrEnum):
    """What people do on the management plane for which they must hold an action of the account: the method's name."""

    INVITE_USER = "InviteUser"
    LIST_INVITATIONS = "ListInvitations"
    RESEND_INVITATION = "ResendInvitation"
    CANCEL_INVITATION = "CancelInvitation"
    LIST_MEMBERS = "ListMembers"
    GET_PERMISSIONS = "GetPermissions"
    UPDATE_PERMISSIONS = "UpdatePermissions"
    REVOKE_ACCESS = "RevokeAccess"
    LIST_ROLES = "ListRoles"
    CREATE_ROLE = "CreateRole"
    UPDATE_ROLE = "UpdateRole"
    DELETE_ROLE = "DeleteRole"


MOST_ACTIONS: Final = 200
"""In one catalogue: each takes two characters for every user asked about."""
_MOST_TITLE: Final = 40
_MOST_SENTENCE: Final = 160
_MOST_MARKS: Final = 32
_PLACE: Final = re.compile(r"([1-9][0-9]{0,3}) ([a-z][a-z0-9_]{0,31})", re.ASCII)
_GUARDED: Final = frozenset(operation.value for operation in Operation)
_OPENED: Final = (Channel.MOBILE.value,)
_ALONE: Final = ("owner-only", "not-mobile", "deprecated", "headline")
_NAMING: Final = ("needs", "replaced-by", "guards", "opens")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInfo:
    """One action as its row tells it."""

    action: Action
    place: int
    """In lists; of all actions, each has its own."""
    group: str
    title: str
    sentence: str
    """What one does with it, for whoever ticks it."""
    owner_only: bool
    """Is it the account owner's alone? Casbin decides it, on the rules of ``limit_rules``."""
    not_mobile: bool
    """Is it never done in the mobile app? As ``owner_only``."""
    headline: bool
    """Is it what people ask about first? Reports tell of it before the rest."""
    deprecated: bool
    replaced_by: Action | None
    needs: tuple[Action, ...]
    """What it is of no use without."""
    guards: frozenset[Operation]
    """What nobody does on the management plane without holding it."""
    opens: frozenset[Channel]
    """The channels in which nobody does anything without holding it."""


INVITED: Final = "limit:invited"
"""A subject of rules, and nobody's name: what of all actions an invited user can be given."""
_CHANNELS: Final = {Channel.MOBILE: "limit:mobile"}


class Catalogue:
    """All actions that there are, in their order."""

    def __init__(self, infos: Iterable[ActionInfo]) -> None:
        """Use ``of_rows``."""
        self._infos = {info.action: info for info in sorted(infos, key=lambda info: (info.place, info.action))}
        self.actions = tuple(self._infos)
        self._guards = {operation: info.action for info in self for operation in sorted(info.guards)}
        self._gates = {
            channel: tuple(info.action for info in self if channel in info.opens)
            for channel in Channel
            if channel.value in _OPENED
        }

    def __iter__(self) -> Iterator[ActionInfo]:
        """Each action with what is said of it."""
        return iter(self._infos.values())

    def __contains__(self, action: object) -> bool:
        """Is there such an action?"""
        return action in self._infos

    def __getitem__(self, action: str) -> ActionInfo:
        """What is said of an action; raises KeyError where there is none."""
        return self._infos[Action(action)]

    def guard_of(self, operation: Operation) -> Action | None:
        """What an actor must hold for an operation; None where no action guards it, so that nobody may."""
        return self._guards.get(operation)

    def gates_of(self, channel: Channel) -> tuple[Action, ...] | None:
        """What a user must hold beside an action in a channel; None for one that is open to everybody."""
        return self._gates.get(channel)

    def limit_rules(self) -> list[list[str]]:
        """The marks as rules for Casbin: everything may be given to invited users and done in the app but for these."""
        rules = [[INVITED, "*", "*", "allow"], *([subject, "*", "*", "allow"] for subject in _CHANNELS.values())]
        for info in self:
            if info.owner_only:
                rules.append([INVITED, "*", info.action, "deny"])
            if info.not_mobile:
                rules.append([_CHANNELS[Channel.MOBILE], "*", info.action, "deny"])
        return rules


def in_order(*catalogues: Catalogue) -> tuple[Action, ...]:
    """The actions of all, each in the place that the first catalogue gives it which knows it."""
    places = {info.action: info.place for catalogue in reversed(catalogues) for info in catalogue}
    return tuple(sorted(places, key=lambda action: (places[action], action)))


def limit_of(channel: Channel) -> str | None:
    """The subject whose rules say what can be done in a channel; None for one without limits."""
    return _CHANNELS.get(channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoFault:
    """What is wrong with an ``a`` row: the field it stands in, in words."""

    field: int
    text: str


def info_faults(values: tuple[str, ...]) -> Iterator[InfoFault]:
    """Everything wrong with the fields of an ``a`` row, of which there are four."""
    action, place, _, told = values
    if not ACTION.fullmatch(action):
        yield InfoFault(field=1, text=f"{action!r} is not two words of a-z 0-9 _ joined by a colon")
    if not _PLACE.fullmatch(place):
        yield InfoFault(field=2, text=f"{place!r} is not a place and a group, a number from 1 to 9999 and a word")
    yield from (InfoFault(field=4, text=text) for text in _told_faults(told))


def title_of(told: str) -> str:
    """What an action is called, from the last field of its row."""
    return told.partition("|")[0].strip()


def info_of(values: tuple[str, ...]) -> ActionInfo:
    """What a sound ``a`` row says."""
    action, place, _, told = values
    number, _, group = place.partition(" ")
    title, sentence, *rest = (part.strip() for part in told.split("|"))
    marks = "".join(rest).split()
    named: dict[str, list[str]] = {kind: [] for kind in _NAMING}
    for mark in marks:
        kind, _, name = mark.partition("=")
        if kind in named:
            named[kind].append(name)
    return ActionInfo(
        action=Action(action),
        place=int(number),
        group=group,
        title=title,
        sentence=sentence,
        owner_only="owner-only" in marks,
        not_mobile="not-mobile" in marks,
        headline="headline" in marks,
        deprecated="deprecated" in marks or bool(named["replaced-by"]),
        replaced_by=Action(named["replaced-by"][0]) if named["replaced-by"] else None,
        needs=tuple(map(Action, named["needs"])),
        guards=frozenset(map(Operation, named["guards"])),
        opens=frozenset(map(Channel, named["opens"])),
    )


def _told_faults(told: str) -> Iterator[str]:
    parts = [part.strip() for part in told.split("|")]
    if len(parts) not in (2, 3):
        yield f"TITLE | SENTENCE or TITLE | SENTENCE | MARKS is to stand here, not {len(parts)} parts"
        return
    for name, text, most in (("title", parts[0], _MOST_TITLE), ("sentence", parts[1], _MOST_SENTENCE)):
        if not text:
            yield f"the {name} is empty"
        elif len(text) > most:
            yield f"the {name} has {len(text)} characters, of {most} at most"
        elif fault := line_fault(text):
            yield f"the {name} {fault}"
    marks = parts[2].split() if len(parts) == 3 else []
    if len(marks) > _MOST_MARKS:
        yield f"there are {len(marks)} marks, of {_MOST_MARKS} at most"
        return
    for mark in marks:
        if fault := _mark_fault(mark):
            yield fault
    if len(set(marks)) < len(marks):
        yield "a mark stands twice"
    if sum(mark.startswith("replaced-by=") for mark in marks) > 1:
        yield "an action is replaced by one other at most"


def _mark_fault(mark: str) -> str | None:
    kind, equals, name = mark.partition("=")
    if kind in _ALONE and not equals:
        return None
    if kind in ("needs", "replaced-by"):
        return None if ACTION.fullmatch(name) else f"{kind}={name[:64]!r} names no action"
    if kind == "guards":
        return None if name in _GUARDED else f"guards={name[:64]!r} is none of {', '.join(Operation)}"
    if kind == "opens":
        return None if name in _OPENED else f"opens={name[:64]!r} is not {', '.join(_OPENED)}"
    known = ", ".join([*_ALONE, *(f"{each}=…" for each in _NAMING)])
    return f"{mark[:64]!r} is none of the marks {known}"
