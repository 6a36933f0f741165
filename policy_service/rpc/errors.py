"""What is refused before anything is asked of the service behind."""

from dataclasses import dataclass
from datetime import timedelta

from policy_service.errors import Kind, PolicyError


class _TryAgainSoon:
    """Too much at this moment."""

    def retry_after(self) -> timedelta | None:
        """A limit of what is in hand or of a second: the next second is another."""
        return timedelta(seconds=1)


@dataclass(kw_only=True)
class ListChanged(PolicyError):
    """The list has changed since its first page was answered; begin again."""

    kind = Kind.CHANGED
    reason = "LIST_CHANGED"


@dataclass(kw_only=True)
class AnswerNotTaken(PolicyError):
    """The parts of the answer were not read as they came."""

    kind = Kind.EXHAUSTED
    reason = "ANSWER_NOT_TAKEN"


@dataclass(kw_only=True)
class TooManyQuestions(_TryAgainSoon, PolicyError):
    """As many explanations and lists as may are in hand, beside which checks go on; try again in a moment."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_QUESTIONS"
    limit: str
    """Which bound was met."""
    most: int


@dataclass(kw_only=True)
class RateLimited(_TryAgainSoon, PolicyError):
    """This caller asks faster than it may."""

    kind = Kind.EXHAUSTED
    reason = "RATE_LIMITED"
    limit: str
    """Which bound was met."""
    most: float


@dataclass(kw_only=True)
class CallerNotAllowed(PolicyError):
    """The calling service has no right to call this method."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_ALLOWED"
    caller: str
    method: str


@dataclass(kw_only=True)
class CallerNotIdentified(PolicyError):
    """The calling service cannot be told: its certificate names exactly one identity of an accepted kind, or nobody."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_IDENTIFIED"
    found: str
    """What it names instead; never the names themselves, which nobody vouches for."""


@dataclass(kw_only=True)
class CallerNotLocal(PolicyError):
    """Without TLS only a process of this host is answered, over loopback, and nothing that a proxy passes on."""

    kind = Kind.NOT_ALLOWED
    reason = "CALLER_NOT_LOCAL"
    found: str


@dataclass(kw_only=True)
class TooManyCalls(_TryAgainSoon, PolicyError):
    """As many calls of this kind are in hand as may be; try again in a moment."""

    kind = Kind.EXHAUSTED
    reason = "TOO_MANY_CALLS"
    limit: str
    """Which bound was met."""
    most: int


@dataclass(kw_only=True)
class TooManyWatches(TooManyCalls):
    """As many watch this server's health as may; go on without."""

    # By gRPC's rules (gRFC A17) this is how a client learns to use a server whose health it cannot watch. Told anything
    # else it would take the server for dead, and 64 watches of somebody's would keep everybody new away.
    kind = Kind.NO_METHOD


@dataclass(kw_only=True)
class CallNotSent(PolicyError):
    """The call was opened and its message did not come; others needed the place, or the time was up."""

    kind = Kind.EXHAUSTED
    reason = "CALL_NOT_SENT"
    limit: str
    seconds: float


@dataclass(kw_only=True)
class UnreadableRequest(PolicyError):
    """What was sent is not the one message that this method takes."""

    kind = Kind.INVALID
    reason = "UNREADABLE_REQUEST"
    message: str


@dataclass(kw_only=True)
class UnknownService(PolicyError):
    """This address says nothing of such a service."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_SERVICE"
    services: tuple[str, ...]
    """Of which it does."""


@dataclass(kw_only=True)
class UnknownMethod(PolicyError):
    """This address has no such method."""

    kind = Kind.NO_METHOD
    reason = "UNKNOWN_METHOD"
    services: tuple[str, ...]
    """Those that it has."""
