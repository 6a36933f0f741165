"""What an acting person may do, decided by Casbin on the rows as they stand in the transaction.

Answers are remembered by the rows that they rest on (see shapes.py), so what
was asked before the lock was taken costs nothing under it: see foresight.py.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from policy_service.decide import Account, Basis, Model, Outcomes, Shapes, UnknownPhysician, shape_of
from policy_service.errors import InvalidField, InvalidRequest
from policy_service.members.errors import ActorNotAllowed, BeyondOwnRights, OwnerOnly, SelfEdit, UnknownRole
from policy_service.store import Reading, Transaction
from policy_service.vocabulary import ANY, OWNER, Action, Operation, Physician, Role, Row, User, domain_of

_MOST_SHAPES: Final = 4_000
"""Different sets of rows whose answers are remembered, of all accounts together."""
_MOST_STANDING: Final = 256
"""Accounts that the next change of each begins from."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as it stands in a transaction: nobody else can change it until the end."""

    judge: Shapes
    account: Account
    rows: frozenset[Row]

    @property
    def physician(self) -> Physician:
        """Whose account this is."""
        return self.account.physician

    @property
    def basis(self) -> Basis:
        """The built-in rules that hold here."""
        return self.judge.basis

    def with_rows(self, rows: Iterable[Row]) -> "Standing":
        """The account as it would stand with other rows."""
        held = frozenset(rows)
        return Standing(self.judge, self.account.changed(self.rows - held, held - self.rows), held)

    def rows_of(self, *subjects: str) -> frozenset[Row]:
        """The rows that name one of these first."""
        domain = self.account.domain
        grants = (Row(ptype="g", values=(*grant, domain)) for one in subjects for grant in self.account.grants_of(one))
        rules = (rule for one in subjects for rule in self.account.rules_of(one))
        return frozenset([*grants, *(Row(ptype="p", values=(rule[0], domain, *rule[1:])) for rule in rules)])

    def within_reach(self, subject: str) -> frozenset[Row]:
        """The rows that bear on a subject: their own, and those of every role that these lead to."""
        return self.rows_of(*self.account.reached(subject))

    def is_as(self, other: "Standing | None") -> bool:
        """Are both on the same rows, so that all questions have the same answers?"""
        return other is not None and self.judge is other.judge and self.rows == other.rows

    def allowed(self, user: User) -> frozenset[Action]:
        """All that the user may do here."""
        return self.judge.of(shape_of(self.account, user))

    def outcomes(self, user: User) -> Outcomes:
        """The outcome of every question about the user."""
        return self.judge.outcomes(user, shape_of(self.account, user))

    def may(self, user: User, action: Action) -> bool:
        """May the user do this here?"""
        return action in self.allowed(user)

    def require(self, actor: User, operation: Operation) -> None:
        """Raise ActorNotAllowed unless the actor may do what guards the operation; where nothing does, nobody may."""
        action = self.basis.catalogue.guard_of(operation)
        if action is None or not self.may(actor, action):
            raise ActorNotAllowed(actor=actor, action=action or operation, physician=self.physician)

    def refuse_unknown_actions(self, actions: Iterable[Action], field: str) -> None:
        """Raise InvalidRequest, naming the field, for an action that there is not."""
        unknown = sorted(action for action in actions if action not in self.basis.catalogue)
        if unknown:
            raise InvalidRequest(
                violations=tuple(
                    InvalidField(field=field, description=f"{field} names no known action: {action}")
                    for action in unknown
                )
            )

    def allowed_by(self, role: Role) -> frozenset[Action]:
        """Everything that a role allows here in the end."""
        return self.judge.allowed_by(self.account, role)

    def refuse_unknown(self, role: Role) -> None:
        """Raise UnknownRole unless the role is built in or defined here."""
        if role not in self.basis.roles and not self.account.defines(role):
            raise UnknownRole(role=role, physician=self.physician)

    def refuse_beyond(self, actor: User, actions: Iterable[Action]) -> None:
        """Raise OwnerOnly or BeyondOwnRights if the actor cannot give these to an invited user."""
        wanted = frozenset(actions)
        for action in sorted(wanted & self.basis.owner_only):
            raise OwnerOnly(action=action)
        beyond = tuple(sorted(wanted - self.allowed(actor)))
        if beyond:
            raise BeyondOwnRights(actor=actor, actions=beyond)

    def refuse_roles_beyond(self, actor: User, roles: Iterable[Role]) -> None:
        """Raise UnknownRole, OwnerOnly or BeyondOwnRights if the actor cannot give these roles."""
        for role in sorted(roles):
            if role == OWNER:
                raise OwnerOnly(action="role owner")
            self.refuse_unknown(role)
            self.refuse_beyond(actor, self.allowed_by(role))

    def is_owner(self, user: User) -> bool:
        """Is the account this user's own?"""
        return OWNER in self.account.roles_of(user)

    def is_member(self, user: User) -> bool:
        """Does the user hold anything here?"""
        return self.account.names(user)


def refuse_self(actor: User, user: User) -> None:
    """Raise SelfEdit where the actor is the user."""
    if actor == user:
        raise SelfEdit(actor=actor)


async def standing(source: Transaction | Reading, model: Model, physician: Physician) -> Standing:
    """Read an account, as it stands in a transaction or a look. Raises UnknownPhysician."""
    built_in, rows = await source.held_rows(ANY, domain_of(physician))
    if not rows:
        raise UnknownPhysician(physician=physician)
    return _court(model, built_in).standing(physician, rows)


class _Court:
    """What was asked under some built-in rules, in whatever account; and how the last accounts stood."""

    def __init__(self, model: Model, built_in: frozenset[Row]) -> None:
        self._judge = Shapes(Basis(model, sorted(built_in, key=_order)), most=_MOST_SHAPES)
        self._stood: OrderedDict[Physician, Standing] = OrderedDict()

    def standing(self, physician: Physician, rows: frozenset[Row]) -> Standing:
        """An account with these rows, made from how it stood before: an account's size is not looked at each time."""
        before = self._stood.pop(physician, None)
        if before is None:
            found = Standing(self._judge, Account.of_rows(self._judge.basis, physician, rows), rows)
        elif before.rows is rows:
            found = before
        else:
            found = Standing(self._judge, before.account.changed(before.rows - rows, rows - before.rows), rows)
        self._stood[physician] = found
        if len(self._stood) > _MOST_STANDING:
            self._stood.popitem(last=False)
        return found


def _order(row: Row) -> tuple[str, str, tuple[str, ...]]:
    """As the database gives them."""
    return row.domain, row.ptype, row.values


@lru_cache(maxsize=2)
def _court(model: Model, built_in: frozenset[Row]) -> _Court:
    """Rows of one shape have one answer. The set's hash is worked out once, as it is the same set each time."""
    return _Court(model, built_in)
