"""How many e-mails would have gone out, and when that is too many: as the service counts them by default."""

from datetime import datetime, timedelta
from typing import Final

from policy_client.testing.refusals import refuse_until
from policy_client.testing.state import Letter, State

_WITHIN: Final = timedelta(hours=24)
_MOST: Final = {"invitation": 5, "address": 10, "account": 200}


def send(draft: State, *, email: str, now: datetime, invitation: str = "", physician: str = "") -> None:
    """Count a letter that is asked for. Refuses TOO_MANY_LETTERS, with the time when one more may go."""
    letter = _letter(invitation, email, physician, now)
    refused: tuple[datetime, str] | None = None
    for of, most in _MOST.items():
        name = getattr(letter, of)
        same = [other.at for other in draft.letters if getattr(other, of) == name and other.at > now - _WITHIN]
        if name and len(same) >= most:
            until = sorted(same)[-most] + _WITHIN
            refused = max(refused or (until, of), (until, of), key=lambda found: found[0])
    if refused is not None:
        again_at, of = refused
        refuse_until("TOO_MANY_LETTERS", again_at, now, limit=f"e-mails of one {of}", most=_MOST[of], of=of)
    draft.letters.append(letter)


def note(draft: State, *, email: str, now: datetime, invitation: str = "", physician: str = "") -> None:
    """Count a letter that goes whatever the limits say, as it follows from something done."""
    draft.letters.append(_letter(invitation, email, physician, now))


def _letter(invitation: str, email: str, physician: str, now: datetime) -> Letter:
    return Letter(invitation=invitation, address=email.lower(), account=physician, at=now)
