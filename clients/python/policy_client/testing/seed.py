"""The built-in policy of a fake from a seed file of one's own, as ops change it.

Reads the form of ``policies/seed.csv`` and refuses, with its line, what the service would refuse too; ``policy-service
seed lint`` says more. Callers' rights, which the fake gives to everybody, are passed over.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy_client.answers import ActionInfo
from policy_client.testing.rules import OWNER, BuiltIn, Rule, Told

_ROLE: Final = re.compile(r"role:[a-z][a-z0-9_-]{0,63}", re.ASCII)
_EFFECTS: Final = ("allow", "deny")
_CALLERS: Final = "system"
_ACTION: Final = re.compile(r"(?=.{3,64}\Z)[a-z][a-z0-9_]*:[a-z][a-z0-9_]*", re.ASCII)
_PLACE: Final = re.compile(r"([1-9][0-9]{0,3}) ([a-z][a-z0-9_]{0,31})", re.ASCII)
_FIELDS_OF_AN_ACTION: Final = 4
"""After the row's type; what people read, the last, goes on to the line's end."""


def read_seed(path: str | Path) -> BuiltIn:
    """The built-in roles in a file. Raises ValueError that names each line at fault, and OSError."""
    rules: list[Rule] = []
    told: list[Told] = []
    faults: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    lines = list(_lines(Path(path).read_text(encoding="utf-8")))
    known = {line.fields[1]: "owner-only" in line.fields[-1].split() for line in lines if _is_action(line.fields)}
    for line in lines:
        first = seen.setdefault(line.fields, line.number)
        if fault := _fault(line.fields, known):
            faults.append(f"{path}:{line.number}: {fault}")
        elif first != line.number:
            faults.append(f"{path}:{line.number}: the same row stands in line {first}")
        elif line.fields[0] == "p" and line.fields[2] != _CALLERS:
            rules.append(Rule(*line.fields[1:]))
        elif line.fields[0] == "a":
            told.append(_told(line.fields))
    if not faults and not any(rule.subject == f"role:{OWNER}" and rule.effect == "allow" for rule in rules):
        faults.append(f"{path}: no row allows role:{OWNER} anything, so nobody could do anything in a new account")
    if faults:
        raise ValueError("\n".join(faults))
    return BuiltIn.of(rules, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    fields: tuple[str, ...]


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip(" \t\r")
        if words and not words.startswith("#"):
            most = _FIELDS_OF_AN_ACTION if words.partition(",")[0].strip() == "a" else -1
            yield _Line(number=number, fields=tuple(field.strip(" \t") for field in words.split(",", most)))


def _is_action(fields: tuple[str, ...]) -> bool:
    return fields[0] == "a" and len(fields) == _FIELDS_OF_AN_ACTION + 1


def _told(fields: tuple[str, ...]) -> Told:
    _, action, place, _, words = fields
    number, _, group = place.partition(" ")
    title, sentence, *rest = (part.strip() for part in words.split("|"))
    marks = "".join(rest).split()

    def named(kind: str) -> tuple[str, ...]:
        return tuple(mark.removeprefix(f"{kind}=") for mark in marks if mark.startswith(f"{kind}="))

    info = ActionInfo(
        action=action,
        title=title,
        sentence=sentence,
        group=group,
        owner_only="owner-only" in marks,
        not_mobile="not-mobile" in marks,
        deprecated="deprecated" in marks or bool(named("replaced-by")),
        replaced_by=next(iter(named("replaced-by")), None),
        needs=named("needs"),
        headline="headline" in marks,
    )
    return Told(place=int(number), info=info, guards=named("guards"), opens_mobile="mobile" in named("opens"))


def _fault(fields: tuple[str, ...], known: Mapping[str, bool]) -> str | None:
    kind, *values = fields
    if kind == "g":
        return (
            None if len(values) == 3 and values[2] == _CALLERS else "a g row of a seed is g, service:…, role:…, system"
        )
    if kind == "a":
        if not _is_action(fields) or not _ACTION.fullmatch(values[0]) or not _PLACE.fullmatch(values[1]):
            return "an a row is a, ACTION, PLACE GROUP, *, TITLE | SENTENCE | MARKS"
        return None if values[3].count("|") in (1, 2) and values[2] == "*" else "it says TITLE | SENTENCE | MARKS"
    if kind != "p" or len(values) != 4:
        return "a row is p, role:NAME, *, ACTION, allow or deny"
    subject, domain, action, effect = values
    if not _ROLE.fullmatch(subject):
        return f"{subject!r} is not role:NAME"
    if effect not in _EFFECTS:
        return f"{effect!r} is neither allow nor deny"
    if domain == _CALLERS:
        return None
    if domain != "*":
        return f"{domain!r} is neither * nor {_CALLERS}"
    if action != "*" and action not in known:
        return f"{action!r} is no known action"
    if effect == "allow" and subject != f"role:{OWNER}" and (action == "*" or known[action]):
        alone = ", ".join(sorted(action for action, is_owners in known.items() if is_owners))
        return f"{subject} can be given to invited users, who may never hold {alone}"
    return None


SHIPPED: Final = read_seed(Path(__file__).with_name("seed.csv"))
"""The service's own seed, as it ships."""
