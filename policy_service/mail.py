"""Writes the e-mails: text and HTML for each purpose, in plain words."""

from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from policy_service.store.invitations import Purpose
from policy_service.store.outbox import Letter

_ROLES = {
    "financial_viewer": "view claims, generate reports with patients' names, and view and pay invoices",
    "data_entry": "view, save, submit and delete claims",
    "administrator": "do everything but invite, edit or remove users",
}
_ACTIONS = {
    "claim:view": "view claims",
    "claim:save": "save claims",
    "claim:submit": "submit claims",
    "claim:delete": "delete claims",
    "report:generate": "generate reports",
    "report:patient_details": "see patients' names in reports",
    "invoice:view": "view invoices",
    "invoice:pay": "pay invoices",
    "user:list": "see who else works on the account",
}


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


_environment = Environment(
    loader=PackageLoader("policy_service", "templates"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def compose(letter: Letter, token: str, message_id: str, postmark: Postmark) -> EmailMessage:
    """The e-mail of a letter's purpose, with its link. Raises ValueError for a header that would be two."""
    subject = _SUBJECTS[letter.purpose].format(title=letter.title)
    facts = {
        "subject": subject,
        "title": letter.title,
        "user": letter.user,
        "is_active": letter.is_active,
        "abilities": _abilities(letter),
        # The fragment of a link is not sent to servers on the way, so it is in no access log.
        "link": f"{postmark.link_base}#{urlencode({'token': token} | _LEADS_TO[letter.purpose])}",
        "new_email": letter.new_email,
        "expires": letter.expires_at.astimezone(UTC).strftime("%A, %d %B %Y at %H:%M UTC"),
    }
    message = EmailMessage(policy=SMTP)
    message["From"] = postmark.sender
    message["To"] = Address(addr_spec=letter.email)
    message["Subject"] = subject
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_environment.get_template(f"{letter.purpose}.txt.j2").render(facts))
    message.add_alternative(_environment.get_template(f"{letter.purpose}.html.j2").render(facts), subtype="html")
    return message


def _abilities(letter: Letter) -> list[str]:
    if letter.actions:
        return [_ACTIONS.get(action, action) for action in letter.actions]
    return [_ROLES.get(role, f'do what {letter.title} has set for the role "{role}"') for role in letter.roles]
