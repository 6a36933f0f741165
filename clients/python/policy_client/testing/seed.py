"""The built-in policy of a fake from a seed file of one's own, as ops change it.

Reads the form of ``policies/seed.csv`` and refuses, with its line, what the service would refuse too; ``policy-service
seed lint`` says more. Callers' rights, which the fake gives to everybody, are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy_client.testing.rules import ACTIONS, OWNER, OWNER_ONLY, BuiltIn, Rule

_ROLE: Final = re.compile(r"role:[a-z][a-z0-9_-]{0,63}", re.ASCII)
_EFFECTS: Final = ("allow", "deny")
_CALLERS: Final = "system"


def read_seed(path: str | Path) -> BuiltIn:
    """The built-in roles in a file. Raises ValueError that names each line at fault, and OSError."""
    rules: list[Rule] = []
    faults: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    for line in _lines(Path(path).read_text(encoding="utf-8")):
        first = seen.setdefault(line.fields, line.number)
        if fault := _fault(line.fields):
            faults.append(f"{path}:{line.number}: {fault}")
        elif first != line.number:
            faults.append(f"{path}:{line.number}: the same row stands in line {first}")
        elif line.fields[0] == "p" and line.fields[2] != _CALLERS:
            rules.append(Rule(*line.fields[1:]))
    if not faults and not any(rule.subject == f"role:{OWNER}" and rule.effect == "allow" for rule in rules):
        faults.append(f"{path}: no row allows role:{OWNER} anything, so nobody could do anything in a new account")
    if faults:
        raise ValueError("\n".join(faults))
    return BuiltIn.of(rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    fields: tuple[str, ...]


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip(" \t\r")
        if words and not words.startswith("#"):
            yield _Line(number=number, fields=tuple(field.strip(" \t") for field in words.split(",")))


def _fault(fields: tuple[str, ...]) -> str | None:
    kind, *values = fields
    if kind == "g":
        return (
            None if len(values) == 3 and values[2] == _CALLERS else "a g row of a seed is g, service:…, role:…, system"
        )
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
    if action != "*" and action not in ACTIONS:
        return f"{action!r} is no known action"
    if effect == "allow" and subject != f"role:{OWNER}" and action in ("*", *OWNER_ONLY):
        return f"{subject} can be given to invited users, who may never hold {', '.join(sorted(OWNER_ONLY))}"
    return None
