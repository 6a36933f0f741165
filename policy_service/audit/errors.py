"""What an audit question cannot be answered for."""

from dataclasses import dataclass

from policy_service.errors import PolicyError


@dataclass(kw_only=True)
class CheckpointOfAnotherLog(PolicyError):
    """A checkpoint is of another log, by which this one cannot be judged; leave it out, or ask where it is from."""

    reason = "CHECKPOINT_OF_ANOTHER_LOG"
    revision: int


@dataclass(kw_only=True)
class PeriodTooLong(PolicyError):
    """More was changed in this period than one answer looks at; ask for shorter ones."""

    reason = "PERIOD_TOO_LONG"
    changes: int
