"""How much an account may hold, and how often it may be told that somebody exists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from policy_client.testing.refusals import refuse, refuse_until
from policy_client.testing.rules import Account

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """As the service's settings have them unless set; a person's own selection of actions is no role that counts."""

    roles_per_account: int = 100
    rules_per_account: int = 10_000
    members_per_account: int = 2_000
    prompts_per_hour: int = 60

    def refuse_growth(self, before: Mapping[str, Account], after: Mapping[str, Account]) -> None:
        """Refuse ACCOUNT_FULL where an account has more than it may, and more than it had."""
        for name, account in after.items():
            if account is before.get(name):
                continue
            had = _count(before[name]) if name in before else {}
            for of, count in _count(account).items():
                if had.get(of, 0) < count > (most := getattr(self, f"{of}_per_account")):
                    refuse("ACCOUNT_FULL", physician=name, of=of, most=most, wanted=count)


@dataclass(frozen=True, slots=True)
class Prompts:
    """When each account was told; kept where nothing else is, as a refusal changes nothing."""

    _told: dict[str, list[datetime]] = field(default_factory=dict)

    def refuse_spent(self, physician: str, most: int, now: datetime) -> None:
        """Refuse TOO_MANY_PROMPTS, with the time from which the account may go on."""
        told = [moment for moment in self._told.get(physician, ()) if moment > now - _HOUR]
        if len(told) >= most:
            limit = "answers an hour that somebody exists"
            refuse_until("TOO_MANY_PROMPTS", told[-most] + _HOUR, now, limit=limit, most=most, physician=physician)

    def note(self, physician: str, now: datetime) -> None:
        """The account is being told."""
        self._told.setdefault(physician, []).append(now)


def _count(account: Account) -> dict[str, int]:
    subjects = {row[0] for row in account.rows}
    return {
        "roles": sum(one.startswith("role:") and not one.startswith("role:custom.") for one in subjects),
        "rules": sum(len(row) == 3 for row in account.rows),
        "members": sum(one.startswith("user:") for one in subjects),
    }
