"""Questions and answers as values: frozen, typed, and checked before anybody may rely on them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import Literal

from policy_client._pb import decision_pb2 as pb
from policy_client.errors import ProtocolError
from policy_client.revisions import Revision, history_of, revision_of


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
class Permissions:
    """Every action, shown or hidden."""

    actions: tuple[Permission, ...]
    roles: tuple[str, ...]
    revision: Revision
    unknown_user: bool = False
    """No account names this user; the name may be mistyped."""

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


_CHANNELS = {Channel.WEB: pb.CHANNEL_WEB, Channel.MOBILE: pb.CHANNEL_MOBILE}
CHANNEL_OF = {number: channel for channel, number in _CHANNELS.items()}
_REASONS = {pb.Reason.Value(f"REASON_{reason.name}"): reason for reason in Reason if reason is not Reason.OTHER}


def channel_of(channel: Via) -> Channel:
    """The channel that a word names. Raises ValueError for another word, and for nothing: that is not the web."""
    try:
        return Channel(channel)
    except ValueError:
        words = " or ".join(repr(known.value) for known in Channel)
        raise ValueError(f"channel is {channel!r}; it is {words}") from None


def channel_number(channel: Via) -> pb.Channel:
    """The channel on the wire."""
    return _CHANNELS[channel_of(channel)]


def check_request(question: Question) -> pb.CheckRequest:
    """A question on the wire. Raises TypeError for what is no text, naming it."""
    if not isinstance(question, Question):
        raise TypeError(f"{question!r} is no Question; write Question(user, physician, action)")
    refuse_no_text(user=question.user, physician=question.physician, action=question.action)
    return pb.CheckRequest(
        user=question.user,
        physician=question.physician,
        action=question.action,
        channel=channel_number(question.channel),
        min_revision=question.min_revision,
        history=history_of(question.min_revision),
        resource=question.resource,
        correlation_id=question.correlation_id,
    )


def refuse_no_text(**fields: object) -> None:
    """Raise TypeError, naming the field, for what the wire would take for something else, as None for empty."""
    for name, value in fields.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {type(value).__name__}, not a string")


def reason_of(number: int) -> Reason:
    """The reason from the wire; one that this client does not know is OTHER."""
    return _REASONS.get(number, Reason.OTHER)


def decision_from(response: pb.CheckResponse, min_revision: int = 0) -> Decision:
    """An answer from the wire. Raises ProtocolError if it says both yes and why not, or is older than asked for."""
    reason = reason_of(response.reason)
    if response.revision < min_revision:
        raise ProtocolError(f"the answer is of revision {response.revision}, asked for was {min_revision}")
    if response.allowed != (reason is Reason.GRANTED):
        raise ProtocolError(f"the answer says allowed={response.allowed} with reason {reason.value!r}")
    return Decision(
        allowed=response.allowed,
        reason=reason,
        revision=revision_of(response),
        decision_id=response.decision_id,
        role=response.role or None,
    )


def decisions_from(response: pb.BatchCheckResponse, asked: int) -> list[Decision]:
    """The answers of a batch. Raises ProtocolError unless there is one for each question, all at one revision."""
    if len(response.answers) != asked:
        raise ProtocolError(f"{asked} questions got {len(response.answers)} answers")
    decisions = [decision_from(answer) for answer in response.answers]
    if any(decision.revision != response.revision for decision in decisions):
        raise ProtocolError("the answers of one batch are of several revisions")
    return decisions


def permissions_from(response: pb.ListActionsResponse) -> Permissions:
    """Every action from the wire. Raises ProtocolError if one contradicts itself."""
    for access in response.actions:
        if access.shown != (reason_of(access.reason) is Reason.GRANTED):
            raise ProtocolError(f"{access.action} is shown={access.shown} with reason {access.reason}")
    return Permissions(
        actions=tuple(
            Permission(
                action=access.action, shown=access.shown, reason=reason_of(access.reason), role=access.role or None
            )
            for access in response.actions
        ),
        roles=tuple(response.roles),
        revision=revision_of(response),
        unknown_user=response.unknown_user,
    )


def users_from(pages: Sequence[pb.ListUsersResponse]) -> Users:
    """A whole list from its pages."""
    return Users(
        users=tuple(Access(user=found.user, role=found.role or None) for page in pages for found in page.users),
        revision=_one_revision([revision_of(page) for page in pages]),
    )


def places_from(pages: Sequence[pb.ListPhysiciansResponse]) -> Places:
    """A whole list from its pages."""
    return Places(
        physicians=tuple(
            Place(physician=found.physician, roles=tuple(found.roles), actions=tuple(found.actions))
            for page in pages
            for found in page.physicians
        ),
        revision=_one_revision([revision_of(page) for page in pages]),
        unknown_user=pages[0].unknown_user,
    )


def explanation_from(response: pb.ExplainResponse) -> Explanation:
    """An explanation from the wire. Raises ProtocolError like ``decision_from``."""
    rule, missing = response.rule, response.missing
    return Explanation(
        decision=decision_from(response.decision),
        sentence=response.sentence,
        roles=tuple(response.roles),
        path=tuple(Grant(subject=grant.subject, role=grant.role) for grant in response.path),
        rule=Rule(subject=rule.subject, physician=rule.physician, action=rule.action, effect=rule.effect)
        if response.HasField("rule")
        else None,
        missing=Missing(action=missing.action, roles=tuple(missing.roles)) if response.HasField("missing") else None,
    )


def _one_revision(revisions: list[Revision]) -> Revision:
    if len(set(revisions)) != 1:
        raise ProtocolError(f"the pages of one list are of several revisions: {revisions}")
    return revisions[0]
