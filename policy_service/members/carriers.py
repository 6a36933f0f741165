"""Takes e-mails away: to a mail server, or into a folder. Says of each fault whether it is for good, and whose."""

import asyncio
import contextlib
import os
import re
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from policy_service.errors import StartError
from policy_service.members.mail_faults import Blame, Phase, blame
from policy_service.settings import is_loopback

_SMTP_SECONDS: Final = 30.0
_LEAVE_SECONDS: Final = 2.0


class Bounced(Exception):
    """The mail server refused the e-mail for good, for the sake of its recipient."""


class Delayed(Exception):
    """The e-mail could not be handed over now."""

    def __init__(self, words: str, *, ours: bool = False) -> None:
        """``ours``: operators have to mend something, and nobody else can."""
        super().__init__(words)
        self.ours = ours


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
        """Write ``ID.eml``, readable by this user alone; whole, or not at all and Delayed."""
        name = re.sub(r"[^A-Za-z0-9.@-]", "", str(message["Message-ID"]))
        try:
            await asyncio.to_thread(self._write, self._folder / f"{name}.eml", message.as_bytes())
        except OSError as fault:
            raise Delayed(f"the folder for e-mails cannot be written to: {fault.strerror}", ours=True) from fault
        return "written"

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_suffix(".part")
        try:
            beside.touch(mode=0o600)
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                # A full disk may say so only now.
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


class Smtp:
    """Hands each e-mail to a mail server, on a connection of its own."""

    def __init__(self, url: str, *, ca_file: Path | None = None, seconds: float = _SMTP_SECONDS) -> None:
        """``smtp://[user:password@]host:port`` (STARTTLS where offered) or ``smtps://…``. Raises StartError.

        Beyond this machine, ``smtp://`` insists on STARTTLS. A server silent
        for ``seconds`` counts as not reached. ``ca_file`` says who signs the
        server's certificate, instead of those whom this machine trusts.
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
        self._trust = _trust(ca_file) if ca_file else None

    async def carry(self, message: EmailMessage) -> str:
        """Send it. The server's lasting no to the recipient is Bounced, everything else Delayed, with whose fault."""
        try:
            return await self._hand_over(message)
        except aiosmtplib.SMTPRecipientsRefused as fault:
            refused = fault.recipients[0]
            raise _refused(Phase.RECIPIENT, refused.code, refused.message) from fault
        except aiosmtplib.SMTPAuthenticationError as fault:
            # Without the server's words, which may repeat the login.
            raise Delayed(f"{fault.code} the mail server refused our login", ours=True) from fault
        except aiosmtplib.SMTPSenderRefused as fault:
            raise _refused(Phase.SENDER, fault.code, fault.message) from fault
        except (aiosmtplib.SMTPConnectResponseError, aiosmtplib.SMTPHeloError) as fault:
            raise _refused(Phase.SESSION, fault.code, fault.message) from fault
        except aiosmtplib.SMTPResponseException as fault:
            raise _refused(Phase.MESSAGE, fault.code, fault.message) from fault
        except (aiosmtplib.SMTPException, OSError) as fault:
            # Down, silent, without STARTTLS or a login that both know, with a certificate of nobody we trust: it is
            # the server that we were told to use.
            cause = fault.__cause__ if isinstance(fault.__cause__, ssl.SSLError) else fault
            raise Delayed(f"the mail server could not be reached: {type(cause).__name__}", ours=True) from fault

    async def _hand_over(self, message: EmailMessage) -> str:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=self._start_tls,
            tls_context=self._trust,
            username=self._user,
            password=self._password,
            timeout=self._seconds,
        )
        try:
            await client.connect()
            try:
                _, words = await client.send_message(
                    message,
                    # As written in the headers, not as somebody may read them.
                    sender=message["From"].addresses[0].addr_spec,
                    recipients=[address.addr_spec for address in message["To"].addresses],
                )
            except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused):
                await self._take_leave(client)
                raise
            await self._take_leave(client)
            return words
        finally:
            # Whoever is interrupted says no QUIT: within a letter it would be a line of it, and no answer come.
            client.close()

    async def _take_leave(self, client: aiosmtplib.SMTP) -> None:
        """What the server said of the letter stands, whatever it says to this."""
        with contextlib.suppress(aiosmtplib.SMTPException):
            await client.quit(timeout=min(self._seconds, _LEAVE_SECONDS))


def _refused(phase: Phase, code: int, words: str) -> Bounced | Delayed:
    whose, told = blame(phase, code, words), f"{code} {words}"
    if whose is Blame.RECIPIENT and code >= 500:
        return Bounced(told)
    return Delayed(told, ours=whose is Blame.OURS)


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as fault:
        raise StartError(f"POLICY_SMTP_CA_FILE {ca_file} cannot be used: {fault.strerror or fault}") from fault


def carrier_for(smtp_url: str | None, folder: Path, *, ca_file: Path | None = None) -> Carrier:
    """The way e-mails go: by SMTP, or into a folder where no server is set."""
    return Smtp(smtp_url, ca_file=ca_file) if smtp_url else Folder(folder)


def clean(words: str) -> str:
    """A mail server's words as one short line of printable ASCII."""
    line = re.sub(r"[^\x20-\x7e]+", " ", words)
    return re.sub(r"\s+", " ", line).strip()[:300]
