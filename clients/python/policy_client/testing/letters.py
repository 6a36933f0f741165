"""How many e-mails would have gone out, and when that is too many: as the service counts them by default."""

from datetime import datetime, timedelta
from typing import Final

from policy_client.testing.refusals import refuse_until
from policy_client.testing.state import Letter, State

_WITHIN: Final = timedelta(hours=24)
_MOST: Final = {"invitation": 5, "address": 10, "account": 200}


def send(draft: State, *, invitation: str, email: str, physician: str, now: datetime) -> None:
    """Count a letter. Refuses TOO_MANY_LETTERS, with the time when one more may go."""
    letter = Letter(invitation=invitation, address=email.lower(), account=physician, at=now)
    refused: tuple[datetime, str] | None = None
    for of, most in _MOST.items():
        same = [
            other.at
            for other in draft.letters
            if getattr(other, of) == getattr(letter, of) and other.at > now - _WITHIN
        ]
        if len(same) >= most:
            until = sorted(same)[-most] + _WITHIN
            refused = max(refused or (until, of), (until, of), key=lambda found: found[0])
    if refused is not None:
        refuse_until("TOO_MANY_LETTERS", refused[0], now, of=refused[1], most=_MOST[refused[1]])
    draft.letters.append(letter)
