"""What an acting person may do, decided by Casbin on the rows as they stand in the transaction."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy_service.engine import Account, Basis
from policy_service.errors import (
    ActorNotAllowed,
    BeyondOwnRights,
    OwnerOnly,
    SelfEdit,
    UnknownPhysician,
    UnknownRole,
)
from policy_service.model import Model
from policy_service.store import Reading, Transaction
from policy_service.vocabulary import (
    ANY,
    OWNER,
    OWNER_ONLY,
    SYSTEM_DOMAIN,
    Action,
    Channel,
    Physician,
    Role,
    Row,
    User,
    domain_of,
    subject_of_role,
    subject_of_user,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as it stands in a transaction: nobody else can change it until the end."""

    basis: Basis
    account: Account
    rows: frozenset[Row]

    @property
    def physician(self) -> Physician:
        """Whose account this is."""
        return self.account.physician

    def with_rows(self, rows: Iterable[Row]) -> "Standing":
        """The account as it would stand with other rows."""
        held = frozenset(rows)
        return Standing(self.basis, Account.of_rows(self.basis, self.physician, held), held)

    def may(self, user: User, action: Action) -> bool:
        """May the user do this here?"""
        return self.account.outcome(user, action, Channel.WEB).allowed

    def require(self, actor: User, action: Action) -> None:
        """Raise ActorNotAllowed unless the actor may."""
        if not self.may(actor, action):
            raise ActorNotAllowed(actor=actor, action=action, physician=self.physician)

    def allowed_by(self, role: Role) -> frozenset[Action]:
        """Everything that a role allows here in the end."""
        subject = subject_of_role(role)
        return frozenset(action for action in Action if self.basis.ask(self.account, subject, action).allowed)

    def refuse_unknown(self, role: Role) -> None:
        """Raise UnknownRole unless the role is built in or defined here."""
        if role not in self.basis.roles and role not in self.account.custom_roles():
            raise UnknownRole(role=role, physician=self.physician)

    def refuse_beyond(self, actor: User, actions: Iterable[Action]) -> None:
        """Raise OwnerOnly or BeyondOwnRights if the actor cannot give these to an invited user."""
        wanted = frozenset(actions)
        for action in sorted(wanted & OWNER_ONLY):
            raise OwnerOnly(action=action)
        beyond = tuple(sorted(action for action in wanted if not self.may(actor, action)))
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
        subject = subject_of_user(user)
        return any(row.values[0] == subject for row in self.rows)


def refuse_self(actor: User, user: User) -> None:
    """Raise SelfEdit where the actor is the user."""
    if actor == user:
        raise SelfEdit(actor=actor)


async def standing(source: Transaction | Reading, model: Model, physician: Physician) -> Standing:
    """Read an account, as it stands in a transaction or a look. Raises UnknownPhysician."""
    rows = frozenset(await source.rows([domain_of(physician)]))
    if not rows:
        raise UnknownPhysician(physician=physician)
    basis = Basis(model, await source.rows([ANY, SYSTEM_DOMAIN]))
    return Standing(basis, Account.of_rows(basis, physician, rows), rows)
