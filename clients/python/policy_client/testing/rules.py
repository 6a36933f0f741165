"""The policy as plain sets: what follows from an account's rows and the built-in roles.

The same answers as the real service's, whose Casbin decides them. Subjects are
spelt as there: ``user:NAME`` and ``role:NAME``.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from policy_client.answers import ActionInfo
from policy_client.testing.refusals import refuse

OWNER: Final = "owner"
MAX_ROLE_CHAIN: Final = 8

Row = tuple[str, ...]
"""A grant (subject, role) or a rule (subject, action, effect)."""


class Rule(NamedTuple):
    """A rule with its place: the physician, or ``*`` for a built-in one."""

    subject: str
    place: str
    action: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An action as the seed tells it: what a page shows, what it guards, and which channel it opens."""

    place: int
    info: ActionInfo
    guards: tuple[str, ...] = ()
    opens_mobile: bool = False


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The roles that every account has, and the actions that there are."""

    rules: tuple[Rule, ...]
    roles: tuple[str, ...]
    """Their names, in byte order."""
    told: tuple[Told, ...]
    """In the order of lists."""

    @classmethod
    def of(cls, rules: Iterable[Rule], told: Iterable[Told]) -> "BuiltIn":
        """The roles that these rules make."""
        ordered = tuple(sorted(rules))
        roles = tuple(sorted({rule.subject[5:] for rule in ordered}))
        return cls(ordered, roles, tuple(sorted(told, key=lambda one: one.place)))

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action that there is."""
        return tuple(one.info.action for one in self.told)

    @property
    def owner_only(self) -> frozenset[str]:
        """What no invited user may hold."""
        return frozenset(one.info.action for one in self.told if one.info.owner_only)

    @property
    def gates(self) -> tuple[str, ...]:
        """What one must hold beside an action in the mobile app."""
        return tuple(one.info.action for one in self.told if one.opens_mobile)

    def guard_of(self, method: str) -> str | None:
        """What one must hold to call a method of Manage Users; None where nobody may."""
        return next((one.info.action for one in self.told if method in one.guards), None)

    def is_done_in_the_app(self, action: str) -> bool:
        """Can it be done there at all?"""
        return not any(one.info.action == action and one.info.not_mobile for one in self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An answer with its grounds."""

    reason: str
    path: tuple[tuple[str, str], ...] = ()
    rule: Rule | None = None

    @property
    def allowed(self) -> bool:
        """Is the answer yes?"""
        return self.reason == "GRANTED"

    @property
    def role(self) -> str | None:
        """The role that the user holds, through which the rule applies."""
        return self.path[0][1] if self.path else None


@dataclass(frozen=True, slots=True)
class Account:
    """One physician's account."""

    physician: str
    rows: frozenset[Row]
    built_in: BuiltIn

    def find(self, user: str, action: str, *, mobile: bool = False) -> Finding:
        """May the user do this here, and why?"""
        subject = f"user:{user}"
        rule = self._deciding(subject, action)
        if rule is None:
            return Finding(reason="NOT_GRANTED" if self.roles_of(user) else "NOT_A_MEMBER")
        reason = "GRANTED"
        if rule.effect == "deny":
            reason = "DENIED_BY_RULE"
        elif mobile:
            gates = self.built_in.gates
            if not gates or not self.built_in.is_done_in_the_app(action):
                reason, rule = "CHANNEL_NOT_ALLOWED", None
            for gate in gates if rule else ():
                through = self._deciding(subject, gate)
                if through is None or through.effect == "deny":
                    reason, rule = "CHANNEL_NOT_ALLOWED", through
                    break
        return Finding(reason=reason, path=self._path(subject, rule.subject) if rule else (), rule=rule)

    def may(self, user: str, action: str) -> bool:
        """May the user do this here?"""
        return self.find(user, action).allowed

    def allowed_by(self, role: str) -> frozenset[str]:
        """Everything that a role allows here in the end."""
        deciding = {action: self._deciding(f"role:{role}", action) for action in self.built_in.actions}
        return frozenset(action for action, rule in deciding.items() if rule and rule.effect == "allow")

    def roles_of(self, user: str) -> tuple[str, ...]:
        """Every role that the user holds directly, in byte order."""
        return self._held_by(f"user:{user}")

    def users(self) -> tuple[str, ...]:
        """Everyone who holds something here, in byte order."""
        return tuple(sorted({row[0][5:] for row in self.rows if row[0].startswith("user:")}))

    def custom_roles(self) -> tuple[str, ...]:
        """The roles defined here, in byte order."""
        return tuple(sorted({row[0][5:] for row in self.rows if row[0].startswith("role:")}))

    def of(self, subject: str) -> frozenset[Row]:
        """The rows of a subject."""
        return frozenset(row for row in self.rows if row[0] == subject)

    def with_rows(self, rows: Iterable[Row]) -> "Account":
        """The account with other rows. Refuses roles that include each other too deeply or in a circle."""
        after = Account(self.physician, frozenset(rows), self.built_in)
        for subject in {row[0] for row in after._grants()}:
            after._refuse_long_chain((subject,))
        return after

    def _deciding(self, subject: str, action: str) -> Rule | None:
        """The rule that decides for a subject: the first denying one, or else the last in Casbin's order."""
        reached = self._reached(subject)
        own = sorted(Rule(row[0], self.physician, *row[1:]) for row in self.rows if len(row) == 3)
        matching = [
            rule for rule in (*self.built_in.rules, *own) if rule.subject in reached and rule.action in (action, "*")
        ]
        return next((rule for rule in matching if rule.effect == "deny"), matching[-1] if matching else None)

    def _grants(self) -> Iterator[Row]:
        return (row for row in self.rows if len(row) == 2)

    def _held_by(self, subject: str) -> tuple[str, ...]:
        return tuple(sorted(row[1][5:] for row in self._grants() if row[0] == subject))

    def _reached(self, subject: str) -> set[str]:
        reached, waiting = {subject}, [subject]
        while waiting:
            found = {f"role:{role}" for role in self._held_by(waiting.pop())} - reached
            reached |= found
            waiting += found
        return reached

    def _path(self, subject: str, target: str) -> tuple[tuple[str, str], ...]:
        """The shortest chain of grants from subject to target."""
        waiting: deque[tuple[str, tuple[tuple[str, str], ...]]] = deque([(subject, ())])
        while waiting:
            here, path = waiting.popleft()
            if here == target:
                return path
            waiting += [(f"role:{role}", (*path, (here, role))) for role in self._held_by(here)]
        return ()

    def _refuse_long_chain(self, chain: tuple[str, ...]) -> None:
        if chain[-1] in chain[:-1] or len(chain) - 1 > MAX_ROLE_CHAIN:
            refuse("ROLE_CHAIN_TOO_LONG", physician=self.physician, chain=chain, longest=MAX_ROLE_CHAIN)
        for role in self._held_by(chain[-1]):
            self._refuse_long_chain((*chain, f"role:{role}"))
