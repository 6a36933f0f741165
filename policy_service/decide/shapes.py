"""What everybody may do, everywhere: Casbin is asked once for each different set of rows.

Two users are of one shape if the rows that can reach them are the same but for
the names of the user and of the account. The vetted model sees names only
through ``g()`` and through equality with policy values, so Casbin's answer
about one is its answer about the other. A hundred thousand accounts have a
handful of shapes. Nothing here awaits or reads the database.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from policy_service.decide.account import Account
from policy_service.decide.engine import Basis
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

    def __init__(self, basis: Basis, *, most: int | None = None) -> None:
        """``basis`` should be nobody else's: its enforcers are for shapes then, not for accounts.

        With more than ``most`` shapes remembered all are forgotten, so that no account's can take the memory.
        """
        self.basis = basis
        self._most = most
        self._allowed: dict[Shape, frozenset[Action]] = {}
        self._outcomes: dict[Shape, Outcomes] = {}
        self._allowed_by: dict[tuple[str, Shape], frozenset[Action]] = {}

    def allowed(self, account: Account) -> Iterator[tuple[User, frozenset[Action]]]:
        """Every user whom the account names, in byte order, with all that they may do there on the web."""
        for user, shape in shapes_of(account):
            yield user, self.of(shape)

    def of(self, shape: Shape) -> frozenset[Action]:
        """All that users of a shape may do on the web."""
        known = self._allowed.get(shape)
        if known is None:
            account = Account(self.basis, _ACCOUNT, *shape)
            actions = self.basis.catalogue.actions
            known = frozenset(action for action in actions if account.outcome(_USER, action, Channel.WEB).allowed)
            self._make_room(self._allowed)
            self._allowed[shape] = known
        return known

    def outcomes(self, user: User, shape: Shape) -> Outcomes:
        """The outcome of every question about a user of this shape."""
        known = self._outcomes.get(shape)
        if known is None:
            account = Account(self.basis, _ACCOUNT, *shape)
            known = {
                (action, channel): account.outcome(_USER, action, channel)
                for action in self.basis.catalogue.actions
                for channel in Channel
            }
            self._make_room(self._outcomes)
            self._outcomes[shape] = known
        own, role = Role(name_in(_OWN_ROLE)), own_role(user)
        if all(outcome.role != own for outcome in known.values()):
            return known
        return {
            asked: replace(outcome, role=role) if outcome.role == own else outcome for asked, outcome in known.items()
        }

    def allowed_by(self, account: Account, role: Role) -> frozenset[Action]:
        """What a role, the account's own or built in, allows there in the end."""
        subject = subject_of_role(role)
        # The built-in rules name theirs.
        new = {} if role in self.basis.roles else {subject: _ROLE}
        shape, asked = within_reach(account, subject, new), new.get(subject, subject)
        known = self._allowed_by.get((asked, shape))
        if known is None:
            one = Account(self.basis, _ACCOUNT, *shape)
            actions = self.basis.catalogue.actions
            known = frozenset(action for action in actions if self.basis.ask(one, asked, action).allowed)
            self._make_room(self._allowed_by)
            self._allowed_by[asked, shape] = known
        return known

    def _make_room(self, memory: dict[Any, Any]) -> None:
        if self._most is not None and len(memory) >= self._most:
            memory.clear()


def shapes_of(account: Account) -> Iterator[tuple[User, Shape]]:
    """Every user whom the account names, in byte order, with their shape."""
    if not account.rules and not any(subject.startswith("role:") for subject, _ in account.grants):
        # Nearly every account: grants of built-in roles alone.
        for subject, grants in groupby(account.grants, key=lambda grant: grant[0]):
            yield User(name_in(subject)), (tuple((_SUBJECT, role) for _, role in grants), ())
        return
    for user in account.users():
        yield user, shape_of(account, user)


def shape_of(account: Account, user: User) -> Shape:
    """One user's shape, whether the account names them or not."""
    subject, own = subject_of_user(user), subject_of_role(own_role(user))
    return within_reach(account, subject, {subject: _SUBJECT, own: _OWN_ROLE})


def within_reach(account: Account, subject: str, new: Mapping[str, str]) -> Shape:
    """The rows within reach of a subject, with new names for its own."""
    reached = account.reached(subject)
    if any(role.startswith(_OWN_ROLES) and role not in new for role in reached):
        # Among other people's own roles a new name would sort elsewhere, and Casbin name another row first.
        new = {subject: new[subject]} if subject in new else {}
    grants = {(new.get(s, s), new.get(role, role)) for one in reached for s, role in account.grants_of(one)}
    rules = {(new.get(s, s), action, effect) for one in reached for s, action, effect in account.rules_of(one)}
    return tuple(sorted(grants)), tuple(sorted(rules))
