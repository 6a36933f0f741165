"""The model and the built-in rules: what Casbin is asked for every account.

A ``Basis`` never changes: another seed makes another one, so that there is
nothing to invalidate. Nothing here awaits or reads the database.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from typing import Final, Protocol

import casbin

from policy_service import metrics
from policy_service.decide.callers import Callers
from policy_service.decide.errors import UnknownAction
from policy_service.decide.explanation import Verdict
from policy_service.decide.model import Model, over
from policy_service.vocabulary import (
    ANY,
    INVITED,
    Action,
    Catalogue,
    Channel,
    Outcome,
    Physician,
    Role,
    Row,
    domain_of,
    info_of,
    limit_of,
    name_in,
)

_NOBODYS: Final = Physician("?")
"""Outside the grammar, so nobody's account."""


class Rows(Protocol):
    """One account's rows, as far as an enforcer asks for them."""

    physician: Physician
    grants: tuple[tuple[str, str], ...]

    @property
    def domain(self) -> str:
        """The account's Casbin domain."""

    def rules_about(self, subject: str, action: str) -> list[list[str]]:
        """The rules that can match."""


class Basis:
    """The vetted model and the built-in rows; keeps the enforcers of accounts asked about lately."""

    def __init__(self, model: Model, rows: Iterable[Row], *, most_enforcers: int = 200) -> None:
        """Take the rows of domains ``*`` and ``system``."""
        self.rows = tuple(rows)
        self._model = model
        self._rules = [list(row.values) for row in self.rows if row.ptype == "p" and row.domain == ANY]
        self.catalogue = Catalogue(info_of(row.values) for row in self.rows if row.ptype == "a")
        self.slots: dict[Channel, dict[str, int]] = {
            channel: {action: len(Channel) * place + number for place, action in enumerate(self.catalogue.actions)}
            for number, channel in enumerate(Channel)
        }
        """Where an account keeps its answer to (action, channel)."""
        self.nothing = chr(0) * (len(self.catalogue.actions) * len(Channel))
        self.roles = tuple(sorted({Role(name_in(rule[0])) for rule in self._rules if rule[0].startswith("role:")}))
        # One lock for all of Casbin: an enforcer's role manager is not safe to share, and asking is pure Python.
        self._asking = threading.Lock()
        self._most_enforcers = most_enforcers
        self._enforcers: OrderedDict[Physician, tuple[Rows, casbin.Enforcer]] = OrderedDict()
        self.outcomes: list[Outcome | None] = [None]
        """Every outcome there is; the first stands for "not asked yet"."""
        self._places: dict[Outcome, int] = {}
        self.callers = Callers(model, self.rows)
        """The calling services as the seed has them; a snapshot's may have more."""
        self._limits: dict[tuple[str, Action], bool] = {}

    def ask(self, account: Rows, subject: str, action: str) -> Verdict:
        """Ask Casbin, making the account's enforcer if it is not at hand.

        It looks at the built-in rules and at those of the account that can match:
        what an answer costs does not grow with what others may do there.
        """
        metrics.decisions_cold.inc()
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
        return Verdict(allowed is True, tuple(rule) if rule else None)

    def place_of(self, outcome: Outcome) -> int:
        """Where an outcome stands in ``outcomes``, added if it is new."""
        place = self._places.get(outcome)
        if place is None:
            with self._asking:
                place = self._places.setdefault(outcome, len(self.outcomes))
                if place == len(self.outcomes):
                    self.outcomes.append(outcome)
        return place

    @cached_property
    def owner_only(self) -> frozenset[Action]:
        """What no invited user can be given, by Casbin's word on the catalogue's rules."""
        return frozenset(action for action in self.catalogue.actions if not self._within(INVITED, action))

    def require_known(self, action: Action) -> None:
        """Raise UnknownAction unless there is such an action, with the one that may have been meant."""
        if action not in self.catalogue:
            like = get_close_matches(action, self.catalogue.actions, n=1)
            raise UnknownAction(action=action, did_you_mean=like[0] if like else None)

    def is_done_in(self, channel: Channel, action: Action) -> bool:
        """Can this be done in a channel at all, whoever it is? Casbin's word on the catalogue's rules."""
        limit = limit_of(channel)
        return limit is None or self._within(limit, action)

    def _within(self, limit: str, action: Action) -> bool:
        known = self._limits.get((limit, action))
        if known is None:
            with self._asking:
                enforcer = self._model.enforcer(self.catalogue.limit_rules(), [])
                known = enforcer.enforce(limit, domain_of(_NOBODYS), action) is True
            self._limits[limit, action] = known
        return known

    def caller_may(self, service: str, method: str) -> bool:
        """May this calling service call ``Service/Method`` anywhere, by these rows alone?"""
        return self.callers.may(service, method)

    def caller_grounds(self, service: str, method: str) -> tuple[Row, ...]:
        """The rows behind ``caller_may``."""
        return self.callers.grounds(service, method)

    def _account_enforcer(self, account: Rows) -> casbin.Enforcer:
        grants = [[subject, role, account.domain] for subject, role in account.grants]
        return self._model.enforcer(self._rules, grants)
