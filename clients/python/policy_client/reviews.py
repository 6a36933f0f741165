"""What auditors are answered: changes, decisions, reviews of access, differences, verdicts on the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policy_client.answers import ActionInfo, Channel, Reason
from policy_client.revisions import Revision

PolicyRow = tuple[str, ...]
"""A row of policy, field by field: ``("g", "user:mia", "role:data_entry", "physician:dr-osei")``."""


Point = int | datetime | None
"""A revision, or the last one made at or before a time, or now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An entry of the change log. ``physician`` is empty where it is not of one account; hashes are hexadecimal."""

    revision: int
    at: datetime
    caller: str
    actor: str
    reason: str
    kind: str
    physician: str
    before: tuple[PolicyRow, ...]
    after: tuple[PolicyRow, ...]
    detail: Mapping[str, object]
    mark: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecision:
    """A decision as it was recorded."""

    decision_id: str
    replica: str
    sequence: int
    at: datetime
    caller: str
    user: str
    physician: str
    action: str
    channel: Channel
    resource: str
    correlation_id: str
    allowed: bool
    reason: Reason
    role: str | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRole:
    """A role that somebody holds directly, since when, and by whose doing."""

    role: str
    since_revision: int
    since: datetime
    granted_by: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedAction:
    """One action: shown or hidden, why, through which role, and whether in the mobile app too."""

    action: str
    shown: bool
    reason: Reason
    role: str | None
    mobile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedAccess:
    """One person in one account: what they hold, and every action."""

    user: str
    physician: str
    roles: tuple[HeldRole, ...]
    actions: tuple[ReviewedAction, ...]

    @property
    def has_access(self) -> bool:
        """May they do anything there? Roles that allow nothing are held without giving access."""
        return any(action.shown for action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedRole:
    """A custom role of an account, spelled out; ``allowed`` is what it allows in the end."""

    role: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    includes: tuple[str, ...]
    allowed: tuple[str, ...]
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedInvitation:
    """An invitation that was open; it grants nothing."""

    id: str
    physician: str
    username: str
    email: str
    roles: tuple[str, ...]
    actions: tuple[str, ...]
    invited_by: str
    invited_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessReview:
    """Who could do what in an account, or where a person could act, at a revision.

    ``physician`` or ``user`` names what was asked about; the other is empty.
    ``built_in_roles`` mean the same in every account; any other role is of its
    account. ``at`` is when the revision was made, ``hash`` that of its entry in the
    change log, ``checkpoint`` the service's signature over the log's head.
    """

    physician: str
    user: str
    display_name: str
    revision: Revision
    at: datetime
    hash: str
    checkpoint: str
    access: tuple[ReviewedAccess, ...]
    custom_roles: tuple[ReviewedRole, ...]
    pending: tuple[ReviewedInvitation, ...]
    built_in_roles: tuple[str, ...] = ()
    catalogue: tuple[ActionInfo, ...] = ()
    """What was said of each action then, in the order of lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSpan:
    """From when to when somebody could do something, on the web.

    ``begun`` and ``ended`` are the times of the changes that gave and took it,
    None where it held when the period began, or ended.
    """

    user: str
    physician: str
    action: str
    begun: datetime | None
    begun_revision: int | None
    ended: datetime | None
    ended_revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPeriod:
    """Everyone who could do something at any time in a period, from its ``earlier_revision`` to its last."""

    spans: tuple[AccessSpan, ...]
    earlier_revision: int
    later_revision: int

    @property
    def users(self) -> tuple[str, ...]:
        """Who could at all, in byte order."""
        return tuple(sorted({span.user for span in self.spans}))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDifference:
    """One person in one account whose access is another at the later point."""

    physician: str
    user: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDiff:
    """Everyone whose access changed between two revisions."""

    earlier_revision: int
    later_revision: int
    differences: tuple[AccessDifference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLog:
    """One process's part of the decision log; ``missing`` are gaps in its sequence."""

    replica: str
    started_at: datetime | None
    ended_at: datetime | None
    decisions: int
    first_sequence: int
    last_sequence: int
    counted_lost: int

    @property
    def missing(self) -> int:
        """Decisions that should be there between the first and the last."""
        return self.last_sequence - self.first_sequence + 1 - self.decisions if self.decisions else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Answers of a process to a caller that were not recorded, from a first to a last one.

    ``caller`` is empty and ``first_at`` None where that was not noted.
    """

    replica: str
    caller: str
    lost: int
    first_at: datetime | None
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Recorded decisions in the order of their arrival, and the place to go on from, now or later.

    ``more`` says that there is more already.
    """

    decisions: tuple[LoggedDecision, ...]
    cursor: str
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Entries of the change log walked so far, of all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the logs are whole, and where they are not.

    With a ``fault`` something was tampered with. Without one, ``lost`` answers
    that were never recorded keep the decision log from being whole; ``losses``
    say whose and when, the first 1,000 of them.
    """

    whole: bool
    entries: int
    broken_revision: int
    fault: str
    head_revision: int
    head_hash: str
    checkpoint: str
    checkpoints_met: int
    replicas: tuple[ReplicaLog, ...]
    statement: str = ""
    """What the log states, signed, of a stretch that an earlier release left forked."""
    lost: int = 0
    losses: tuple[Loss, ...] = ()
