"""How often an account may be told that somebody exists.

The page tells whoever invites that a username or an address is known, so that
the person can be invited with the credentials they have. That must not become
a way to try addresses by the hundred: an account may be told so many times an
hour; then it can invite nobody for a while, known or not, since a refusal of
known ones alone would tell as much. Counted by each replica for itself.
"""

from datetime import datetime, timedelta
from typing import Final

from policy_service.members.errors import TooManyPrompts
from policy_service.vocabulary import Physician

_HOUR: Final = timedelta(hours=1)


class Prompts:
    """When each account was told lately."""

    def __init__(self, most_an_hour: int) -> None:
        """Accounts that were told nothing for an hour are forgotten."""
        self._most = most_an_hour
        self._told: dict[Physician, list[datetime]] = {}

    def refuse_spent(self, physician: Physician, now: datetime) -> None:
        """Raise TooManyPrompts, with the time from which it may go on."""
        told = [moment for moment in self._told.get(physician, ()) if moment > now - _HOUR]
        if len(told) >= self._most:
            again = told[-self._most] + _HOUR
            raise TooManyPrompts(
                limit="answers an hour that somebody exists",
                most=self._most,
                physician=physician,
                again_at=again,
                wait=again - now,
            )

    def note(self, physician: Physician, now: datetime) -> None:
        """The account is being told."""
        self._told = {
            account: kept
            for account, told in self._told.items()
            if (kept := [moment for moment in told if moment > now - _HOUR])
        }
        self._told.setdefault(physician, []).append(now)
