"""E-mail addresses of plain ASCII, and near misses of well-known providers.

Narrower than the real service, which also takes domains of other scripts.
"""

import re
from difflib import get_close_matches
from typing import Final

_PROVIDERS: Final = (
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
# Names that are nobody's on the internet.
_NOWHERE: Final = ("arpa", "invalid", "local", "localhost", "onion", "test")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[^.]*[A-Za-z]){_LABEL}", re.ASCII)


def read_address(text: str) -> str | None:
    """The address with its domain in lower case; None for what is no address."""
    local, _, domain = text.rpartition("@")
    if len(text) > 254 or not _ADDRESS.fullmatch(text) or domain.lower().rpartition(".")[2] in _NOWHERE:
        return None
    return f"{local}@{domain.lower()}"


def suggestion(email: str) -> str:
    """The address that may have been meant, or the empty string."""
    local, _, domain = email.rpartition("@")
    near = [] if domain in _PROVIDERS else get_close_matches(domain, _PROVIDERS, n=1, cutoff=0.84)
    return f"{local}@{near[0]}" if near else ""
