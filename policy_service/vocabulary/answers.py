"""What is asked and answered, and what is recorded of it: closed sets and frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy_service.vocabulary.identifiers import Role


class Channel(StrEnum):
    """The way the user came in."""

    WEB = "web"
    MOBILE = "mobile"

    __hash__ = str.__hash__


class Reason(StrEnum):
    """Why a question was answered as it was."""

    GRANTED = "granted"
    NOT_A_MEMBER = "not a member"
    NOT_GRANTED = "not granted"
    DENIED_BY_RULE = "denied by rule"
    CHANNEL_NOT_ALLOWED = "channel not allowed"
    UNKNOWN_ACTION = "unknown action"
    UNKNOWN_PHYSICIAN = "unknown physician"

    __hash__ = str.__hash__


class DecisionLogMode(StrEnum):
    """Which decisions are recorded."""

    ALL = "all"
    DENIALS = "denials"
    OFF = "off"


class DecisionLogFull(StrEnum):
    """What becomes of questions whose decisions there is no room to record."""

    REFUSE = "refuse"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Answers to a caller that were not recorded, from a first to a last time."""

    caller: str
    """Empty where it was not noted."""
    so_far: int
    """Of this caller in this process since its start, these included."""
    lost: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an answer says, apart from when. Shared between questions; see engine."""

    allowed: bool
    reason: Reason
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A revision with the mark of the change that made it: a point in one history."""

    revision: int
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long walk is."""

    done: int
    total: int
