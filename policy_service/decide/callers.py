"""What each calling service may call, and for whom: Casbin decides, in domain system; and what it shows to be known.

``Callers`` never changes: other rows or tokens make another one. A right is
remembered for each identity, so that a call costs one look into a dictionary.
"""

import threading
from collections.abc import Iterable
from copy import copy
from typing import Final, Protocol

from policy_service.decide.explanation import way
from policy_service.decide.model import Model, over
from policy_service.vocabulary import (
    ANY,
    NO_CREDENTIALS,
    SYSTEM_DOMAIN,
    Credentials,
    Role,
    Row,
    grant_row,
    in_named,
    is_naming,
    is_own_right,
    name_in,
    named,
    subject_of_service,
)

_NOBODYS: Final = "?"
"""Outside the grammar of accounts, so nobody's: Casbin's answer about one that no rule names is that about another."""


class Reach(Protocol):
    """Where a caller may call a method."""

    is_limited: bool

    def covers(self, physician: str) -> bool:
        """May it call the method about this account?"""


class _Everywhere:
    """In every account, those to come too."""

    is_limited = False

    def covers(self, physician: str) -> bool:  # noqa: ARG002 - whichever.
        return True


EVERYWHERE: Final = _Everywhere()


class _Named:
    """In the accounts that the caller is named for. What is remembered is bounded by those that rules name."""

    is_limited = True

    def __init__(self, callers: "Callers", service: str) -> None:
        self._callers = callers
        self._service = service
        self._names = callers.named_for(service)
        self._known: dict[str, bool] = {}

    def covers(self, physician: str) -> bool:
        key = physician if physician in self._names else _NOBODYS
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._callers.asked(self._service, named(key))
        return known


class Callers:
    """The rights of all calling services, and the tokens by which they are known."""

    def __init__(self, model: Model, rows: Iterable[Row], credentials: Credentials = NO_CREDENTIALS) -> None:
        """Take the rows of domain system, the seed's and those of single callers."""
        self.rows = frozenset(row for row in rows if row.domain == SYSTEM_DOMAIN)
        self.credentials = credentials
        self._model = model
        self._rules: dict[str, list[list[str]]] = {}
        self._grants: dict[str, list[str]] = {}
        for row in sorted(self.rows, key=lambda row: row.values):
            if row.ptype == "p":
                self._rules.setdefault(row.values[0], []).append(list(row.values))
            else:
                self._grants.setdefault(row.values[0], []).append(row.values[1])
        rules = [rule for rules in self._rules.values() for rule in rules]
        grants = [list(row.values) for row in self.rows if row.ptype == "g"]
        # One lock, as an enforcer's role manager is not safe to share.
        self._asking = threading.Lock()
        self._enforcer = model.enforcer(rules, grants) if rules else None
        self._reaches: dict[tuple[str, str], Reach | None] = {}

    @property
    def own(self) -> frozenset[Row]:
        """The rows that are no seed's: what single callers were given."""
        return frozenset(row for row in self.rows if is_own_right(row))

    def knowing(self, rows: Iterable[Row], credentials: Credentials) -> "Callers":
        """Those of the same seed with other rights of their own, and other tokens."""
        return Callers(self._model, (self.rows - self.own) | {*rows}, credentials)

    def showing(self, credentials: Credentials) -> "Callers":
        """The same with other tokens: what is remembered of their rights stays."""
        after = copy(self)
        after.credentials = credentials
        return after

    def reach(self, service: str, method: str) -> Reach | None:
        """Where this calling service may call ``Service/Method``; None: nowhere.

        ``method`` must be one that exists, and ``service`` authenticated, so
        that the remembered answers are few.
        """
        try:
            return self._reaches[service, method]
        except KeyError:
            found: Reach | None = None
            if self.asked(service, method):
                found = EVERYWHERE
            elif self.asked(service, in_named(method)):
                found = _Named(self, service)
            self._reaches[service, method] = found
            return found

    def may(self, service: str, method: str) -> bool:
        """May it call the method somewhere?"""
        return self.reach(service, method) is not None

    def grounds(self, service: str, method: str) -> tuple[Row, ...]:
        """The rows behind ``reach``: the grants on the way to the rules that Casbin names, and these, if any."""
        reach = self.reach(service, method)
        if reach is None or not reach.is_limited:
            return self._grounds(service, method)
        names = sorted(self.named_for(service))
        rows = [self._grounds(service, right) for right in (in_named(method), *map(named, names))]
        return tuple(dict.fromkeys(row for found in rows for row in found))

    def _grounds(self, service: str, right: str) -> tuple[Row, ...]:
        subject = subject_of_service(service)
        rules = self._rules_about(subject, right)
        if self._enforcer is None or not rules:
            return ()
        with self._asking:
            _, rule = over(self._enforcer, rules).enforce_ex(subject, SYSTEM_DOMAIN, right)
        if not rule:
            return ()
        path = way(self._held_by, subject, rule[0])
        return (*(grant_row(holder, role, SYSTEM_DOMAIN) for holder, role in path), Row(ptype="p", values=tuple(rule)))

    def asked(self, service: str, right: str) -> bool:
        """Casbin's word on a right, asked now of the rules that can match: it costs no more where others have many."""
        subject = subject_of_service(service)
        rules = self._rules_about(subject, right)
        if self._enforcer is None or not rules:
            return False
        with self._asking:
            return over(self._enforcer, rules).enforce(subject, SYSTEM_DOMAIN, right) is True

    def rules_of(self, service: str) -> frozenset[tuple[str, ...]]:
        """The rules that a caller comes to, directly or by roles: all that its rights depend on."""
        reached = self._reached(subject_of_service(service))
        return frozenset(tuple(rule) for one in reached for rule in self._rules.get(one, ()))

    def named_for(self, service: str) -> frozenset[str]:
        """The accounts that rules name for a caller, allowed or denied."""
        rules = (rule for one in self._reached(subject_of_service(service)) for rule in self._rules.get(one, ()))
        return frozenset(name_in(rule[2]) for rule in rules if is_naming(rule[2]))

    def _rules_about(self, subject: str, right: str) -> list[list[str]]:
        """The vetted model sees a rule through ``g()`` and through equality of actions, so that no other matches."""
        return [
            rule
            for one in sorted(self._reached(subject))
            for rule in self._rules.get(one, ())
            if rule[2] in (right, ANY)
        ]

    def _reached(self, subject: str) -> set[str]:
        reached, waiting = {subject}, [subject]
        while waiting:
            new = [role for role in self._grants.get(waiting.pop(), ()) if role not in reached]
            reached.update(new)
            waiting += new
        return reached

    def _held_by(self, subject: str) -> tuple[Role, ...]:
        return tuple(Role(name_in(role)) for role in self._grants.get(subject, ()))
