"""Rules of another address: asked for, confirmed from there."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from policy_client.testing import invitations
from policy_client.testing.claims import with_address
from policy_client.testing.letters import note, send
from policy_client.testing.refusals import refuse, refuse_until
from policy_client.testing.state import AddressChange, State

_MOST_A_DAY: Final = 5
_DAY: Final = timedelta(days=1)


def ask(draft: State, user: str, email: str, *, now: datetime, until: datetime) -> AddressChange:
    """A wish for another address, in place of an open one."""
    person = draft.people.get(user)
    if person is None:
        refuse("UNKNOWN_USER", user=user)
    if not person.is_set_up:
        refuse("SETUP_UNFINISHED", user=user)
    if person.email == email:
        refuse("ADDRESS_UNCHANGED", user=user)
    before = [one.asked_at for one in draft.addresses if one.user == user and one.asked_at > now - _DAY]
    if len(before) >= _MOST_A_DAY:
        again = before[-_MOST_A_DAY] + _DAY
        limit = "address changes of one person a day"
        refuse_until("TOO_MANY_ADDRESS_CHANGES", again, now, limit=limit, most=_MOST_A_DAY, user=user)
    send(draft, email=email, now=now)
    token = secrets.token_urlsafe(32)
    wish = AddressChange(user=user, email=email, is_open=True, asked_at=now, expires_at=until, token=token)
    _replace(draft, {one: replace(one, is_open=False) for one in draft.addresses if one.user == user}, wish)
    return wish


def confirm(draft: State, token: str, now: datetime) -> AddressChange:
    """Use a link's token, once."""
    found = [one for one in draft.addresses if one.token == token and one.is_open and one.expires_at > now]
    if not found:
        refuse("INVALID_TOKEN")
    (wish,) = found
    if with_address(draft, wish.email) not in (None, wish.user):
        refuse("ADDRESS_TAKEN")
    before = draft.people[wish.user].email or ""
    draft.people[wish.user] = replace(draft.people[wish.user], email=wish.email)
    if before and before.lower() != wish.email.lower():
        note(draft, email=before, now=now)
    invitations.follow(draft, wish.user, before, wish.email, now)
    _replace(draft, {wish: replace(wish, is_open=False)})
    return wish


def _replace(draft: State, changed: dict[AddressChange, AddressChange], *more: AddressChange) -> None:
    object.__setattr__(draft, "addresses", (*(changed.get(one, one) for one in draft.addresses), *more))
