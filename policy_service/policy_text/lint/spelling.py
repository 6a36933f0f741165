"""Finds the word that was probably meant, and says how a field is mended."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final

from policy_service.policy_text.lines import Line
from policy_service.policy_text.lint.findings import Code
from policy_service.vocabulary import ACTION, ANY, SYSTEM_DOMAIN, Effect, Misfit, RowFault, row_fault

_PATTERN: Final = re.compile(r"[*?\[\](){}|^$\\%]")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_CLOSE: Final = 0.8
_MOST_COMPARED: Final = 60  # Bounds the time; a seed with more roles gets hints about the first.
_ROLE_GRAMMAR: Final = "write role:NAME; NAME is 1 to 64 of a-z 0-9 _ -, beginning with a letter"
_SERVICE_GRAMMAR: Final = "write service:NAME or role:NAME; NAME is 1 to 64 of A-Z a-z 0-9 . _ -"
_RULE: Final = (
    "write p, role:NAME, *, ACTION, allow|deny or, for callers, p, role:NAME, system, Service/Method, allow|deny"
)
_INFO: Final = "write a, ACTION, PLACE GROUP, *, TITLE | SENTENCE | MARKS"
_GRANT: Final = "write g, service:NAME, role:NAME, system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The names that a field can be a misspelling of: those in the sound rows of the file, and the contract's."""

    actions: tuple[str, ...]
    roles: tuple[str, ...]
    services: tuple[str, ...]
    methods: tuple[str, ...]
    contract: frozenset[str] | None

    @classmethod
    def of(cls, lines: Iterable[Line], contract: frozenset[str] | None) -> "Words":
        """The names in the rows that can be read."""
        names: set[str] = set()
        methods: set[str] = set(contract or ())
        actions: list[str] = []
        for line in lines:
            if len(line.fields) > 1 and folded(line.ptype) == "a":
                # Though something else be wrong with its row, this is an action that is meant to be.
                # What is outside the grammar goes into no hint.
                if ACTION.fullmatch(line.values[0]):
                    actions.append(line.values[0])
            elif line.fields and row_fault(line.ptype, line.values) is None:
                names.update(line.values)
                if contract is None and line.ptype == "p" and line.values[1] == SYSTEM_DOMAIN:
                    methods.add(line.values[2])
        return cls(
            actions=tuple(actions),
            roles=tuple(sorted(name for name in names if name.startswith("role:"))),
            services=tuple(sorted(name for name in names if name.startswith("service:"))),
            methods=tuple(sorted(methods - {ANY})),
            contract=contract,
        )


def folded(word: str) -> str:
    """What is the same word to a hasty reader: case, width and the joining character do not count."""
    return re.sub(r"[-_ ]", "_", unicodedata.normalize("NFKC", word).casefold())


def near(word: str, words: Iterable[str], *, close: float = _CLOSE) -> str | None:
    """The word that this one is a near miss of; one that differs only in case comes first."""
    known = {folded(each): str(each) for each in islice(words, _MOST_COMPARED)}
    found = [folded(word)] if folded(word) in known else get_close_matches(folded(word), known, n=1, cutoff=close)
    return known[found[0]] if found else None


def did_you_mean(word: str) -> str:
    """The hint for a near miss."""
    return f"did you mean {word!r}?"


def mend(fault: RowFault, line: Line, words: Words) -> tuple[Code, str]:
    """The code of a field's fault, and how to mend it."""
    text = line.fields[fault.field].text
    ptype = folded(line.ptype)
    grant = ptype == "g"
    match fault.misfit:
        case Misfit.ROW_TYPE:
            meant = near(text, ("p", "g", "a"))
            return Code.ROW_TYPE, did_you_mean(
                meant
            ) if meant else "a row begins with p (a rule), g (a grant) or a (an action)"
        case Misfit.FIELD_COUNT:
            return Code.FIELD_COUNT, _GRANT if grant else _INFO if ptype == "a" else _RULE
        case Misfit.EFFECT:
            meant = near(text, Effect)
            return Code.EFFECT, did_you_mean(meant) if meant else "write allow or deny"
        case Misfit.SUBJECT:
            return _subject(text, words, service_too=grant and fault.field == 1)
        case Misfit.DOMAIN:
            return _domain(text, ptype)
        case Misfit.ACTION:
            if ptype == "a":
                return (
                    Code.ACTION,
                    "an id is two words of a-z 0-9 _ joined by a colon: what it is done to, and what is done",
                )
            return (
                _method(text, words)
                if line.values[1] == SYSTEM_DOMAIN
                else (code_of_action(text), action_hint(text, words))
            )
        case Misfit.INFO:
            return Code.INFO, _INFO


def _subject(text: str, words: Words, *, service_too: bool) -> tuple[Code, str]:
    kind = text.partition(":")[0]
    if kind == "user":
        return Code.SUBJECT, "a user's roles are grants in an account (policy-service users); the seed names roles"
    if kind == "service" and not service_too:
        return Code.SUBJECT, "give the rule to a role, and the role to the service: g, service:NAME, role:NAME, system"
    if _PATTERN.search(text):
        return Code.PATTERN, "patterns mean nothing here: write a row for each role"
    grammar = _SERVICE_GRAMMAR if service_too else _ROLE_GRAMMAR
    if not text:
        return Code.SUBJECT, f"the field is empty: {grammar}"
    # A name that is right behind a prefix that is not is nobody else's.
    _, colon, name = text.partition(":")
    prefix = near(kind, ("role", "service") if service_too else ("role",)) if colon else None
    if prefix and prefix != kind and _NAME.fullmatch(name):
        return Code.SUBJECT, did_you_mean(f"{prefix}:{name}")
    known = (*words.services, *words.roles) if service_too else words.roles
    for guess in (text, f"role:{text}", f"service:{text}"):
        if meant := near(guess, known):
            return Code.SUBJECT, did_you_mean(meant)
    return Code.SUBJECT, f"{strange}; {grammar}" if (strange := _strange(text)) else grammar


def _domain(text: str, ptype: str) -> tuple[Code, str]:
    if ptype == "a":
        return Code.DOMAIN, "write *"
    if ptype == "g" and text == ANY:
        return Code.DOMAIN, "write system: the seed grants roles to calling services only, users get theirs in accounts"
    if _PATTERN.search(text):
        return Code.PATTERN, "patterns mean nothing here: * alone stands for every account"
    if folded(text) in ("all", "any", "every", ""):
        return Code.DOMAIN, "write * for every account"
    meant = near(text, (SYSTEM_DOMAIN,))
    return Code.DOMAIN, did_you_mean(meant) if meant else "write * for every account, system for callers' rights"


def code_of_action(action: str) -> Code:
    """The kind of fault that an action is, which there is not."""
    return Code.PATTERN if _PATTERN.search(action) and "/" not in action else Code.ACTION


def action_hint(text: str, words: Words) -> str:
    """How an action that there is not is mended."""
    of_kind = [action for action in words.actions if action.partition(":")[0] == text.partition(":")[0]]
    there_are = ", ".join(of_kind or words.actions) or "none: the seed has no a rows"
    if "/" in text:
        return "the rights to call methods belong to domain system"
    if _PATTERN.search(text):
        return f"patterns mean nothing here: write a row for each action ({there_are})"
    if meant := near(text, words.actions):
        return did_you_mean(meant)
    return f"there are {there_are}; a new one begins with a row of its own: {_INFO.removeprefix('write ')}"


def _method(text: str, words: Words) -> tuple[Code, str]:
    if text in words.actions:
        return Code.METHOD, "actions of users belong to domain *; in domain system a right is Service/Method"
    if _PATTERN.search(text):
        return Code.PATTERN, "patterns mean nothing here: write a row for each method"
    return Code.METHOD, method_hint(text, words)


def method_hint(text: str, words: Words) -> str:
    """How a method that cannot be is mended."""
    # The path of a call names the package too: /policy.v1.DecisionService/Check.
    for guess in (text, "/".join(re.split("[./]", text)[-2:])):
        if meant := near(guess, words.methods):
            return did_you_mean(meant)
    of_kind = [method for method in words.methods if method.partition("/")[0] == text.partition("/")[0]]
    return f"there are {', '.join(of_kind)}" if of_kind else "write Service/Method, as DecisionService/Check"


def _strange(text: str) -> str:
    """The first character that only looks like one of ours."""
    found = next((character for character in text if not character.isascii()), None)
    return f"{found!r} is {unicodedata.name(found, 'not a letter of ours')}" if found else ""
