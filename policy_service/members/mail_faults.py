"""Whose fault it is that a mail server said no: the recipient's, ours, or nobody's yet.

Judged by the command that was refused, the reply code (RFC 5321, RFC 4954) and
the enhanced status code (RFC 3463, RFC 5248). Only a lasting no that speaks of
the recipient's address or mailbox gives a letter up and sends the owner to
check the address. Everything else is tried again: a login that is refused, a
sender, a relay, a quota of our account, a policy that our message does not
satisfy are for operators to mend, and the letter is then still there.
"""

import re
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """What the server answered to."""

    SESSION = "session"
    """Greeting, EHLO, STARTTLS, login."""
    SENDER = "sender"
    RECIPIENT = "recipient"
    MESSAGE = "message"


class Blame(StrEnum):
    """Who has to do something."""

    RECIPIENT = "recipient"
    """The address does not exist or its mailbox takes nothing: this letter will not arrive."""
    OURS = "ours"
    """This service, its account at the mail server, or that server's settings."""
    NOBODY = "nobody"
    """The server asks for patience."""


_ENHANCED: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
# Lasting, by subject and detail; of a subject that is not here, no detail is the recipient's.
_RECIPIENTS: Final = {
    # Addressing: but for 7 and 8, the sender's address.
    1: frozenset({0, 1, 2, 3, 4, 5, 6, 9, 10}),
    # The mailbox: disabled, full, message too long for it, a list.
    2: frozenset(range(10)),
    # Routing: no such host, no way there, delivery ended; 5 is congestion, by which big providers mean our quota.
    4: frozenset({1, 4, 6, 7}),
    # Policy: the mailbox or domain has another owner now (RFC 7293).
    7: frozenset({17, 18}),
}
# Without an enhanced code: no mailbox, another place, no room, no such name; the domain takes no mail (RFC 7504).
_RECIPIENTS_CODES: Final = frozenset({550, 551, 552, 553, 521, 556})
# The same at the end of the message, when the whole of it was refused: only the mailbox itself.
_MESSAGE_CODES: Final = frozenset({550, 551, 553})
_LOGIN_CODES: Final = frozenset({432, 454, 530, 534, 535, 538})
# Servers without enhanced codes say it in words only; a wrong guess here costs another try.
_OUR_WORDS: Final = re.compile(r"relay|authenticat|log ?in|quota exceeded for sender|sending (?:limit|quota)", re.I)


def blame(phase: Phase, code: int, words: str) -> Blame:
    """Whose fault a refusal is; RECIPIENT only where trying again is of no use, or the mailbox is full."""
    enhanced = _ENHANCED.match(words)
    subject, detail = (int(enhanced[2]), int(enhanced[3])) if enhanced else (None, None)
    if phase is Phase.SESSION or code in _LOGIN_CODES:
        # 421: too busy for anybody.
        return Blame.NOBODY if code == 421 else Blame.OURS
    if code < 500:
        return Blame.RECIPIENT if phase is not Phase.SENDER and (subject, detail) == (2, 2) else Blame.NOBODY
    if phase is Phase.SENDER:
        return Blame.OURS
    if subject is not None and detail is not None:
        return Blame.RECIPIENT if detail in _RECIPIENTS.get(subject, ()) else Blame.OURS
    known = _RECIPIENTS_CODES if phase is Phase.RECIPIENT else _MESSAGE_CODES
    return Blame.RECIPIENT if code in known and not _OUR_WORDS.search(words) else Blame.OURS
