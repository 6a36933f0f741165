"""Writes the e-mails: text and HTML for each purpose, in plain words.

Whatever is stored, it never raises, and what was stored gives the e-mail no
header, no body and no link of its own: names are made harmless once more, since
they may be older than the rules at the door or have come in by another way. A
letter whose address or Message-ID cannot be written down is Unsendable.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from policy_service.errors import InvalidRequest
from policy_service.members.addresses import parse_email
from policy_service.store import Letter, Purpose
from policy_service.vocabulary import harmless, name_fault

_ROLES = {
    "financial_viewer": "view claims, generate reports with patients' names, and view and pay invoices",
    "data_entry": "view, save, submit and delete claims",
    "administrator": "do everything but invite, edit or remove users",
}
_LONGEST_LINE: Final = 998
"""Bytes of a line that every mail server takes (RFC 5321, section 4.5.3.1.6)."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9._-]{1,200}@[A-Za-z0-9.-]{1,200}>", re.ASCII)


_SUBJECTS = {
    Purpose.INVITATION: "{title} invites you to their billing account",
    Purpose.SETUP: "Finish setting up your account",
    Purpose.ADDRESS: "Confirm your e-mail address",
    Purpose.ADDRESS_NOTICE: "Your e-mail address was changed",
}
# So that the page behind the link knows what to show before it asks.
_LEADS_TO: dict[Purpose, dict[str, str]] = {
    Purpose.INVITATION: {},
    Purpose.SETUP: {"for": "setup"},
    Purpose.ADDRESS: {"for": "address"},
    Purpose.ADDRESS_NOTICE: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmark:
    """What every e-mail has in common."""

    sender: str
    link_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsendable:
    """Why a letter cannot be written."""

    reason: str


def _unlinked(name: str) -> Markup:
    """A name as it is, of which mail programs make no link; what is copied of it is the name."""
    return Markup(re.sub(r"([.@])", r"<span>\1</span>", str(escape(name))))  # noqa: S704 - escaped within.


_environment = Environment(
    loader=PackageLoader("policy_service.members", "templates"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)
_environment.filters["unlinked"] = _unlinked


def compose(letter: Letter, token: str, message_id: str, postmark: Postmark) -> EmailMessage | Unsendable:
    """The e-mail of a letter's purpose, with its link."""
    try:
        address = parse_email(letter.email)
    except InvalidRequest:
        return Unsendable(reason="the address cannot be written in an e-mail; resend to another one")
    if not _MESSAGE_ID.fullmatch(message_id):
        return Unsendable(reason="the Message-ID cannot be written in an e-mail; resend makes another one")
    title = harmless(letter.title, instead="A physician")
    subject = _SUBJECTS[letter.purpose].format(title=title)
    facts = {
        "subject": subject,
        "title": title,
        "user": _shown(letter.user),
        "is_active": letter.is_active,
        "abilities": _abilities(letter, title),
        # The fragment of a link is not sent to servers on the way, so it is in no access log.
        "link": f"{postmark.link_base}#{urlencode({'token': token} | _LEADS_TO[letter.purpose])}",
        "new_email": _address(letter.new_email),
        "expires": letter.expires_at.astimezone(UTC).strftime("%A, %d %B %Y at %H:%M UTC"),
    }
    message = EmailMessage(policy=SMTP)
    message["From"] = postmark.sender
    message["To"] = Address(addr_spec=address)
    message["Subject"] = subject
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    text = _environment.get_template(f"{letter.purpose}.txt.j2").render(facts)
    html = _environment.get_template(f"{letter.purpose}.html.j2").render(facts)
    message.set_content(text, cte=_as_it_is(text))
    message.add_alternative(html, subtype="html", cte=_as_it_is(html))
    return message


def _address(text: str) -> str:
    try:
        return parse_email(text)
    except InvalidRequest:
        return "another one"


def _as_it_is(body: str) -> str | None:
    """The encoding in which a body stays readable, and its link can be copied; None where a line is too long for it."""
    if any(len(line.encode()) > _LONGEST_LINE for line in body.splitlines()):
        return None
    return "7bit" if body.isascii() else "8bit"


def _shown(user: str) -> str:
    """A username as it has to be typed; harmless where it is none."""
    return user if _NAME.fullmatch(user) and name_fault(user) is None else harmless(user, most=64)


def _abilities(letter: Letter, title: str) -> list[str]:
    if letter.actions:
        return [_able_to(letter.titles.get(action, ""), action) for action in letter.actions]
    return [_ROLES.get(role) or _role(harmless(role, most=64), title, letter.built_in) for role in letter.roles]


def _able_to(title: str, action: str) -> str:
    """An action's title within a sentence; its id, where it has none."""
    shown = harmless(title, most=64, instead="")
    return shown[:1].lower() + shown[1:] if shown else harmless(action, most=64)


def _role(role: str, title: str, built_in: frozenset[str]) -> str:
    # Of a role that operators added, the account has set nothing.
    return f'do what the role "{role}" allows' + ("" if role in built_in else f", as {title} has set it")
