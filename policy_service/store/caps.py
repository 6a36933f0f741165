"""How much one account may hold, counted after the lock is held: two writers at once cannot pass it.

An account that holds more, as the cap was lowered since, keeps it and may give
it up; what it may not is grow.
"""

from dataclasses import dataclass
from typing import Any, Final

from policy_service.store.errors import AccountFull
from policy_service.vocabulary import Physician, domain_of

# A person's own selection is a role of their own, and no role that the account named.
_COUNT = """
SELECT count(DISTINCT v0) FILTER (WHERE v0 LIKE 'role:%' AND v0 NOT LIKE 'role:custom.%') AS roles,
       count(*) FILTER (WHERE ptype = 'p') AS rules,
       count(DISTINCT v0) FILTER (WHERE v0 LIKE 'user:%') AS members
FROM rules WHERE until_revision IS NULL AND domain = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most of each in one account."""

    roles: int = 100
    rules: int = 10_000
    members: int = 2_000

    def refuse_growth(self, physician: Physician, before: dict[str, int], after: dict[str, int]) -> None:
        """Raise AccountFull where an account has more than it may, and more than it had."""
        for name, count in after.items():
            if before[name] < count > (most := getattr(self, name)):
                raise AccountFull(physician=physician, of=name, most=most, wanted=count)


CAPS: Final = Caps()
"""Those that hold unless others are set."""


async def count(connection: Any, physician: Physician) -> dict[str, int]:
    """What an account holds now of what has a cap; under the lock."""
    return dict(await connection.fetchrow(_COUNT, domain_of(physician)))
