"""Why a seed is not planned or applied."""

from dataclasses import dataclass

from policy_service.errors import Kind, PolicyError


@dataclass(kw_only=True)
class RoleNameTaken(PolicyError):
    """Some account has a custom role of this name, which a built-in role would change."""

    reason = "ROLE_NAME_TAKEN"
    roles: tuple[str, ...]


@dataclass(kw_only=True)
class ActionInUse(PolicyError):
    """Accounts' own roles and open invitations name an action that there would be no longer."""

    reason = "ACTION_IN_USE"
    actions: tuple[str, ...]
    used_by: tuple[str, ...]
    """Accounts, each with the role or the invitation."""


@dataclass(kw_only=True)
class BrokenSeed(PolicyError):
    """The seed has errors; nothing was planned or applied."""

    reason = "BROKEN_SEED"
    faults: tuple[str, ...]
    count: int


@dataclass(kw_only=True)
class PlanMoved(PolicyError):
    """The policy, the seed or what it would do is no longer what the plan says; plan again."""

    kind = Kind.CHANGED
    reason = "PLAN_MOVED"
    planned: int
    now: int


@dataclass(kw_only=True)
class MassRemoval(PolicyError):
    """The plan removes more of the built-in rows than it may unless that is meant."""

    reason = "MASS_REMOVAL"
    removed: int
    rows: int
    most: str


@dataclass(kw_only=True)
class EmptiedRole(PolicyError):
    """The plan takes away all that a role allows; whoever holds it would be left with nothing."""

    reason = "EMPTIED_ROLE"
    roles: tuple[str, ...]


@dataclass(kw_only=True)
class CallersLockedOut(PolicyError):
    """The plan leaves calling services without a right, or nobody to apply another seed over gRPC."""

    reason = "CALLERS_LOCKED_OUT"
    callers: tuple[str, ...]
    """Those who could call something and could call nothing."""
    appliers: int
    """How many could still apply a seed."""


@dataclass(kw_only=True)
class WidenedCallers(PolicyError):
    """Calling services would be allowed to call what they may not call now."""

    reason = "WIDENED_CALLERS"
    gained: tuple[str, ...]
    """Some of it: a caller and what it would gain."""
    count: int
    """How many pairs of caller and right."""


@dataclass(kw_only=True)
class MayNotChangeCallers(PolicyError):
    """The plan changes what calling services may do, for which its own caller has no right."""

    kind = Kind.NOT_ALLOWED
    reason = "MAY_NOT_CHANGE_CALLERS"
    caller: str
    right: str
