"""Reads the fields of a request, and reports every one at fault at once."""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar, cast

from policy_service.errors import InvalidField, InvalidRequest
from policy_service.vocabulary import line_fault

Raw = TypeVar("Raw")
Value = TypeVar("Value")


class Fields:
    """Collects faults while fields are read; raises them together when the block ends."""

    def __init__(self) -> None:
        """Begin without faults."""
        self._faults: list[InvalidField] = []

    def read(self, parse: Callable[[Raw], Value], raw: Raw) -> Value:
        """The parsed field; nothing that can be used if it is at fault, as the block's end then raises."""
        try:
            return parse(raw)
        except InvalidRequest as fault:
            self._faults += fault.violations
            return cast(Value, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None and self._faults:
            raise InvalidRequest(violations=tuple(self._faults))


def invalid(field: str, description: str) -> InvalidRequest:
    """An error about one field."""
    return InvalidRequest(violations=(InvalidField(field=field, description=description),))


def is_text(text: str, most: int) -> bool:
    """Is this printable ASCII, and short enough?"""
    return len(text) <= most and text.isascii() and text.isprintable()


def parse_text(text: str, *, field: str, most: int) -> str:
    """Read text that goes into logs; raises InvalidRequest."""
    if not is_text(text, most):
        raise invalid(field, f"{field} is not at most {most} printable ASCII characters")
    return text


def parse_title(text: str, *, field: str, most: int) -> str:
    """Read a line for people, in any script; raises InvalidRequest."""
    if len(text) > most or text != text.strip():
        raise invalid(field, f"{field} is not one line of at most {most} characters without spaces around it")
    if fault := line_fault(text):
        raise invalid(field, f"{field} {fault}")
    return text
