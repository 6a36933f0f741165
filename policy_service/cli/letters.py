"""Reads the e-mails that a service without mail server writes to files, where links can be followed by hand."""

import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final

_TOKEN: Final = re.compile(r"#token=([A-Za-z0-9_-]{43})")
_PAUSE: Final = 0.05


def read_letter(folder: Path, address: str, *, number: int | None, seconds: float, only_token: bool) -> str:
    """The text of a letter to an address, oldest first from 1 or the last, or the token in it; waits until it is there.

    Raises LookupError in words.
    """
    deadline = time.monotonic() + seconds
    while len(found := _letters(folder, address)) < (number or 1):
        if time.monotonic() > deadline:
            there = ["none", "one"][len(found)] if len(found) < 2 else str(len(found))
            raise LookupError(f"there is no such letter to {address} in {folder}: {there} so far")
        time.sleep(_PAUSE)
    body = found[number - 1 if number else -1].get_body(("plain",))
    text = str(body.get_content()) if body is not None else ""
    if not only_token:
        return text
    token = _TOKEN.search(text)
    if token is None:
        raise LookupError(f"this letter to {address} has no link")
    return token.group(1)


def _letters(folder: Path, address: str) -> list[EmailMessage]:
    """In the order in which they were written."""
    paths = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    messages = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]
    # Whose headers are not there yet is being written.
    return [message for message in messages if message["To"] == address and message.get_body(("plain",)) is not None]
