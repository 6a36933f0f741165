"""What everybody may do, everywhere: Casbin is asked once for each different set of rows.

Two users are of one shape if the rows that can reach them are the same but for
the names of the user and of the account. The vetted model sees names only
through ``g()`` and through equality with policy values, so Casbin's answer
about one is its answer about the other. A hundred thousand accounts have a
handful of shapes. Nothing here awaits or reads the database.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from policy_service.engine import Account, Basis
from policy_service.vocabulary import Action, Channel, Physician, User, name_in, own_role, subject_of_role

# Outside every grammar, so nobody's name.
_USER: Final = User("?")
_ACCOUNT: Final = Physician("?")
_SUBJECT: Final = "user:?"
_OWN_ROLE: Final = "role:custom.?"

Shape = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str, str], ...]]


class Shapes:
    """Everything that is allowed under one set of built-in rules."""

    def __init__(self, basis: Basis) -> None:
        """``basis`` should be nobody else's: its enforcers are for shapes then, not for accounts."""
        self._basis = basis
        self._allowed: dict[Shape, frozenset[Action]] = {}

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


def shapes(account: Account) -> Iterator[tuple[User, Shape]]:
    """Every user whom the account names, in byte order, with their shape."""
    if not account.rules and not any(subject.startswith("role:") for subject, _ in account.grants):
        # Nearly every account: grants of built-in roles alone.
        for subject, grants in groupby(account.grants, key=lambda grant: grant[0]):
            yield User(name_in(subject)), (tuple((_SUBJECT, role) for _, role in grants), ())
        return
    held: dict[str, list[str]] = {}
    for subject, role in account.grants:
        held.setdefault(subject, []).append(role)
    for user in account.users():
        yield user, _shape(account, held, user)


def _shape(account: Account, held: dict[str, list[str]], user: User) -> Shape:
    """The rows within reach of a user, with the user's own names replaced."""
    subject = f"user:{user}"
    new = {subject: _SUBJECT, subject_of_role(own_role(user)): _OWN_ROLE}
    reached, waiting = {subject}, [subject]
    while waiting:
        for role in held.get(waiting.pop(), ()):
            if role not in reached:
                reached.add(role)
                waiting.append(role)
    grants = {(new.get(s, s), new.get(role, role)) for s in reached for role in held.get(s, ())}
    rules = {(new.get(s, s), action, effect) for s, action, effect in account.rules if s in reached}
    return tuple(sorted(grants)), tuple(sorted(rules))
