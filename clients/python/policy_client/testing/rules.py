"""The policy as plain sets: what follows from an account's rows and the built-in roles.

The same answers as the real service's, whose Casbin decides them. Subjects are
spelt as there: ``user:NAME`` and ``role:NAME``.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from policy_client.testing.refusals import refuse

ACTIONS: Final = (
    "claim:view",
    "claim:save",
    "claim:submit",
    "claim:delete",
    "report:generate",
    "report:patient_details",
    "invoice:view",
    "invoice:pay",
    "user:list",
    "user:invite",
    "user:edit",
    "user:revoke",
    "app:mobile",
)
OWNER_ONLY: Final = frozenset({"user:invite", "user:edit", "user:revoke", "app:mobile"})
"""What no invited user may hold."""
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


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The roles that every account has."""

    rules: tuple[Rule, ...]
    roles: tuple[str, ...]
    """Their names, in byte order."""

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "BuiltIn":
        """The roles that these rules make."""
        ordered = tuple(sorted(rules))
        return cls(ordered, tuple(sorted({rule.subject[5:] for rule in ordered})))


SHIPPED: Final = BuiltIn.of(
    Rule(f"role:{role}", "*", action, "allow")
    for role, actions in {
        "administrator": frozenset(ACTIONS) - OWNER_ONLY,
        "data_entry": {"claim:view", "claim:save", "claim:submit", "claim:delete"},
        "financial_viewer": {"claim:view", "report:generate", "report:patient_details", "invoice:view", "invoice:pay"},
        OWNER: {"*"},
    }.items()
    for action in actions
)
"""Those of the service's own seed."""


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
    built_in: BuiltIn = SHIPPED

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
            through = self._deciding(subject, "app:mobile")
            if through is None or through.effect == "deny":
                reason, rule = "CHANNEL_NOT_ALLOWED", through
        return Finding(reason=reason, path=self._path(subject, rule.subject) if rule else (), rule=rule)

    def may(self, user: str, action: str) -> bool:
        """May the user do this here?"""
        return self.find(user, action).allowed

    def allowed_by(self, role: str) -> frozenset[str]:
        """Everything that a role allows here in the end."""
        deciding = {action: self._deciding(f"role:{role}", action) for action in ACTIONS}
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
