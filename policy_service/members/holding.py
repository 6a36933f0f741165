"""What a user is to hold on an account, as rows of policy, and whether the one who gives it may."""

from dataclasses import dataclass

from policy_service.members.authority import Standing
from policy_service.vocabulary import (
    Action,
    Effect,
    Physician,
    Role,
    Row,
    User,
    domain_of,
    grant_row,
    own_role,
    rule_row,
    subject_of_user,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a user is to hold: roles, or a free choice of actions; one of the two."""

    roles: frozenset[Role] = frozenset()
    actions: frozenset[Action] = frozenset()

    def rows(self, physician: Physician, user: User) -> frozenset[Row]:
        """The rows that give it to the user."""
        domain, subject = domain_of(physician), subject_of_user(user)
        if not self.actions:
            return frozenset(grant_row(subject, role, domain) for role in self.roles)
        role = own_role(user)
        rules = {rule_row(role, domain, action, Effect.ALLOW) for action in self.actions}
        return frozenset(rules | {grant_row(subject, role, domain)})

    def refuse_beyond(self, at: Standing, actor: User) -> None:
        """Raise UnknownRole, OwnerOnly or BeyondOwnRights if the actor cannot give it."""
        at.refuse_unknown_actions(self.actions, "permissions.actions")
        at.refuse_roles_beyond(actor, self.roles)
        at.refuse_beyond(actor, self.actions)
