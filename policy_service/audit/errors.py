"""What an audit question cannot be answered for."""

from dataclasses import dataclass

from policy_service.errors import PolicyError


@dataclass(kw_only=True)
class PeriodTooLong(PolicyError):
    """More was changed in this period than one answer looks at; ask for shorter ones."""

    reason = "PERIOD_TOO_LONG"
    changes: int
