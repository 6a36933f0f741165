"""What cannot be asked."""

from dataclasses import dataclass

from policy_service.errors import Kind, PolicyError


@dataclass(kw_only=True)
class UnknownPhysician(PolicyError):
    """No such physician account is registered."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_PHYSICIAN"
    physician: str
    at_revision: int | None = None
    """When, where that is not now."""


@dataclass(kw_only=True)
class UnknownAction(PolicyError):
    """No such action exists."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_ACTION"
    action: str
    did_you_mean: str | None = None
    """One that is much like it."""
