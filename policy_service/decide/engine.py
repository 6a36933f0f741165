"""One account's rows → Casbin → decisions, each remembered for as long as its rows hold.

A ``Basis`` is the model and the built-in rules; an ``Account`` is one
physician's rows on a basis. Neither ever changes: a change of rows makes a new
object, so that there is nothing to invalidate and a remembered answer equals a
fresh one. Nothing here awaits or reads the database.
"""

import threading
import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import casbin

from policy_service.decide.model import Model, over
from policy_service.vocabulary import (
    ANY,
    SYSTEM_DOMAIN,
    Action,
    Channel,
    Effect,
    Outcome,
    Physician,
    Reason,
    Role,
    Row,
    User,
    domain_of,
    grant_row,
    name_in,
    subject_of_role,
    subject_of_service,
    subject_of_user,
)

Grants = tuple[tuple[str, str], ...]
Rules = tuple[tuple[str, str, str], ...]
_Fields = TypeVar("_Fields", bound=tuple[str, ...])

SLOTS: Final[dict[Channel, dict[str, int]]] = {
    channel: {action: len(Channel) * place + number for place, action in enumerate(Action)}
    for number, channel in enumerate(Channel)
}
"""Where an account keeps its answer to (action, channel)."""
_NOTHING: Final = chr(0) * (len(Action) * len(Channel))
_STRANGER: Final = "user:?"  # Outside the grammar of usernames, so nobody's name.


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
class _Verdict:
    """Casbin's answer to one question, and the rule that it named."""

    allowed: bool
    rule: tuple[str, str, str, str] | None


class Basis:
    """The vetted model and the built-in rows; keeps the enforcers of accounts asked about lately."""

    def __init__(self, model: Model, rows: Iterable[Row], *, most_enforcers: int = 200) -> None:
        """Take the rows of domains ``*`` and ``system``."""
        self.rows = tuple(rows)
        self._model = model
        self._rules = [list(row.values) for row in self.rows if row.ptype == "p" and row.domain == ANY]
        self.roles = tuple(sorted({Role(name_in(rule[0])) for rule in self._rules if rule[0].startswith("role:")}))
        # One lock for all of Casbin: an enforcer's role manager is not safe to share, and asking is pure Python.
        self._asking = threading.Lock()
        self._most_enforcers = most_enforcers
        self._enforcers: OrderedDict[Physician, tuple[Account, casbin.Enforcer]] = OrderedDict()
        self.outcomes: list[Outcome | None] = [None]
        """Every outcome there is; the first stands for "not asked yet"."""
        self._places: dict[Outcome, int] = {}
        self._callers = self._system_enforcer()
        self._caller_rights: dict[tuple[str, str], bool] = {}

    def ask(self, account: "Account", subject: str, action: str) -> _Verdict:
        """Ask Casbin, making the account's enforcer if it is not at hand.

        It looks at the built-in rules and at those of the account that can match:
        what an answer costs does not grow with what others may do there.
        """
        with self._asking:
            # By name, so that an account's next state takes the place of the one before.
            entry = self._enforcers.get(account.physician)
            if entry is None or entry[0] is not account:
                entry = self._enforcers[account.physician] = account, self._account_enforcer(account)
                if len(self._enforcers) > self._most_enforcers:
                    self._enforcers.popitem(last=False)
            self._enforcers.move_to_end(account.physician)
            rules = self._rules + account.rules_about(subject, action)
            allowed, rule = over(entry[1], rules).enforce_ex(subject, account.domain, action)
        # A breath: lists and explanations ask thousands of questions, and whoever waits for Python's lock, a Check
        # above all, would wait five milliseconds for each of those who ask.
        time.sleep(0)
        return _Verdict(allowed is True, tuple(rule) if rule else None)

    def place_of(self, outcome: Outcome) -> int:
        """Where an outcome stands in ``outcomes``, added if it is new."""
        place = self._places.get(outcome)
        if place is None:
            with self._asking:
                place = self._places.setdefault(outcome, len(self.outcomes))
                if place == len(self.outcomes):
                    self.outcomes.append(outcome)
        return place

    def caller_may(self, service: str, method: str) -> bool:
        """May this calling service call ``Service/Method``? Casbin decides, in domain system.

        ``method`` must be one that exists, and ``service`` authenticated, so
        that the remembered answers are few.
        """
        remembered = self._caller_rights.get((service, method))
        if remembered is None:
            if self._callers is None:
                return False
            with self._asking:
                remembered = self._callers.enforce(subject_of_service(service), SYSTEM_DOMAIN, method) is True
            self._caller_rights[service, method] = remembered
        return remembered

    def caller_grounds(self, service: str, method: str) -> tuple[Row, ...]:
        """The rows behind ``caller_may``: the grants on the way to the rule that Casbin names, and it, if any."""
        if self._callers is None:
            return ()
        subject = subject_of_service(service)
        with self._asking:
            _, rule = self._callers.enforce_ex(subject, SYSTEM_DOMAIN, method)
        if not rule:
            return ()
        way = _way(self._held_by_caller, subject, rule[0])
        return (*(grant_row(holder, role, SYSTEM_DOMAIN) for holder, role in way), Row(ptype="p", values=tuple(rule)))

    def _held_by_caller(self, subject: str) -> tuple[Role, ...]:
        grants = (row.values for row in self.rows if row.ptype == "g" and row.domain == SYSTEM_DOMAIN)
        return tuple(Role(name_in(role)) for holder, role, _ in grants if holder == subject)

    def _account_enforcer(self, account: "Account") -> casbin.Enforcer:
        grants = [[subject, role, account.domain] for subject, role in account.grants]
        return self._model.enforcer(self._rules, grants)

    def _system_enforcer(self) -> casbin.Enforcer | None:
        system = [row for row in self.rows if row.domain == SYSTEM_DOMAIN]
        rules = [list(row.values) for row in system if row.ptype == "p"]
        return self._model.enforcer(rules, [list(row.values) for row in system if row.ptype == "g"]) if rules else None


class Account:
    """One physician's rows: grants (subject, role) and rules (subject, action, effect), in Casbin's spelling."""

    __slots__ = ("_basis", "grants", "physician", "remembered", "rules")

    def __init__(self, basis: Basis, physician: Physician, grants: Grants, rules: Rules) -> None:
        """``grants`` and ``rules`` must be sorted and without repeats, as ``of_rows`` makes them."""
        self._basis = basis
        self.physician = physician
        self.grants = grants
        self.rules = rules
        self.remembered: dict[User | None, str] = {}
        """For each user asked about, and for all strangers together (None), a character for each slot: the place of
        the outcome in ``Basis.outcomes``. A dictionary of strings costs the garbage collector nothing."""

    @classmethod
    def of_rows(cls, basis: Basis, physician: Physician, rows: Iterable[Row]) -> "Account":
        """An account from its rows in any order."""
        grants, rules = set(), set()
        for row in rows:
            if row.ptype == "g":
                grants.add((row.values[0], row.values[1]))
            else:
                rules.add((row.values[0], row.values[2], row.values[3]))
        return cls(basis, physician, tuple(sorted(grants)), tuple(sorted(rules)))

    def on(self, basis: Basis) -> "Account":
        """The same rows on another basis, nothing remembered."""
        return Account(basis, self.physician, self.grants, self.rules)

    @property
    def domain(self) -> str:
        """The account's Casbin domain."""
        return domain_of(self.physician)

    def outcome(self, user: User, action: Action, channel: Channel) -> Outcome:
        """May the user do this here? Remembered, or asked of Casbin once."""
        slot = SLOTS[channel][action]
        known = self.remembered.get(user)
        key: User | None = user
        if known is None:
            # All strangers share one memory: the vetted model sees names only through g() and equality
            # with policy values, so Casbin's answer about one name without rows is that about another.
            key = user if self._is_named(subject_of_user(user)) else None
            known = self.remembered.get(key, _NOTHING)
        outcome = self._basis.outcomes[ord(known[slot])]
        if outcome is None:
            outcome = self._decide(user, action, channel).outcome
            # Another thread may remember something at the same time, and one of the two be asked again: no harm.
            self.remembered[key] = known[:slot] + chr(self._basis.place_of(outcome)) + known[slot + 1 :]
        return outcome

    def explain(self, user: User, action: Action, channel: Channel) -> Explanation:
        """The outcome with its grounds, or with what was missing, asked of Casbin now."""
        found = self._decide(user, action, channel)
        if found.outcome.allowed or found.rule is not None:
            return found
        wanted = Action.APP_MOBILE if found.outcome.reason is Reason.CHANNEL_NOT_ALLOWED else action
        roles = sorted({*self._basis.roles, *self.custom_roles()})
        able = tuple(role for role in roles if self._basis.ask(self, subject_of_role(role), wanted).allowed)
        return replace(found, missing=Missing(action=wanted, roles=able))

    def rules_about(self, subject: str, action: str) -> list[list[str]]:
        """The rules here that can match, as Casbin takes them: about the action, of the subject or a role of theirs.

        The vetted model looks at a rule through ``g()`` and through equality of actions, so that no other matches.
        """
        return [
            [holder, self.domain, about, effect]
            for one in sorted(self.reached(subject))
            for holder, about, effect in self.rules_of(one)
            if about in (action, ANY)
        ]

    def reached(self, subject: str) -> set[str]:
        """A subject with every role that grants lead to from it."""
        reached, waiting = {subject}, [subject]
        while waiting:
            for _, role in _of(self.grants, waiting.pop()):
                if role not in reached:
                    reached.add(role)
                    waiting.append(role)
        return reached

    def grants_of(self, subject: str) -> Iterator[tuple[str, str]]:
        """A subject's own grants, in byte order."""
        return _of(self.grants, subject)

    def rules_of(self, subject: str) -> Iterator[tuple[str, str, str]]:
        """A subject's own rules, in byte order."""
        return _of(self.rules, subject)

    def names(self, user: User) -> bool:
        """Has the user a grant or a rule here?"""
        return self._is_named(subject_of_user(user))

    def defines(self, role: Role) -> bool:
        """Has the role rules or included roles of its own here?"""
        return self._is_named(subject_of_role(role))

    def roles_of(self, user: User) -> tuple[Role, ...]:
        """Every role that the user holds directly here."""
        return self._held_by(subject_of_user(user))

    def subjects(self) -> list[str]:
        """Everyone whom a grant or a rule here names, in Casbin's spelling and byte order: users, not roles."""
        named = {subject for subject, *_ in (*self.grants, *self.rules)}
        return sorted(subject for subject in named if subject.startswith("user:"))

    def users(self) -> Iterator[User]:
        """The same in plain names."""
        return (User(name_in(subject)) for subject in self.subjects())

    def custom_roles(self) -> tuple[Role, ...]:
        """The roles that have rules or included roles of their own here, in byte order."""
        named = {subject for subject, *_ in (*self.grants, *self.rules)}
        return tuple(Role(name_in(subject)) for subject in sorted(named) if subject.startswith("role:"))

    def _decide(self, user: User, action: Action, channel: Channel) -> Explanation:
        subject = subject_of_user(user)
        if not self._is_named(subject):
            subject = _STRANGER
        verdict = self._basis.ask(self, subject, action)
        if not verdict.allowed:
            if verdict.rule is not None:
                return self._explanation(subject, Reason.DENIED_BY_RULE, verdict)
            return self._explanation(
                subject, Reason.NOT_GRANTED if self._held_by(subject) else Reason.NOT_A_MEMBER, verdict
            )
        if channel is Channel.MOBILE:
            mobile = self._basis.ask(self, subject, Action.APP_MOBILE)
            if not mobile.allowed:
                return self._explanation(subject, Reason.CHANNEL_NOT_ALLOWED, mobile)
        return self._explanation(subject, Reason.GRANTED, verdict)

    def _explanation(self, subject: str, reason: Reason, verdict: _Verdict) -> Explanation:
        rule: Rule | None = None
        path: tuple[tuple[str, Role], ...] = ()
        if verdict.rule is not None:
            target, domain, action, effect = verdict.rule
            place = ANY if domain == ANY else name_in(domain)
            rule = Rule(subject=target, physician=place, action=action, effect=Effect(effect))
            path = _way(self._held_by, subject, target)
        return Explanation(
            outcome=Outcome(allowed=reason is Reason.GRANTED, reason=reason, role=path[0][1] if path else None),
            roles=self._held_by(subject),
            path=path,
            rule=rule,
        )

    def _held_by(self, subject: str) -> tuple[Role, ...]:
        return tuple(Role(name_in(role)) for _, role in _of(self.grants, subject))

    def _is_named(self, subject: str) -> bool:
        return _begins(self.grants, subject) or _begins(self.rules, subject)


def _of(rows: tuple[_Fields, ...], subject: str) -> Iterator[_Fields]:
    """A sorted table's rows of this subject."""
    for place in range(bisect_left(rows, (subject,)), len(rows)):
        if rows[place][0] != subject:
            break
        yield rows[place]


def _begins(rows: tuple[tuple[str, ...], ...], subject: str) -> bool:
    """Does a sorted table have a row of this subject?"""
    return next(_of(rows, subject), None) is not None


def _way(held_by: Callable[[str], tuple[Role, ...]], subject: str, target: str) -> tuple[tuple[str, Role], ...]:
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
