"""How much one account may hold, counted from rows read after the lock is held: two writers at once cannot pass it.

An account that holds more, as the cap was lowered since, keeps it and may give
it up; what it may not is grow.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final

from policy_service.store.errors import AccountFull
from policy_service.vocabulary import Physician, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most of each in one account."""

    roles: int = 100
    rules: int = 10_000
    members: int = 2_000

    def refuse_growth(self, physician: Physician, held: Set[Row], ended: Iterable[Row], begun: Iterable[Row]) -> None:
        """Raise AccountFull where an account would have more than it may, and more than it had."""
        wanted = (held - set(ended)) | set(begun)
        if len(wanted) <= min(self.roles, self.rules, self.members):
            return
        before, after = count(held), count(wanted)
        for name, total in after.items():
            if before[name] < total > (most := getattr(self, name)):
                raise AccountFull(physician=physician, of=name, most=most, wanted=total)


CAPS: Final = Caps()
"""Those that hold unless others are set."""


def count(rows: Iterable[Row]) -> dict[str, int]:
    """What rows hold of what has a cap."""
    roles, members, rules = set[str](), set[str](), 0
    for row in rows:
        subject = row.values[0]
        rules += row.ptype == "p"
        if subject.startswith("user:"):
            members.add(subject)
        # A person's own selection is a role of their own, and no role that the account named.
        elif subject.startswith("role:") and not subject.startswith("role:custom."):
            roles.add(subject)
    return {"roles": len(roles), "rules": rules, "members": len(members)}
