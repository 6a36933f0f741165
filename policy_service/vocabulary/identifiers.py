"""Identifiers and their grammar.

Refuses every identifier outside its grammar. The grammars are plain ASCII
without wildcards or separators, so that no name can be a pattern, break a
line of CSV, merge with another under case folding, or carry Casbin's type
prefix.
"""

import re
from typing import Final, NewType

from policy_service.errors import InvalidField, InvalidRequest

User = NewType("User", str)
Physician = NewType("Physician", str)
Role = NewType("Role", str)
Action = NewType("Action", str)
"""Well formed; whether there is such an action, the catalogue knows."""

OWNER: Final = Role("owner")
BUILT_IN_ROLES: Final = (OWNER, Role("financial_viewer"), Role("data_entry"), Role("administrator"))
"""The roles of the "Manage Users" page."""

USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
PHYSICIAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
# The role of one user's own, custom.USERNAME: no name that can be given to a role has a dot.
_OWN_ROLE = re.compile(r"custom\.[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
ANY_ROLE = re.compile(f"{_ROLE.pattern}|{_OWN_ROLE.pattern}", re.ASCII)
SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)
ACTION = re.compile(r"(?=.{3,64}\Z)[a-z][a-z0-9_]*:[a-z][a-z0-9_]*", re.ASCII)
METHOD = re.compile(r"[A-Za-z]{1,64}/[A-Za-z]{1,64}", re.ASCII)
# A method, in every account or in those named; or one that is named so.
RIGHT = re.compile(rf"{METHOD.pattern}(@named)?|physician:{PHYSICIAN.pattern}", re.ASCII)


def _parse(grammar: re.Pattern[str], text: str, field: str, wanted: str) -> str:
    if grammar.fullmatch(text):
        return text
    fault = "is empty" if not text else f"is not {wanted}"
    raise InvalidRequest(violations=(InvalidField(field=field, description=f"{field} {fault}"),))


def parse_user(text: str, field: str = "user") -> User:
    """Read a username; raises InvalidRequest."""
    return User(_parse(USER, text, field, "1 to 64 of A-Z a-z 0-9 . _ @ + -, beginning with a letter or digit"))


def parse_physician(text: str, field: str = "physician") -> Physician:
    """Read a physician account's name; raises InvalidRequest."""
    return Physician(_parse(PHYSICIAN, text, field, "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"))


def parse_role(text: str, field: str = "role") -> Role:
    """Read a role's name; raises InvalidRequest."""
    return Role(_parse(_ROLE, text, field, "1 to 64 of a-z 0-9 _ -, beginning with a letter"))


def parse_service(text: str, field: str = "caller") -> str:
    """Read a calling service's name; raises InvalidRequest."""
    return _parse(SERVICE, text, field, "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")


def parse_method(text: str, field: str = "method") -> str:
    """Read what a caller may call; raises InvalidRequest."""
    return _parse(METHOD, text, field, 'Service/Method, as "DecisionService/Check"')


def parse_key(text: str, field: str = "idempotency_key") -> str:
    """Read an idempotency key, which may be empty; raises InvalidRequest."""
    return _parse(_KEY, text, field, "at most 64 of A-Z a-z 0-9 _ -")


def parse_action(text: str, field: str = "action") -> Action:
    """Read an action's id, whether there is such an action or not; raises InvalidRequest."""
    return Action(_parse(ACTION, text, field, "two words of a-z 0-9 _ joined by a colon, 3 to 64 characters"))


def own_role(user: User) -> Role:
    """The custom role of one user alone, for a free choice of actions."""
    return Role(f"custom.{user}")


def is_own_role(role: Role) -> bool:
    """Is it the role of one user alone?"""
    return role.startswith("custom.")


def name_in(prefixed: str) -> str:
    """The plain name in ``user:alice``, ``role:owner`` or ``physician:dr-osei``."""
    return prefixed.partition(":")[2]
