"""Questions whose answers must be right under any model: small policies, each with what it would mean if they were not.

A model is judged by what it decides, not by how it is spelt. Nothing here
knows Casbin: whoever asks brings something that enforces.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from policy_service.vocabulary import MAX_ROLE_CHAIN

Rules = list[list[str]]
Enforcing = Callable[[Rules, Rules], Any]
"""Rules and grants → something with ``enforce(subject, domain, action)``."""

_A: Final = "physician:a"
_B: Final = "physician:b"
_VIEW: Final = "probe:view"
_PAY: Final = "probe:pay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A policy, a question and its one right answer; ``meaning`` is what a wrong one would do to people."""

    name: str
    rules: tuple[str, ...]
    grants: tuple[str, ...] = ()
    asked: tuple[str, str, str] = ("user:t", _A, _VIEW)
    allowed: bool
    meaning: str


def failed(enforcing: Enforcing) -> Iterator[Probe]:
    """The probes that a model decides wrongly, in the order in which they are told."""
    return (probe for probe in PROBES if _decides(enforcing, probe) != probe.allowed)


def _decides(enforcing: Enforcing, probe: Probe) -> bool:
    found = enforcing(*([_fields(line) for line in lines] for lines in (probe.rules, probe.grants)))
    return found.enforce(*probe.asked) is True


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split(",")]


def wrong_alone(enforcing: Enforcing) -> str | None:
    """What is decided wrongly with one grant and one rule, of all such policies and questions; None: nothing."""
    users, domains, actions = ("user:t", "user:s", "role:s", ""), (_A, _B, ""), (_VIEW, _PAY, "")
    for subject, domain, action in itertools.product(("role:t", "user:t"), (_A, "*"), (_VIEW, "*")):
        if (subject, domain) == ("user:t", "*"):
            continue  # There is no such rule.
        found = enforcing([[subject, domain, action, "allow"]], [["user:t", "role:t", _A]])
        for question in itertools.product(users, domains, actions):
            # The grant is of one account, whatever the rule's domain is.
            may = question[:2] == ("user:t", _A) and action in (question[2], "*")
            must = may and question[2] == _VIEW and (domain, action) == (_A, _VIEW)
            allowed = found.enforce(*question)
            if (allowed and not may) or (must and not allowed):
                return (
                    f"with one grant and the rule {subject}, {domain}, {action}, the matcher decides {question} wrongly"
                )
    return None


_HELD: Final = (f"user:t, role:one, {_A}", f"user:t, role:two, {_A}")
_ALLOW_ONE: Final = f"role:one, {_A}, {_VIEW}, allow"
_DENY_TWO: Final = f"role:two, {_A}, {_VIEW}, deny"
_NOT_DENIED: Final = "what an owner denies to a custom role would be allowed all the same"
_LEAKS: Final = "somebody who works for one physician would act in another's account"
_CHAIN: Final = tuple(f"role:r{step}, role:r{step + 1}, {_A}" for step in range(1, MAX_ROLE_CHAIN))

PROBES: Final = (
    Probe(
        name="a deny after an allow wins",
        rules=(_ALLOW_ONE, _DENY_TWO), grants=_HELD, allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="a deny before an allow wins",
        rules=(_DENY_TWO, _ALLOW_ONE), grants=_HELD, allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="a deny in one role wins over its own allow of everything",
        rules=(f"role:one, {_A}, *, allow", f"role:one, {_A}, {_VIEW}, deny"),
        grants=_HELD, allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="an account's deny wins over a built-in allow",
        rules=(f"role:one, *, {_VIEW}, allow", _DENY_TWO), grants=_HELD, allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="a built-in deny wins over an account's allow",
        rules=(_ALLOW_ONE, f"role:two, *, {_VIEW}, deny"), grants=_HELD, allowed=False,
        meaning="what the seed denies in every account would be allowed by an account's own role",
    ),
    Probe(
        name="a deny of everything wins",
        rules=(_ALLOW_ONE, f"role:two, {_A}, *, deny"), grants=_HELD, allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="a deny in an included role wins",
        rules=(_ALLOW_ONE, f"role:three, {_A}, {_VIEW}, deny"),
        grants=(*_HELD, f"role:one, role:three, {_A}"), allowed=False, meaning=_NOT_DENIED,
    ),
    Probe(
        name="a deny for one user wins",
        rules=(_ALLOW_ONE, f"user:t, {_A}, {_VIEW}, deny"), grants=_HELD, allowed=False,
        meaning="a user's own denial would be allowed by a role",
    ),
    Probe(
        name="a deny alone allows nothing",
        rules=(_DENY_TWO,), grants=_HELD, allowed=False, meaning="a rule that denies would allow",
    ),
    Probe(
        name="another's deny is nobody else's",
        rules=(_ALLOW_ONE, f"role:three, {_A}, {_VIEW}, deny"), grants=_HELD, allowed=True,
        meaning="whatever is denied to anybody would be denied to everybody",
    ),
    Probe(
        name="another account's deny is not this one's",
        rules=(_ALLOW_ONE, f"role:one, {_B}, {_VIEW}, deny"), grants=_HELD, allowed=True,
        meaning="what one account denies would be denied in others",
    ),
    Probe(
        name="a deny of another action is not of this one",
        rules=(_ALLOW_ONE, f"role:one, {_A}, {_PAY}, deny"), grants=_HELD, allowed=True,
        meaning="whoever is denied anything would be denied everything",
    ),
    Probe(
        name="a built-in rule holds in every account",
        rules=(f"role:one, *, {_VIEW}, allow",), grants=_HELD, allowed=True,
        meaning="built-in roles would allow nothing anywhere",
    ),
    Probe(
        name="a rule of every action allows each",
        rules=(f"role:one, {_A}, *, allow",), grants=_HELD, allowed=True, meaning="owners would be locked out",
    ),
    Probe(
        name="a user's own rule holds",
        rules=(f"user:t, {_A}, {_VIEW}, allow",), grants=_HELD, allowed=True,
        meaning="what is given to one user would not be theirs",
    ),
    Probe(
        name="a grant in one account is none in another",
        rules=(f"role:one, *, {_VIEW}, allow",), grants=_HELD, asked=("user:t", _B, _VIEW), allowed=False,
        meaning=_LEAKS,
    ),
    Probe(
        name="a role of one account is not its namesake of another",
        rules=(f"role:one, {_B}, {_VIEW}, allow",), grants=_HELD, allowed=False, meaning=_LEAKS,
    ),
    Probe(
        name="roles do not lead from one account into another",
        rules=(f"role:three, *, {_VIEW}, allow",), grants=(*_HELD, f"role:one, role:three, {_B}"), allowed=False,
        meaning=_LEAKS,
    ),
    Probe(
        name="a role held in an account is none of the callers'",
        rules=(f"role:one, system, {_VIEW}, allow",), grants=_HELD, allowed=False,
        meaning="people would have the rights of calling services",
    ),
    Probe(
        name="a callers' role is none in an account",
        rules=(f"role:one, *, {_VIEW}, allow",), grants=("service:t, role:one, system",),
        asked=("service:t", _A, _VIEW), allowed=False, meaning="calling services would have the rights of people",
    ),
    Probe(
        name="a user named like a role is not that role",
        rules=(f"role:one, {_A}, {_VIEW}, allow",), grants=_HELD, asked=("user:one", _A, _VIEW), allowed=False,
        meaning="a user would get the rights of a role by its name",
    ),
    Probe(
        name="a stranger is allowed nothing",
        rules=("role:one, *, *, allow",), grants=_HELD, asked=("user:s", _A, _VIEW), allowed=False,
        meaning="anybody at all would be let in",
    ),
    Probe(
        name="what no rule names is denied",
        rules=(_ALLOW_ONE,), grants=_HELD, asked=("user:t", _A, _PAY), allowed=False,
        meaning="actions that nobody allowed would be allowed",
    ),
    Probe(
        name="an empty question is denied",
        rules=("role:one, *, *, allow",), grants=_HELD, asked=("", "", ""), allowed=False,
        meaning="a question with nothing in it would be allowed",
    ),
    Probe(
        name="a question about every action is answered by no rule of one",
        rules=(f"role:one, {_A}, {_VIEW}, allow",), grants=_HELD, asked=("user:t", _A, "*"), allowed=False,
        meaning="a caller could ask with a wildcard and be allowed",
    ),
    Probe(
        name="part of an action's name is not the action",
        rules=(f"role:one, {_A}, {_VIEW}, allow",), grants=_HELD, asked=("user:t", _A, f"{_VIEW}_all"), allowed=False,
        meaning="names would be patterns",
    ),
    Probe(
        name="part of an account's name is not the account",
        rules=(f"role:one, *, {_VIEW}, allow",), grants=_HELD, asked=("user:t", f"{_A}b", _VIEW), allowed=False,
        meaning=_LEAKS,
    ),
    Probe(
        name="roles are followed as far as a chain may be",
        rules=(f"role:r{MAX_ROLE_CHAIN}, {_A}, {_VIEW}, allow",), grants=(f"user:t, role:r1, {_A}", *_CHAIN),
        allowed=True, meaning="a role that includes roles would not hold",
    ),
    Probe(
        name="a circle of roles ends",
        rules=(_ALLOW_ONE,),
        grants=(f"user:t, role:two, {_A}", f"role:two, role:three, {_A}", f"role:three, role:two, {_A}"),
        allowed=False, meaning="roles that include each other would allow what none of them allows",
    ),
)  # fmt: skip
