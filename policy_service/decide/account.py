"""One account's rows → Casbin → decisions, each remembered for as long as its rows hold.

An ``Account`` is one physician's rows on a basis. It never changes: a change of
rows makes a new object, so that there is nothing to invalidate and a remembered
answer equals a fresh one. Nothing here awaits or reads the database.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from policy_service.decide.engine import Basis
from policy_service.decide.explanation import Explanation, Missing, Rule, Verdict, way
from policy_service.vocabulary import (
    ANY,
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
    name_in,
    subject_of_role,
    subject_of_user,
)

Grants = tuple[tuple[str, str], ...]
Rules = tuple[tuple[str, str, str], ...]
_Fields = TypeVar("_Fields", bound=tuple[str, ...])

_CLOSED: Final = Verdict(allowed=False, rule=None)
_STRANGER: Final = "user:?"  # Outside the grammar of usernames, so nobody's name.


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
                grants.add(_grant(row))
            else:
                rules.add(_rule(row))
        return cls(basis, physician, tuple(sorted(grants)), tuple(sorted(rules)))

    def changed(self, ended: Iterable[Row], begun: Iterable[Row]) -> "Account":
        """The account after rows ended and others began, nothing remembered: work grows with these, not with it."""
        grants, rules = list(self.grants), list(self.rules)
        for row in ended:
            if row.ptype == "g":
                _take(grants, _grant(row))
            else:
                _take(rules, _rule(row))
        for row in begun:
            if row.ptype == "g":
                _put(grants, _grant(row))
            else:
                _put(rules, _rule(row))
        return Account(self._basis, self.physician, tuple(grants), tuple(rules))

    def on(self, basis: Basis) -> "Account":
        """The same rows on another basis, nothing remembered."""
        return Account(basis, self.physician, self.grants, self.rules)

    @property
    def domain(self) -> str:
        """The account's Casbin domain."""
        return domain_of(self.physician)

    def outcome(self, user: User, action: Action, channel: Channel) -> Outcome:
        """May the user do this, which is an action that there is, here? Remembered, or asked of Casbin once."""
        slot = self._basis.slots[channel][action]
        known = self.remembered.get(user)
        key: User | None = user
        if known is None:
            # All strangers share one memory: the vetted model sees names only through g() and equality
            # with policy values, so Casbin's answer about one name without rows is that about another.
            key = user if self._is_named(subject_of_user(user)) else None
            known = self.remembered.get(key, self._basis.nothing)
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
        wanted = self._missing(user, channel) if found.outcome.reason is Reason.CHANNEL_NOT_ALLOWED else action
        if wanted is None:
            return found
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
        gates = self._basis.catalogue.gates_of(channel)
        if gates is not None:
            # A channel that no action opens is closed to everybody.
            if not gates or not self._basis.is_done_in(channel, action):
                return self._explanation(subject, Reason.CHANNEL_NOT_ALLOWED, _CLOSED)
            for gate in gates:
                through = self._basis.ask(self, subject, gate)
                if not through.allowed:
                    return self._explanation(subject, Reason.CHANNEL_NOT_ALLOWED, through)
        return self._explanation(subject, Reason.GRANTED, verdict)

    def _missing(self, user: User, channel: Channel) -> Action | None:
        """The first of the actions that open a channel which the user does not hold; None if it is no such matter."""
        gates = self._basis.catalogue.gates_of(channel) or ()
        return next((gate for gate in gates if not self._basis.ask(self, subject_of_user(user), gate).allowed), None)

    def _explanation(self, subject: str, reason: Reason, verdict: Verdict) -> Explanation:
        rule: Rule | None = None
        path: tuple[tuple[str, Role], ...] = ()
        if verdict.rule is not None:
            target, domain, action, effect = verdict.rule
            place = ANY if domain == ANY else name_in(domain)
            rule = Rule(subject=target, physician=place, action=action, effect=Effect(effect))
            path = way(self._held_by, subject, target)
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


def _grant(row: Row) -> tuple[str, str]:
    return row.values[0], row.values[1]


def _rule(row: Row) -> tuple[str, str, str]:
    return row.values[0], row.values[2], row.values[3]


def _take(table: list[_Fields], fields: _Fields) -> None:
    place = bisect_left(table, fields)
    if place < len(table) and table[place] == fields:
        del table[place]


def _put(table: list[_Fields], fields: _Fields) -> None:
    place = bisect_left(table, fields)
    if place == len(table) or table[place] != fields:
        table.insert(place, fields)


def _of(rows: tuple[_Fields, ...], subject: str) -> Iterator[_Fields]:
    """A sorted table's rows of this subject."""
    for place in range(bisect_left(rows, (subject,)), len(rows)):
        if rows[place][0] != subject:
            break
        yield rows[place]


def _begins(rows: tuple[tuple[str, ...], ...], subject: str) -> bool:
    """Does a sorted table have a row of this subject?"""
    return next(_of(rows, subject), None) is not None
