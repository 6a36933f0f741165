"""What both drivers know of a call: its path and reply, which the contract says, and how often it is tried."""

from functools import cache
from typing import Any, Final, NamedTuple, TypeVar, cast
from uuid import uuid4

from google.protobuf import message_factory
from google.protobuf.message import Message

MOST_QUESTIONS: Final = 1_000
LIST_ATTEMPTS: Final = 5
"""How often a list is begun again because it changed between two of its pages."""

Request = TypeVar("Request", bound=Message)


class Method(NamedTuple):
    """A method of the contract: its path, and how its messages become bytes."""

    path: str
    write: Any
    read: Any


def method_of(request: Message) -> Method:
    """The one method that takes this request; no message is the request of two, or of none."""
    kind: Any = type(request)
    return _method_of(kind)


@cache
def _method_of(kind: Any) -> Method:
    (found,) = (
        Method(
            f"/{service.full_name}/{method.name}",
            kind.SerializeToString,
            message_factory.GetMessageClass(cast(Any, method.output_type)).FromString,
        )
        for service in kind.DESCRIPTOR.file.services_by_name.values()
        for method in service.methods
        if method.input_type is kind.DESCRIPTOR
    )
    return found


def keyed(request: Request, given: str | None) -> Request:
    """The request with its idempotency key, a fresh one unless given: all attempts carry it, so that one writes."""
    request.idempotency_key = uuid4().hex if given is None else given  # type: ignore[attr-defined]
    return request


def page_of(request: Request, token: str) -> Request:
    """The request for another page of the same list."""
    page = type(request)()
    page.CopyFrom(request)
    page.page_token = token  # type: ignore[attr-defined]
    return page


def as_it_is(reply: Any) -> Any:
    """A page, read with the others."""
    return reply
