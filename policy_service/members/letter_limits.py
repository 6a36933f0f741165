"""How many letters may go out: of one invitation, to one address, for one account.

However they come about: inviting, inviting again after a cancellation, resending.
Counted in the writing transaction, after its lock is held, so that callers side
by side cannot all find the last one free.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from policy_service.members.errors import TooManyLetters
from policy_service.store import Transaction, oldest_of_last
from policy_service.vocabulary import Physician


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLimits:
    """The most letters within a time; 0 for no limit."""

    per_invitation: int = 0
    per_address: int = 0
    per_account: int = 0
    within: timedelta = timedelta(days=1)

    async def refuse_more(
        self,
        tx: Transaction,
        *,
        email: str,
        now: datetime,
        physician: Physician | None = None,
        invitation: str | None = None,
    ) -> None:
        """Raise TooManyLetters, with the time when one more may go, if this one may not."""
        most = {
            "invitation": self.per_invitation if invitation is not None else 0,
            "address": self.per_address,
            "account": self.per_account if physician is not None else 0,
        }
        if not any(most.values()):
            return
        refused: TooManyLetters | None = None
        oldest = await oldest_of_last(
            tx,
            now - self.within,
            invitation=(invitation or "", most["invitation"]),
            address=(email, most["address"]),
            account=(physician or "", most["account"]),
        )
        for of, first in oldest.items():
            # The latest of all: then no other limit says no.
            if first is not None and (refused is None or first + self.within > refused.again_at):
                again_at = first + self.within
                refused = TooManyLetters(
                    limit=f"e-mails of one {of}", of=of, most=most[of], again_at=again_at, wait=again_at - now
                )
        if refused is not None:
            raise refused
