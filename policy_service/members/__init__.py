"""Who acts on whose account: invitations, credentials, grants, custom roles, and the letters about them.

In comes an actor's wish; out comes one transaction that holds the change, its
entry and its letter, or a refusal that says what to do. Nobody gives what they
do not hold. Read ``manage_users`` first, then ``invitations``; the states are
drawn in docs/manage-users.md.
"""

from policy_service.members import custom_roles, links, manage_users
from policy_service.members.address_changes import AddressChanges
from policy_service.members.addresses import parse_email, refuse_name, suggestion
from policy_service.members.authority import Standing, standing
from policy_service.members.carriers import carrier_for
from policy_service.members.definitions import RoleDefinition, definitions_of, refuse_long_chains
from policy_service.members.delivery import Sender, advice
from policy_service.members.errors import RoleChainTooLong, UnknownUser
from policy_service.members.foresight import Questions, foresee
from policy_service.members.holding import Holding
from policy_service.members.invitations import Invitations
from policy_service.members.letter_limits import LetterLimits
from policy_service.members.letters import Postmark
from policy_service.members.links import Looked
from policy_service.members.prompts import Prompts
from policy_service.members.tokens import read_key

__all__ = [
    "AddressChanges",
    "Holding",
    "Invitations",
    "LetterLimits",
    "Looked",
    "Postmark",
    "Prompts",
    "Questions",
    "RoleChainTooLong",
    "RoleDefinition",
    "Sender",
    "Standing",
    "UnknownUser",
    "advice",
    "carrier_for",
    "custom_roles",
    "definitions_of",
    "foresee",
    "links",
    "manage_users",
    "parse_email",
    "read_key",
    "refuse_long_chains",
    "refuse_name",
    "standing",
    "suggestion",
]
