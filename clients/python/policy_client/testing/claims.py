"""Who may take a name or an address, and which names look alike."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_client.testing.refusals import Refusal, refuse
from policy_client.testing.state import PENDING, State

_LOOKS: Final = str.maketrans("I10", "llo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody who holds a name or an address: a known user, or whom an open invitation reserves it for."""

    user: str
    email: str | None
    is_known: bool

    def has_address(self, email: str) -> bool:
        """Is this address theirs, however it is written?"""
        return self.email is not None and self.email.lower() == email.lower()


def alike(one: str, other: str) -> bool:
    """Could one name be taken for the other, or is it the same?"""
    return one.lower() == other.lower() or _look(one) == _look(other)


def refuse_prompted(
    draft: State, physician: str, user: str, email: str, now: datetime, *, reuse_existing: bool, but: str = ""
) -> None:
    """Refuse USER_EXISTS and USER_MISMATCH: what the page must ask or tell; after many, TOO_MANY_PROMPTS."""
    draft.prompts.refuse_spent(physician, draft.limits.prompts_per_hour, now)
    try:
        _refuse_known(draft, user, email, now, reuse_existing=reuse_existing, but=but)
    except Refusal:
        draft.prompts.note(physician, now)
        raise


def _refuse_known(draft: State, user: str, email: str, now: datetime, *, reuse_existing: bool, but: str) -> None:
    held = _claims(draft, user, email, now, but)
    addressed = next((claim for claim in held if claim.has_address(email)), None)
    named = next((claim for claim in held if claim.user == user), None)
    similar = next((claim for claim in held if alike(claim.user, user)), None)
    if addressed is not None and addressed.user != user:
        refuse("USER_EXISTS", user=addressed.user)
    if named is None:
        if similar is not None:
            refuse("USER_EXISTS", user=similar.user)
        return
    if named.email is not None and not named.has_address(email):
        refuse("USER_MISMATCH")
    if not reuse_existing:
        refuse("USER_EXISTS", user=user)


def refuse_owner(draft: State, user: str, now: datetime) -> None:
    """Refuse NAME_RESERVED and NAME_TOO_SIMILAR for a user who comes in without invitation."""
    held = _claims(draft, user, "", now, "")
    if any(claim.user == user and claim.is_known for claim in held):
        return
    for claim in held:
        if claim.user == user:
            refuse("NAME_RESERVED", user=user)
        refuse("NAME_TOO_SIMILAR", name=user, like=claim.user)


def refuse_physician(draft: State, physician: str) -> None:
    """Refuse PHYSICIAN_EXISTS and NAME_TOO_SIMILAR for a new account."""
    for other in sorted(draft.accounts):
        if other == physician:
            refuse("PHYSICIAN_EXISTS", physician=physician)
        if alike(other, physician):
            refuse("NAME_TOO_SIMILAR", name=physician, like=other)


def with_address(draft: State, email: str) -> str | None:
    """Whose confirmed address this is."""
    lower = email.lower()
    return next((user for user, person in draft.people.items() if (person.email or "").lower() == lower), None)


def _look(name: str) -> str:
    return name.translate(_LOOKS).replace("rn", "m").lower()


def _claims(draft: State, user: str, email: str, now: datetime, but: str) -> list[Claim]:
    known = [Claim(user=name, email=person.email, is_known=True) for name, person in draft.people.items()]
    invited = [
        Claim(user=one.user, email=one.email, is_known=False)
        for one in draft.invitations.values()
        if one.state_at(now) == PENDING and one.id != but and one.user not in draft.people
    ]
    held = [claim for claim in (*known, *invited) if alike(claim.user, user) or (email and claim.has_address(email))]
    return sorted(held, key=lambda claim: (not claim.is_known, claim.user, claim.email or ""))
