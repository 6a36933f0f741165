"""Sends the e-mails that wait in the outbox, each at least once and none for an invitation that no longer stands.

The e-mail is taken by lease, looked at again just before it goes, and its
outcome recorded. Only a sender that dies between the server's word and the
record sends one twice: the same e-mail, with the same Message-ID.

Each letter stands by itself: one that cannot be composed, sent or recorded is
set aside with its reason, for somebody to resend, and holds up no other.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final

import structlog

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.members.carriers import Bounced, Carrier, Delayed, clean
from policy_service.members.letters import Postmark, Unsendable, compose
from policy_service.members.tokens import TokenKey
from policy_service.store import Claimed, DeliveryState, Store, StoreUnavailable
from policy_service.tasks import end_all, end_if_cancelled

_LEASE: Final = timedelta(minutes=2)
_FIRST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 3_600.0
_POLL_SECONDS: Final = 5.0
_AT_ONCE: Final = 8
_REST: Final = 3
"""Times as long as this thread worked while some letters went, until the next."""
_LONGEST_REST: Final = 2.0
_LOOK_SECONDS: Final = 1.0
"""What is counted and tidied grows with what lies there, so not after each letter."""
_STOP_SECONDS: Final = 3.0
"""For how long a stop waits for letters in hand."""
_KEEP_ANSWERS: Final = timedelta(days=7)

log = structlog.get_logger(__name__)

ADVICE: Final = {
    "mistyped": "Check the address; if it was mistyped, resend to the right one.",
    "transit": "It may still be on its way: it can take a couple of hours, longer around holidays.",
    "spam": "Ask the recipient to look in their junk or spam folder.",
    "firewall": (
        "A corporate mail server may block it: resend to another address, or ask their administrator to allow it."
    ),
    "ours": (
        "The fault lies with this service or its mail server, not with the address. Its operators are told, and it is "
        "tried again by itself."
    ),
    "failed": "It is not tried again by itself. Resend it, to another address if the reason speaks of the address.",
}


def advice(state: DeliveryState, *, our_fault: bool = False) -> tuple[str, ...]:
    """What to do when an e-mail has not arrived (from the "Manage Users" page's troubleshooting)."""
    match state:
        case DeliveryState.BOUNCED:
            return ADVICE["mistyped"], ADVICE["firewall"]
        case DeliveryState.FAILED:
            return (ADVICE["failed"],)
        case DeliveryState.DELAYED if our_fault:
            return (ADVICE["ours"],)
        case DeliveryState.QUEUED | DeliveryState.DELAYED:
            return ADVICE["transit"], ADVICE["mistyped"]
        case DeliveryState.SENT:
            return ADVICE["transit"], ADVICE["spam"], ADVICE["mistyped"], ADVICE["firewall"]
        case _:
            return ()


class Sender:
    """The task that empties the outbox. Any number may run."""

    def __init__(
        self, store: Store, key: TokenKey, carrier: Carrier, postmark: Postmark, clock: Callable[[], datetime]
    ) -> None:
        """``clock`` gives aware times."""
        self._store = store
        self._key = key
        self._carrier = carrier
        self._postmark = postmark
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    async def run(self, sound: Callable[[], None] = lambda: None) -> None:
        """Send until cancelled; ``sound`` is told of each round that went through."""
        loop = asyncio.get_running_loop()
        looked = -_LOOK_SECONDS
        while True:
            try:
                self._wake.clear()
                used = time.thread_time()
                while await self.send_due():
                    # Whoever invites many waits for answers, and nobody for the letters: where there is other work
                    # for this thread, they leave it most of the time.
                    await asyncio.sleep(min(_REST * (time.thread_time() - used), _LONGEST_REST))
                    used = time.thread_time()
                if loop.time() - looked >= _LOOK_SECONDS:
                    looked = loop.time()
                    await self._look_after()
                sound()
            except StoreUnavailable as fault:
                log.warning("sending paused", cause=type(fault.__cause__).__name__)
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look_after(self) -> None:
        await self._store.tidy(self._clock() - _KEEP_ANSWERS)
        now = self._clock()
        counts = await self._store.mail_not_done(now)
        metrics.letters_not_done(
            {state.value: (at.letters, (now - at.since).total_seconds()) for state, at in counts.items()}
        )

    async def send_due(self) -> int:
        """Send what is due now; how many e-mails were taken."""
        now = self._clock()
        claimed = await self._store.claim_mail(now, now + _LEASE, _AT_ONCE)
        sending = [asyncio.create_task(self._send(mail)) for mail in claimed]
        if sending:
            try:
                await asyncio.shield(asyncio.gather(*sending))
            except asyncio.CancelledError:
                await _let_end(sending)
                raise
        return len(claimed)

    async def _send(self, mail: Claimed) -> None:
        """Send one, whatever comes of it; the others know nothing of it."""
        try:
            await self._deliver(mail)
        except (StoreUnavailable, StartError) as fault:
            # Not this letter's fault. It is taken again when its lease ends.
            log.warning("an e-mail's outcome is not recorded", invitation=mail.invitation, cause=repr(fault.__cause__))
        except Exception as fault:
            end_if_cancelled(fault)
            log.exception("an e-mail cannot be sent", invitation=mail.invitation, exc_info=fault)
            await self._set_aside(mail, f"an internal fault, {type(fault).__name__}: see the service's log")

    async def _set_aside(self, mail: Claimed, reason: str) -> None:
        try:
            await self._record(mail, DeliveryState.FAILED, reason, self._clock())
        except Exception as fault:
            end_if_cancelled(fault)
            log.exception("an e-mail cannot be set aside", invitation=mail.invitation, exc_info=fault)

    async def _deliver(self, mail: Claimed) -> None:
        now = self._clock()
        letter = await self._store.letter(mail, now)
        if letter is None:
            await self._record(mail, DeliveryState.DROPPED, "", now)
            return
        if letter.token_hash is not None and not self._key.made(letter.token_hash, mail.invitation, mail.generation):
            log.error("token key differs from the inviting replica's: set one POLICY_TOKEN_KEY_FILE for all")
            metrics.letters_our_fault.inc()
            again = now + timedelta(seconds=_FIRST_PAUSE)
            words = "the token key differs from the inviting replica's"
            await self._record(mail, DeliveryState.DELAYED, words, again, our_fault=True)
            return
        message = compose(letter, self._key.token(mail.invitation, mail.generation), mail.message_id, self._postmark)
        if isinstance(message, Unsendable):
            log.error("an e-mail is set aside", invitation=mail.invitation, reason=message.reason)
            await self._record(mail, DeliveryState.FAILED, message.reason, now)
            return
        message["Date"] = format_datetime(now)
        try:
            words = await self._carrier.carry(message)
        except Bounced as fault:
            await self._record(mail, DeliveryState.BOUNCED, str(fault), now)
        except Delayed as fault:
            if fault.ours:
                metrics.letters_our_fault.inc()
                words = clean(str(fault))
                log.error("e-mails are held up by our own fault", invitation=mail.invitation, words=words)  # noqa: TRY400 - the words are all of it.
            pause = min(_FIRST_PAUSE * 2.0 ** (mail.attempts - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter.
            again = now + timedelta(seconds=pause)
            await self._record(mail, DeliveryState.DELAYED, str(fault), again, our_fault=fault.ours)
        else:
            await self._record(mail, DeliveryState.SENT, words, now)

    async def _record(
        self, mail: Claimed, state: DeliveryState, words: str, next_try: datetime, *, our_fault: bool = False
    ) -> None:
        await self._store.record_mail(mail, state, clean(words), next_try, our_fault=our_fault)
        metrics.letters.labels(state.value).inc()


async def _let_end(sending: list[asyncio.Task[None]]) -> None:
    """At a stop: a letter that its server is just taking is recorded as sent, so that it is not sent again."""
    _, late = await asyncio.wait(sending, timeout=_STOP_SECONDS)
    await end_all(late)
