"""Rules of another address: asked for by the person, confirmed from the new address, told to the old one.

Asking answers the same whether or not the address is somebody else's: only
who reads the mail there learns it, by the link.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from policy_service.members.errors import (
    AddressTaken,
    AddressUnchanged,
    InvalidToken,
    SetupUnfinished,
    TooManyAddressChanges,
    UnknownUser,
)
from policy_service.members.invitations import Invitations
from policy_service.members.letter_limits import LetterLimits
from policy_service.members.tokens import TokenKey, hash_of
from policy_service.store import Transaction, users
from policy_service.store import address_changes as table
from policy_service.vocabulary import User

MOST_A_DAY: Final = 5
"""How often a person may ask within a day: each time somebody gets a letter."""
_DAY: Final = timedelta(days=1)


class AddressChanges:
    """The use cases, with what they need besides a transaction."""

    def __init__(
        self, key: TokenKey, invitations: Invitations, *, valid_for: timedelta, limits: LetterLimits | None = None
    ) -> None:
        """Links are made with ``key`` and work for ``valid_for``; open ``invitations`` follow the person.

        E-mails to one address are as many as ``limits`` say.
        """
        self._key = key
        self._invitations = invitations
        self._valid_for = valid_for
        self._limits = limits or LetterLimits()

    async def ask(self, tx: Transaction, user: User, email: str, *, now: datetime) -> datetime:
        """Send a link to the new address; until when it works. The address before stays until it is used.

        Raises UnknownUser, SetupUnfinished, AddressUnchanged,
        TooManyAddressChanges and TooManyLetters.
        """
        person = await users.one(tx, user)
        if person is None:
            raise UnknownUser(user=user)
        if not person.is_set_up:
            raise SetupUnfinished(user=user)
        if person.email == email:
            raise AddressUnchanged(user=user)
        before = await table.asked_since(tx, user, now - _DAY)
        if len(before) >= MOST_A_DAY:
            again = before[-MOST_A_DAY] + _DAY
            raise TooManyAddressChanges(
                limit="address changes of one person a day",
                most=MOST_A_DAY,
                user=user,
                again_at=again,
                wait=again - now,
            )
        await self._limits.refuse_more(tx, email=email, now=now)
        wanted, expires_at = f"adr-{secrets.token_hex(12)}", now + self._valid_for
        await table.add(
            tx,
            wanted,
            user,
            email,
            now=now,
            expires_at=expires_at,
            token_hash=self._key.hash(wanted, 1),
            message_id=_message_id(wanted, "new"),
        )
        await tx.change("address.request", None, detail={"user": user, "email": email})
        return expires_at

    async def confirm(self, tx: Transaction, token: str, *, now: datetime) -> tuple[User, str]:
        """Use a link's token, once: the address is the user's from now on. Who, and which.

        The old address is told, and invitations that are open for the user get
        new links to the new one. Raises InvalidToken, and AddressTaken where
        it has become somebody else's meanwhile.
        """
        found = await table.confirm(tx, hash_of(token), now)
        if found is None:
            raise InvalidToken
        tx.act_as(found.user)
        if await users.with_address(tx, found.email) not in (None, found.user):
            raise AddressTaken
        person = await users.one(tx, found.user)
        before = None if person is None else person.email
        await users.readdress(tx, found.user, found.email)
        if before is not None and before.lower() != found.email.lower():
            await table.tell(tx, found.id, before, now=now, message_id=_message_id(found.id, "old"))
        followed = await self._invitations.follow(tx, found.user, before or "", found.email, now=now)
        detail = {"user": found.user, "email": found.email, "before": before or "", "followed": followed}
        await tx.change("address.change", None, detail=detail)
        return found.user, found.email


def _message_id(wanted: str, which: str) -> str:
    return f"<{wanted}.{which}@policy-service.invalid>"
