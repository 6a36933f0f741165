"""Reads the fields of a request, and refuses all that are at fault together, each by its name."""

import re
from types import TracebackType
from typing import Final, Self

from policy_client._pb import decision_pb2 as pb
from policy_client._pb import manage_users_pb2 as mu
from policy_client.testing.addresses import read_address
from policy_client.testing.refusals import refuse_fields

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_PHYSICIAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_ACTION = re.compile(r"(?=.{3,64}\Z)[a-z][a-z0-9_]*:[a-z][a-z0-9_]*", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)
# The commonest of what the service finds in names.
_ENCODED_WORD = re.compile(r"=\?|\?=")
_LINK = re.compile(r"[a-z]:/|\bwww\.\S|\S@\S|\w\.(?:com|org|net|info|biz)\b|\w\w\.ca\b", re.IGNORECASE)
_CHANNELS: Final = (pb.CHANNEL_UNSPECIFIED, pb.CHANNEL_WEB, pb.CHANNEL_MOBILE)
_MOST_ITEMS: Final = {
    "permissions.roles": 16,
    "permissions.actions": 64,
    "definition.allow": 64,
    "definition.deny": 64,
    "definition.includes": 32,
}
"""The service's own bounds, of which docs/limits.md tells."""
_STATES: Final = {*mu.InvitationState.values()} - {mu.INVITATION_STATE_UNSPECIFIED}


class Fields:
    """Collects faults while fields are read; refuses them together when the block ends."""

    def __init__(self, prefix: str = "") -> None:
        """``prefix`` goes before each field's name, as in ``checks[1].user``."""
        self._prefix = prefix
        self.faults: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None and self.faults:
            refuse_fields(self.faults)

    def fault(self, field: str, words: str) -> None:
        """Note what is wrong with a field."""
        self.faults[self._prefix + field] = f"{self._prefix}{field} {words}"

    def user(self, field: str, text: str) -> None:
        """Read a username."""
        self._read(_USER, field, text, "a username")

    def physician(self, text: str) -> None:
        """Read a physician account's name."""
        self._read(_PHYSICIAN, "physician", text, "a physician account's name")

    def role(self, field: str, text: str) -> None:
        """Read a role's name."""
        self._read(_ROLE, field, text, "a role's name")

    def action(self, text: str) -> None:
        """Read an action, which need not exist."""
        self._read(_ACTION, "action", text, "two words of a-z 0-9 _ joined by a colon, 3 to 64 characters")

    def key(self, text: str) -> None:
        """Read an idempotency key, which may be empty."""
        self._read(_KEY, "idempotency_key", text, "at most 64 of A-Z a-z 0-9 _ -")

    def channel(self, number: int) -> None:
        """Read a channel."""
        if number not in _CHANNELS:
            self.fault("channel", f"{number} is none of CHANNEL_WEB (1) and CHANNEL_MOBILE (2)")

    def log_text(self, field: str, text: str, most: int) -> None:
        """Read text for logs."""
        if len(text) > most or not text.isascii() or not text.isprintable():
            self.fault(field, f"is not at most {most} printable ASCII characters")

    def title(self, field: str, text: str) -> None:
        """Read a line for people."""
        if len(text) > 128 or not text.isprintable() or text != text.strip():
            self.fault(field, "is not one line of at most 128 characters without spaces around it")
        elif _ENCODED_WORD.search(text) or _LINK.search(text):
            self.fault(field, "holds an encoded word, or an address of the web or of mail")

    def email(self, text: str) -> str:
        """Read an e-mail address."""
        address = read_address(text)
        if address is None or _ENCODED_WORD.search(text) or "//" in text or text.lower().startswith("www."):
            self.fault("email", "is not an e-mail address")
        return address or ""

    def states(self, numbers: list[int]) -> None:
        """Read invitation states."""
        if not _STATES.issuperset(numbers):
            self.fault("states", "names an unknown state")

    def permissions(self, permissions: mu.Permissions) -> None:
        """Read what a user is to hold."""
        self._few({"permissions.roles": len(permissions.roles), "permissions.actions": len(permissions.actions)})
        if bool(permissions.roles) == bool(permissions.actions):
            self.fault("permissions", "takes either roles or actions, and at least one")
        else:
            self._roles("permissions.roles", list(permissions.roles))
            self._actions("permissions.actions", list(permissions.actions))

    def _few(self, counts: dict[str, int]) -> None:
        """Lists over their bounds are refused before anything in them is read."""
        many = {name: count for name, count in counts.items() if count > _MOST_ITEMS[name]}
        if many:
            refuse_fields({name: f"{name} has more than {_MOST_ITEMS[name]} items" for name in many})

    def definition(self, definition: mu.RoleDefinition) -> None:
        """Read a custom role's definition."""
        lists = {"allow": definition.allow, "deny": definition.deny, "includes": definition.includes}
        self._few({f"definition.{name}": len(items) for name, items in lists.items()})
        if not definition.allow and not definition.includes:
            self.fault("definition", "allows nothing: name actions to allow, or roles to include")
        else:
            self._actions("definition.allow", list(definition.allow))
            self._actions("definition.deny", list(definition.deny))
            self._roles("definition.includes", list(definition.includes))

    def _roles(self, field: str, names: list[str]) -> None:
        for name in names:
            self.role(field, name)

    def _actions(self, field: str, names: list[str]) -> None:
        for name in names:
            self._read(_ACTION, field, name, "two words of a-z 0-9 _ joined by a colon, 3 to 64 characters")

    def _read(self, grammar: re.Pattern[str], field: str, text: str, wanted: str) -> None:
        if not grammar.fullmatch(text):
            self.fault(field, f"is not {wanted}" if text else "is empty")
