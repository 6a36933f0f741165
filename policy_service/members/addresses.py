"""E-mail addresses: read strictly, and a near miss of a well-known provider noticed."""

from difflib import get_close_matches

from email_validator import EmailNotValidError, validate_email

from policy_service.errors import InvalidField, InvalidRequest
from policy_service.vocabulary import address_fault, name_fault

_PROVIDERS = (
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "yahoo.com",
    "yahoo.ca",
    "icloud.com",
    "live.com",
    "live.ca",
    "rogers.com",
    "bell.net",
    "sympatico.ca",
    "telus.net",
    "shaw.ca",
    "cogeco.ca",
    "protonmail.com",
    "proton.me",
)


def parse_email(text: str, field: str = "email") -> str:
    """Read an address of plain ASCII, its domain in lower case. Raises InvalidRequest.

    Look-alike letters of other scripts are refused before the @, and are shown
    as what they are (xn--…) after it. What mail programs would read as
    something else than an address is refused.
    """
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as fault:
        raise InvalidRequest(
            violations=(InvalidField(field=field, description=f"{field} is not an e-mail address: {fault}"),)
        ) from fault
    address = str(found.ascii_email)
    if wrong := address_fault(address):
        raise InvalidRequest(violations=(InvalidField(field=field, description=f"{field} {wrong}"),))
    return address


def refuse_name(name: str, field: str) -> None:
    """Raise InvalidRequest for a new user's or account's name that is an address of the web: letters hold it."""
    if fault := name_fault(name):
        raise InvalidRequest(violations=(InvalidField(field=field, description=f"{field} {fault}"),))


def suggestion(email: str) -> str:
    """The address that may have been meant, or the empty string."""
    local, _, domain = email.rpartition("@")
    if domain in _PROVIDERS:
        return ""
    near = get_close_matches(domain, _PROVIDERS, n=1, cutoff=0.84)
    return f"{local}@{near[0]}" if near else ""
