"""Whose fault a mail server's no is. Real servers' words, each for a kind."""

import pytest

from policy_service.members.mail_faults import Blame, Phase, blame

RECIPIENTS = [
    (Phase.RECIPIENT, 550, "5.1.1 <x@y>: Recipient address rejected: User unknown"),
    (Phase.RECIPIENT, 550, "no such user"),
    (Phase.RECIPIENT, 551, "user not local"),
    (Phase.RECIPIENT, 553, "mailbox name not allowed"),
    (Phase.RECIPIENT, 556, "domain does not accept mail"),
    (Phase.RECIPIENT, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound"),
    (Phase.RECIPIENT, 550, "5.2.1 mailbox disabled"),
    (Phase.RECIPIENT, 552, "5.2.2 mailbox full"),
    (Phase.RECIPIENT, 452, "4.2.2 mailbox full"),
    (Phase.RECIPIENT, 550, "5.4.1 Recipient address rejected: Access denied"),
    (Phase.RECIPIENT, 550, "5.7.17 mailbox owner has changed"),
    (Phase.MESSAGE, 550, "5.1.1 unknown user"),
    (Phase.MESSAGE, 550, "no such user"),
]
OURS = [
    (Phase.SESSION, 554, "no SMTP service here for you"),
    (Phase.SESSION, 535, "5.7.8 bad credentials"),
    (Phase.SENDER, 530, "5.7.0 Must issue a STARTTLS command first"),
    (Phase.SENDER, 550, "5.1.8 sender domain not found"),
    (Phase.SENDER, 552, "over quota"),
    (Phase.SENDER, 553, "5.7.1 sender address rejected: not owned by user"),
    (Phase.RECIPIENT, 530, "authentication required"),
    (Phase.RECIPIENT, 534, "5.7.9 application-specific password required"),
    (Phase.RECIPIENT, 554, "5.7.1 <x@y>: Relay access denied"),
    (Phase.RECIPIENT, 554, "relay denied"),
    (Phase.RECIPIENT, 550, "relay not permitted"),
    (Phase.RECIPIENT, 550, "5.7.54 unable to relay"),
    (Phase.RECIPIENT, 550, "5.4.5 daily user sending quota exceeded"),
    (Phase.RECIPIENT, 550, "5.7.26 unauthenticated mail is not accepted"),
    (Phase.RECIPIENT, 501, "5.5.4 invalid arguments"),
    (Phase.MESSAGE, 550, "5.7.1 message rejected by policy"),
    (Phase.MESSAGE, 552, "5.3.4 message too big for system"),
    (Phase.MESSAGE, 554, "blocked by policy"),
    (Phase.MESSAGE, 554, "5.6.0 bad content"),
]
NOBODYS = [
    (Phase.SESSION, 421, "too many connections"),
    (Phase.SENDER, 451, "4.3.0 try later"),
    (Phase.RECIPIENT, 450, "4.7.1 greylisted, come back in five minutes"),
    (Phase.MESSAGE, 451, "try later"),
]


@pytest.mark.parametrize(
    ("whose", "phase", "code", "words"),
    [(whose, *said) for whose, all_said in zip(
        (Blame.RECIPIENT, Blame.OURS, Blame.NOBODY), (RECIPIENTS, OURS, NOBODYS), strict=True
    ) for said in all_said],
)  # fmt: skip
def test_who_has_to_do_something(whose, phase, code, words):
    assert blame(phase, code, words) is whose
