"""A decision as the line that is kept of it, in COPY's text format; and lines on their way to the database."""

from dataclasses import dataclass
from typing import Protocol

from policy_service.vocabulary import Outcome


class Asked(Protocol):
    """The fields of a question as they came, read and found good."""

    user: str
    physician: str
    action: str
    resource: str
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Lines on their way to the database, and how many bytes of them are whose."""

    lines: bytes
    held: dict[str, int]


def tail_of(outcome: Outcome, revision: int) -> str:
    """What the lines of one outcome have in common, at their end."""
    return f"{'t' if outcome.allowed else 'f'}\t{outcome.reason}\t{outcome.role or ''}\t{revision}\n"


def line_of(head: str, sequence: int, asked: Asked, channel: str, tail: str) -> str:
    """A line between its head and tail. Every field is printable ASCII; only two may have a backslash."""
    resource, correlation = asked.resource, asked.correlation_id
    if "\\" in resource or "\\" in correlation:
        resource, correlation = resource.replace("\\", "\\\\"), correlation.replace("\\", "\\\\")
    return (
        f"{head}{sequence}\t{asked.user}\t{asked.physician}\t{asked.action}\t{channel}\t"
        f"{resource}\t{correlation}\t{tail}"
    )
