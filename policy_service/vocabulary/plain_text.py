"""One line that people will read, in letters, terminals, tables and browsers: what may stand in it.

Refuses what a program on the way would take for something else than letters:
encoded words (RFC 2047), control characters, marks that turn the direction of
writing, characters that cannot be seen, and what mail programs make links of.
``harmless`` makes of any text a line that holds none of it, for what was stored
before there was this rule or came in by another way.
"""

import re
import unicodedata
from typing import Final

# Nothing is seen of these though they count as letters, symbols or marks (Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt, beyond what str.isprintable() refuses, and the blank Braille pattern).
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_ENCODED_WORD: Final = re.compile(r"=\?|\?=")
_SCHEME: Final = re.compile(
    r"[a-z][a-z0-9+.-]*:/|(?<![a-z])(?:mailto|tel|sms|data|javascript|callto|skype):(?=\S)", re.IGNORECASE
)
_WWW: Final = re.compile(r"(?<![^\W_])www\d{0,3}\.(?=\S)", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?<=\S)@(?=\S)")
# Ends of names of which mail programs make links even without "http" (those of linkify-it, and newer ones that are
# much abused); of two letters, all are countries'.
_ENDS: Final = (
    "aero|app|asia|biz|care|cat|click|clinic|club|com|coop|dental|dev|doctor|edu|email|gov|health|help|hospital|info|"
    "int|jobs|link|live|med|mil|mobi|museum|name|net|one|online|ooo|org|page|post|pro|shop|site|store|support|tech|top|"
    "travel|web|website|work|world|xxx|xyz|zip|рф|xn--[a-z0-9-]+"
)
_LABEL: Final = r"[^\W_](?:[\w-]*[^\W_])?"
_DOMAIN: Final = re.compile(
    # "B.Sc." and "Ph.D." are titles: before a country's end, a name has two letters at least.
    rf"(?<![\w])(?:(?:{_LABEL}\.)+(?:{_ENDS})|(?:{_LABEL}\.)*[^\W_][\w-]*[^\W_]\.[a-z]{{2}})(?![\w])(?!-\w)",
    re.IGNORECASE,
)
_PATH: Final = re.compile(rf"(?<![\w])(?:{_LABEL}\.)+{_LABEL}/(?=\S)")
_NAME_LINK: Final = re.compile(rf"www\d{{0,3}}\..*|(?:{_LABEL}\.)+(?:{_ENDS})", re.IGNORECASE)
# What name servers read as a dot (UTS #46), and a full stop that is one dot of a leader.
_DOTS: Final = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61\u2024", "."))
_LINKS: Final = (_SCHEME, _WWW, _ADDRESS, _DOMAIN, _PATH)


def line_fault(text: str) -> str | None:
    """What is wrong with a line for people, as the end of a sentence; None if nothing is."""
    if not text.isprintable():
        return "holds a control character, a line break or a mark that cannot be seen or turns the direction of writing"
    if _UNSEEN.search(text):
        return "holds a character that cannot be seen"
    plain = _as_read(text)
    if _ENCODED_WORD.search(text) or _ENCODED_WORD.search(plain):
        return "holds =? or ?=, which mail programs take for an encoded word"
    if any(link.search(written) for link in _LINKS for written in (text, plain)):
        return "holds an address of the web or of mail, of which mail programs make a link; write a space after a dot"
    return None


def name_fault(name: str) -> str | None:
    """What is wrong with a new username or account's name, within their grammar.

    An address of mail is a username like another; so is ``amy.ng``, though
    .ng is a country: only what can hardly be a person is refused.
    """
    if "@" not in name and _NAME_LINK.fullmatch(name):
        return "is an address of the web, of which mail programs make a link"
    return None


def address_fault(address: str) -> str | None:
    """What is wrong with an e-mail address that is sound by its grammar."""
    if _ENCODED_WORD.search(address):
        return "holds =? or ?=, which mail programs take for an encoded word"
    if "//" in address or _WWW.match(address):
        return "holds an address of the web"
    return None


def harmless(text: str, *, most: int = 128, instead: str = "(unnamed)") -> str:
    """A line in which ``line_fault`` finds nothing, as near to ``text`` as may be; ``instead`` if nothing is left."""
    shown = "".join(character if character.isprintable() else " " for character in _UNSEEN.sub("", text))
    shown = " ".join(shown.split())[:most].strip()
    if line_fault(shown) is not None:
        # Of look-alikes, the plain letters; and what holds a link together, taken apart.
        shown = _ENCODED_WORD.sub(lambda found: " ".join(found[0]), _as_read(shown))
        shown = re.sub(r"[.:@/]+(?=\S)", lambda found: f"{found[0][0]} ", shown)
        shown = " ".join(_UNSEEN.sub("", shown).split())[:most].strip()
    return shown if shown and line_fault(shown) is None else instead


def _as_read(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_DOTS)).translate(_DOTS)
