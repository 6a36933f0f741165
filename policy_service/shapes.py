"""What everybody may do, everywhere: Casbin is asked once for each different set of rows.

Two users are of one shape if the rows that can reach them are the same but for
the names of the user and of the account. The vetted model sees names only
through ``g()`` and through equality with policy values, so Casbin's answer
about one is its answer about the other. A hundred thousand accounts have a
handful of shapes. Nothing here awaits or reads the database.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Final

from policy_service.engine import Account, Basis
from policy_service.vocabulary import (
    Action,
    Channel,
    Outcome,
    Physician,
    Role,
    User,
    name_in,
    own_role,
    subject_of_role,
    subject_of_user,
)

# Outside every grammar, so nobody's name.
_USER: Final = User("?")
_ACCOUNT: Final = Physician("?")
_SUBJECT: Final = "user:?"
_OWN_ROLE: Final = "role:custom.?"
_OWN_ROLES: Final = "role:custom."
_ROLE: Final = "role:?"

Shape = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str, str], ...]]
Outcomes = Mapping[tuple[Action, Channel], Outcome]


class Shapes:
    """Everything that is allowed under one set of built-in rules."""

    def __init__(self, basis: Basis) -> None:
        """``basis`` should be nobody else's: its enforcers are for shapes then, not for accounts."""
        self._basis = basis
        self._allowed: dict[Shape, frozenset[Action]] = {}
        self._outcomes: dict[Shape, Outcomes] = {}
        self._allowed_by: dict[Shape, frozenset[Action]] = {}

    def allowed(self, account: Account) -> Iterator[tuple[User, frozenset[Action]]]:
        """Every user whom the account names, in byte order, with all that they may do there on the web."""
        for user, shape in shapes(account):
            yield user, self.of(shape)

    def of(self, shape: Shape) -> frozenset[Action]:
        """All that users of a shape may do on the web."""
        known = self._allowed.get(shape)
        if known is None:
            account = Account(self._basis, _ACCOUNT, *shape)
            known = frozenset(action for action in Action if account.outcome(_USER, action, Channel.WEB).allowed)
            self._allowed[shape] = known
        return known

    def outcomes(self, user: User, shape: Shape) -> Outcomes:
        """The outcome of every question about a user of this shape."""
        known = self._outcomes.get(shape)
        if known is None:
            account = Account(self._basis, _ACCOUNT, *shape)
            known = self._outcomes[shape] = {
                (action, channel): account.outcome(_USER, action, channel) for action in Action for channel in Channel
            }
        own, role = Role(name_in(_OWN_ROLE)), own_role(user)
        if all(outcome.role != own for outcome in known.values()):
            return known
        return {
            asked: replace(outcome, role=role) if outcome.role == own else outcome for asked, outcome in known.items()
        }

    def allowed_by(self, account: Account, roles: Iterable[Role]) -> Iterator[tuple[Role, frozenset[Action]]]:
        """What some of the account's roles allow there in the end."""
        rows = _Rows(account)
        for role in roles:
            shape = rows.within_reach(subject_of_role(role), {subject_of_role(role): _ROLE})
            known = self._allowed_by.get(shape)
            if known is None:
                one = Account(self._basis, _ACCOUNT, *shape)
                known = self._allowed_by[shape] = frozenset(
                    action for action in Action if self._basis.ask(one, _ROLE, action).allowed
                )
            yield role, known


def shapes(account: Account) -> Iterator[tuple[User, Shape]]:
    """Every user whom the account names, in byte order, with their shape."""
    if not account.rules and not any(subject.startswith("role:") for subject, _ in account.grants):
        # Nearly every account: grants of built-in roles alone.
        for subject, grants in groupby(account.grants, key=lambda grant: grant[0]):
            yield User(name_in(subject)), (tuple((_SUBJECT, role) for _, role in grants), ())
        return
    rows = _Rows(account)
    for user in account.users():
        subject, own = subject_of_user(user), subject_of_role(own_role(user))
        yield user, rows.within_reach(subject, {subject: _SUBJECT, own: _OWN_ROLE})


class _Rows:
    """An account's rows by their subject."""

    def __init__(self, account: Account) -> None:
        self._roles: dict[str, list[str]] = {}
        self._rules: dict[str, list[tuple[str, str, str]]] = {}
        for subject, role in account.grants:
            self._roles.setdefault(subject, []).append(role)
        for rule in account.rules:
            self._rules.setdefault(rule[0], []).append(rule)

    def within_reach(self, subject: str, new: Mapping[str, str]) -> Shape:
        """The rows within reach of a subject, with new names for its own."""
        reached, waiting = {subject}, [subject]
        while waiting:
            for role in self._roles.get(waiting.pop(), ()):
                if role not in reached:
                    reached.add(role)
                    waiting.append(role)
        if any(role.startswith(_OWN_ROLES) and role not in new for role in reached):
            # Among other people's own roles a new name would sort elsewhere, and Casbin name another row first.
            new = {subject: new[subject]}
        grants = {(new.get(s, s), new.get(role, role)) for s in reached for role in self._roles.get(s, ())}
        rules = {(new.get(s, s), action, effect) for one in reached for s, action, effect in self._rules.get(one, ())}
        return tuple(sorted(grants)), tuple(sorted(rules))
