"""What decided a question, or what was missing: values, and the way of grants that led to a rule."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from policy_service.vocabulary import Action, Effect, Outcome, Role, name_in, subject_of_role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line of policy, as explained to people: names without Casbin's domain prefix."""

    subject: str
    physician: str
    action: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What would have to be there: an action, and the roles that would bring it."""

    action: Action
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An outcome with what decided it, or what was missing."""

    outcome: Outcome
    roles: tuple[Role, ...] = ()
    path: tuple[tuple[str, Role], ...] = ()
    rule: Rule | None = None
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Casbin's answer to one question, and the rule that it named."""

    allowed: bool
    rule: tuple[str, str, str, str] | None


def way(held_by: Callable[[str], tuple[Role, ...]], subject: str, target: str) -> tuple[tuple[str, Role], ...]:
    """The shortest chain of grants from subject to target; empty where they are the same."""
    came_from: dict[str, str] = {}
    waiting = deque([subject])
    while waiting and target not in came_from:
        here = waiting.popleft()
        for role in held_by(here):
            there = subject_of_role(role)
            if there not in came_from and there != subject:
                came_from[there] = here
                waiting.append(there)
    steps: list[tuple[str, Role]] = []
    while target in came_from:
        steps.append((came_from[target], Role(name_in(target))))
        target = came_from[target]
    return tuple(reversed(steps))
