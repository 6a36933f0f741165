"""Questions and answers as values: frozen and typed."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import Literal

from policy_client.revisions import Revision


class Channel(Enum):
    """The way the user came in."""

    WEB = "web"
    MOBILE = "mobile"


class Reason(Enum):
    """Why a question was answered as it was."""

    GRANTED = "granted"
    NOT_A_MEMBER = "not a member"
    NOT_GRANTED = "not granted"
    DENIED_BY_RULE = "denied by rule"
    CHANNEL_NOT_ALLOWED = "channel not allowed"
    UNKNOWN_ACTION = "unknown action"
    UNKNOWN_PHYSICIAN = "unknown physician"
    OTHER = "other"
    """A reason newer than this client. Never an allow."""


Via = Channel | Literal["web", "mobile"]
"""A channel, or its word."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a batch, as ``Question("mia", "dr-osei", "claim:submit")``. Raises ValueError for no channel."""

    user: str
    physician: str
    action: str
    _: KW_ONLY
    channel: Via = Channel.WEB
    min_revision: int = 0
    resource: str = ""
    correlation_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", channel_of(self.channel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer; true in a condition only when allowed."""

    allowed: bool
    reason: Reason
    revision: Revision
    decision_id: str
    role: str | None
    cached: bool = False
    """Is it an answer of before, remembered by this client? Then ``decision_id`` is that of the answer of before."""

    @property
    def token(self) -> str:
        """The revision with its history, as one text to keep: see ``Revision``."""
        return self.revision.token

    def __bool__(self) -> bool:
        return self.allowed


class AccessDenied(Exception):
    """The answer was no. Not a PolicyError: the service worked."""

    def __init__(self, user: str, physician: str, action: str, decision: Decision) -> None:
        """Keep the question and the answer."""
        super().__init__(f"{user} may not {action} for {physician}: {decision.reason.value}")
        self.user = user
        self.physician = physician
        self.action = action
        self.decision = decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One action of one user in one account."""

    action: str
    shown: bool
    reason: Reason
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInfo:
    """What is said of an action: enough to draw it on a page, and to tick it."""

    action: str
    title: str
    sentence: str
    group: str
    owner_only: bool
    """No invited user can be given it."""
    not_mobile: bool
    """It is not done in the mobile app, whoever one is."""
    deprecated: bool
    replaced_by: str | None
    needs: tuple[str, ...]
    """What it is of no use without."""
    headline: bool
    """People ask about it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Every action that there is, in the order of lists."""

    actions: tuple[ActionInfo, ...]
    revision: Revision

    def __iter__(self) -> Iterator[ActionInfo]:
        """Each action."""
        return iter(self.actions)

    def groups(self) -> dict[str, tuple[ActionInfo, ...]]:
        """The same by group, for a page: groups in the order of their first action."""
        found: dict[str, tuple[ActionInfo, ...]] = {}
        for info in self.actions:
            found[info.group] = (*found.get(info.group, ()), info)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Every action, shown or hidden."""

    actions: tuple[Permission, ...]
    roles: tuple[str, ...]
    revision: Revision
    unknown_user: bool = False
    """No account names this user; the name may be mistyped."""
    catalogue: tuple[ActionInfo, ...] = ()
    """What is said of each action, in the same order."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The actions that the user may do."""
        return tuple(permission.action for permission in self.actions if permission.shown)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The actions that the user may not do."""
        return tuple(permission.action for permission in self.actions if not permission.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A user who may, and the role through which."""

    user: str
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Everyone who may, at one revision."""

    users: tuple[Access, ...]
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An account where a user may act."""

    physician: str
    roles: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Everywhere a user may act, at one revision."""

    physicians: tuple[Place, ...]
    revision: Revision
    unknown_user: bool = False
    """No account names this user; the name may be mistyped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Subject ("user:ann" or "role:desk") has role."""

    subject: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The line of policy that decided."""

    subject: str
    physician: str
    action: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The action that nothing allowed, and the roles of the account that would allow it."""

    action: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer with its grounds; true in a condition only when allowed."""

    decision: Decision
    sentence: str
    roles: tuple[str, ...]
    path: tuple[Grant, ...]
    rule: Rule | None
    missing: Missing | None

    def __bool__(self) -> bool:
        return self.decision.allowed


def channel_of(channel: Via) -> Channel:
    """The channel that a word names. Raises ValueError for another word, and for nothing: that is not the web."""
    try:
        return Channel(channel)
    except ValueError:
        words = " or ".join(repr(known.value) for known in Channel)
        raise ValueError(f"channel is {channel!r}; it is {words}") from None
