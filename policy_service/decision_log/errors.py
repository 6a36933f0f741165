"""Why an answer is held back rather than go unrecorded."""

from dataclasses import dataclass

from policy_service.errors import Kind, LimitReached, PolicyError


@dataclass(kw_only=True)
class DecisionLogBehind(LimitReached):
    """This caller's decisions come faster than they are recorded; nothing was answered, ask again more slowly."""

    reason = "DECISION_LOG_BEHIND"


@dataclass(kw_only=True)
class DecisionLogIsFull(PolicyError):
    """There is no room to record decisions, so none is answered; ask another replica, or again later."""

    kind = Kind.UNAVAILABLE
    reason = "DECISION_LOG_FULL"
