"""Sends the e-mails that wait in the outbox, each at least once and none for an invitation that no longer stands.

The e-mail is taken by lease, looked at again just before it goes, and its
outcome recorded. Only a sender that dies between the server's word and the
record sends one twice: the same e-mail, with the same Message-ID.
"""

import asyncio
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from policy_service.errors import StartError, StoreUnavailable
from policy_service.mail import Postmark, compose
from policy_service.settings import is_loopback
from policy_service.store import Store
from policy_service.store.invitations import DeliveryState
from policy_service.store.outbox import Claimed
from policy_service.tokens import TokenKey

_LEASE: Final = timedelta(minutes=2)
_FIRST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 3_600.0
_SMTP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 5.0
_AT_ONCE: Final = 8
_KEEP_ANSWERS: Final = timedelta(days=7)

log = structlog.get_logger(__name__)

ADVICE: Final = {
    "mistyped": "Check the address; if it was mistyped, resend to the right one.",
    "transit": "It may still be on its way: it can take a couple of hours, longer around holidays.",
    "spam": "Ask the recipient to look in their junk or spam folder.",
    "firewall": (
        "A corporate mail server may block it: resend to another address, or ask their administrator to allow it."
    ),
}


def advice(state: DeliveryState) -> tuple[str, ...]:
    """What to do when an e-mail has not arrived (from the "Manage Users" page's troubleshooting)."""
    match state:
        case DeliveryState.BOUNCED:
            return ADVICE["mistyped"], ADVICE["firewall"]
        case DeliveryState.QUEUED | DeliveryState.DELAYED:
            return ADVICE["transit"], ADVICE["mistyped"]
        case DeliveryState.SENT:
            return ADVICE["transit"], ADVICE["spam"], ADVICE["mistyped"], ADVICE["firewall"]
        case _:
            return ()


class Bounced(Exception):
    """The mail server refused the e-mail for good."""


class Delayed(Exception):
    """The mail server could not be reached, or asked to try again."""


class Carrier(Protocol):
    """Takes an e-mail away; raises Bounced or Delayed with the server's words."""

    async def carry(self, message: EmailMessage) -> str:
        """The server's words on taking it."""


class Folder:
    """Writes each e-mail to a file: for development, where the link can be read."""

    def __init__(self, folder: Path) -> None:
        """Files are called by Message-ID, so a second copy replaces the first."""
        self._folder = folder

    async def carry(self, message: EmailMessage) -> str:
        """Write ``ID.eml``, readable by this user alone."""
        name = re.sub(r"[^A-Za-z0-9.@-]", "", str(message["Message-ID"]))
        await asyncio.to_thread(self._write, self._folder / f"{name}.eml", message.as_bytes())
        return "written"

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(content)


class Smtp:
    """Hands each e-mail to a mail server, on a connection of its own."""

    def __init__(self, url: str, *, seconds: float = _SMTP_SECONDS) -> None:
        """``smtp://[user:password@]host:port`` (STARTTLS where offered) or ``smtps://…``. Raises StartError.

        Beyond this machine, ``smtp://`` insists on STARTTLS. A server silent
        for ``seconds`` counts as not reached.
        """
        self._seconds = seconds
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise StartError("POLICY_SMTP_URL is not of the form smtp://host:port or smtps://user:password@host:port")
        self._host = parts.hostname
        self._port = port or (465 if parts.scheme == "smtps" else 587)
        self._tls = parts.scheme == "smtps"
        # None: where the server offers it.
        self._start_tls = False if self._tls else None if is_loopback(f"{self._host}:{self._port}") else True
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def carry(self, message: EmailMessage) -> str:
        """Send it. A fault of ours or of the network is Delayed; the server's lasting no is Bounced."""
        try:
            _, words = await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                use_tls=self._tls,
                start_tls=self._start_tls,
                username=self._user,
                password=self._password,
                timeout=self._seconds,
            )
        except aiosmtplib.SMTPRecipientsRefused as fault:
            refused = fault.recipients[0]
            raise (Bounced if refused.code >= 500 else Delayed)(f"{refused.code} {refused.message}") from fault
        except aiosmtplib.SMTPAuthenticationError as fault:
            raise Delayed(f"{fault.code} the mail server refused our login") from fault
        except aiosmtplib.SMTPResponseException as fault:
            raise (Bounced if fault.code >= 500 else Delayed)(f"{fault.code} {fault.message}") from fault
        except (aiosmtplib.SMTPException, OSError) as fault:
            raise Delayed(f"the mail server could not be reached: {type(fault).__name__}") from fault
        return words


def carrier_for(smtp_url: str | None, folder: Path) -> Carrier:
    """The way e-mails go: by SMTP, or into a folder where no server is set."""
    return Smtp(smtp_url) if smtp_url else Folder(folder)


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

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                self._wake.clear()
                while await self.send_due():
                    pass
                await self._store.tidy(self._clock() - _KEEP_ANSWERS)
            except StoreUnavailable as fault:
                log.warning("sending paused", cause=type(fault.__cause__).__name__)
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def send_due(self) -> int:
        """Send what is due now; how many e-mails were taken."""
        now = self._clock()
        claimed = await self._store.claim_mail(now, now + _LEASE, _AT_ONCE)
        await asyncio.gather(*(self._send(mail) for mail in claimed))
        return len(claimed)

    async def _send(self, mail: Claimed) -> None:
        now = self._clock()
        letter = await self._store.letter(mail, now)
        if letter is None:
            await self._store.record_mail(mail, DeliveryState.DROPPED, "", now)
            return
        if letter.token_hash is not None and not self._key.made(letter.token_hash, mail.invitation, mail.generation):
            log.error("token key differs from the inviting replica's: set one POLICY_TOKEN_KEY_FILE for all")
            await self._store.record_mail(mail, DeliveryState.DELAYED, "", now + timedelta(seconds=_FIRST_PAUSE))
            return
        token = self._key.token(mail.invitation, mail.generation)
        message = compose(letter, token, mail.message_id, self._postmark)
        message["Date"] = format_datetime(now)
        try:
            words = await self._carrier.carry(message)
        except Bounced as fault:
            await self._store.record_mail(mail, DeliveryState.BOUNCED, clean(str(fault)), now)
        except Delayed as fault:
            pause = min(_FIRST_PAUSE * 2.0 ** (mail.attempts - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter.
            await self._store.record_mail(
                mail, DeliveryState.DELAYED, clean(str(fault)), now + timedelta(seconds=pause)
            )
        else:
            await self._store.record_mail(mail, DeliveryState.SENT, clean(words), now)


def clean(words: str) -> str:
    """A mail server's words as one short line of printable ASCII."""
    line = re.sub(r"[^\x20-\x7e]+", " ", words)
    return re.sub(r"\s+", " ", line).strip()[:300]
