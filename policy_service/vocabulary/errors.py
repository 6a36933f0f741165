"""What no revision of here can say."""

from dataclasses import dataclass

from policy_service.errors import PolicyError


@dataclass(kw_only=True)
class ForeignHistory(PolicyError):
    """This revision is not of the history here: a backup was restored, or it is another's. Drop it, and read again."""

    reason = "FOREIGN_HISTORY"
    revision: int
    remembered_from: int | None = None
    """The first revision of which this process can say what it was; what is older is refused as foreign."""
