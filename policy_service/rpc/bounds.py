"""How much each field of a request may hold: one table, looked at before anything is built of what was sent.

A text's bound is that of its word, as a word means the same in every message;
a list's is that of its field. ``docs/limits.md`` and the comments of the
contract say the same numbers. A message too large to be read on the off chance
is counted as it came over the wire, so that a megabyte of empty texts is
refused at the first one too many. What has a grammar is read by it later.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from policy_service.errors import InvalidField, InvalidRequest
from policy_service.policy_text import MOST_BYTES
from policy_service.rpc.errors import UnreadableRequest

Takes = Callable[[object], Any]
"""Reads what was sent, whatever that was."""

TEXTS: Final[Mapping[str, int]] = {
    "action": 64,
    "actions": 64,
    "actor": 64,
    "after": 512,
    "against": 1_000,
    "allow": 64,
    "caller": 64,
    "correlation_id": 128,
    "csv": MOST_BYTES,
    "decision_id": 128,
    "deny": 64,
    "digest": 64,
    "display_name": 128,
    "email": 254,
    "history": 16,
    "idempotency_key": 64,
    "includes": 64,
    "invitation_id": 64,
    "kind": 64,
    "may": 129,
    "owner": 64,
    "page_token": 512,
    "physician": 64,
    "physicians": 64,
    "reason": 256,
    "replacement": 64,
    "resource": 256,
    "role": 64,
    "roles": 64,
    "token": 128,
    "token_id": 16,
    "user": 64,
    "username": 64,
}
"""Most characters of a text, or of each text of a list."""

ITEMS: Final[Mapping[str, int]] = {
    "AddCallerRequest.may": 64,
    "AddCallerRequest.physicians": 200,
    "BatchCheckRequest.checks": 1_000,
    "ChangeCallerRequest.may": 64,
    "ChangeCallerRequest.physicians": 200,
    "ListInvitationsRequest.states": 16,
    "Permissions.actions": 64,
    "Permissions.roles": 16,
    "RoleDefinition.allow": 64,
    "RoleDefinition.deny": 64,
    "RoleDefinition.includes": 32,
    "VerifyLogRequest.against": 2_000,
}
"""Most items of a list."""

MOST_MESSAGE: Final = 1 << 20
"""Bytes of a whole message, which gRPC itself refuses to take more of."""

_READ_AT_ONCE: Final = 64 << 10
"""Bytes of a message that can be read whatever they are: its objects take a few megabytes at most."""
_READ_BY_HANDLERS: Final = frozenset({"CheckRequest"})
"""Inside another message its texts are read one by one, by the same bounds: a batch has thousands."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(slots=True)
class _Plan:
    """What a message is looked at for."""

    texts: list[tuple[str, int]] = field(default_factory=list)
    lists: list[tuple[str, int, int | None]] = field(default_factory=list)
    """Name, most items, most characters of each."""
    inner: list[tuple[str, "_Plan"]] = field(default_factory=list)
    counted: dict[int, tuple[str, int, bool]] = field(default_factory=dict)
    """By number: a list's name, its most items, and whether they may come packed."""
    entered: dict[int, tuple[str, "_Plan"]] = field(default_factory=dict)

    @property
    def has_lists(self) -> bool:
        """Is there anything to count?"""
        return bool(self.counted) or any(plan.has_lists for _, plan in self.inner)


@cache
def _plan_of(descriptor: Descriptor) -> _Plan:
    """What the table says of a message; KeyError for a field that it leaves out, at the start."""
    plan = _Plan()
    for at in descriptor.fields:
        is_text = at.type == FieldDescriptor.TYPE_STRING
        if at.is_repeated:
            most = ITEMS[f"{descriptor.name}.{at.name}"]
            plan.lists.append((at.name, most, TEXTS[at.name] if is_text else None))
            plan.counted[at.number] = (at.name, most, at.type not in _UNPACKED)
        elif is_text:
            plan.texts.append((at.name, TEXTS[at.name]))
        elif at.message_type is not None and at.message_type.name not in _READ_BY_HANDLERS:
            inner = _plan_of(at.message_type)
            plan.inner.append((at.name, inner))
            plan.entered[at.number] = (at.name, inner)
    return plan


_UNPACKED: Final = frozenset(
    {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP}
)


def reader(kind: Descriptor) -> Takes:
    """Reads a request within its bounds: raises InvalidRequest, and UnreadableRequest for what is none."""
    plan, parse = _plan_of(kind), plain_reader(message_factory.GetMessageClass(kind))
    has_lists = plan.has_lists

    def read(sent: object) -> Any:
        if has_lists and isinstance(sent, bytes) and len(sent) > _READ_AT_ONCE:
            try:
                _count(memoryview(sent), plan, "", {})
            except IndexError:
                raise UnreadableRequest(message=kind.full_name) from None
        request = parse(sent)
        if faults := tuple(_faults(request, plan, "")):
            raise InvalidRequest(violations=faults)
        return request

    return read


def plain_reader(kind: type[Message]) -> Takes:
    """Reads a message of somebody else's contract. Raises UnreadableRequest."""
    name, parse = kind.DESCRIPTOR.full_name, kind.FromString

    def read(sent: object) -> Any:
        # At the end of a stream, asyncio's server reads a mark of its own.
        if not isinstance(sent, bytes):
            raise UnreadableRequest(message=name)
        try:
            return parse(sent)
        except DecodeError:
            # Its words may repeat what was sent.
            raise UnreadableRequest(message=name) from None

    return read


def _faults(request: Any, plan: _Plan, path: str) -> Iterator[InvalidField]:
    for name, most in plan.texts:
        if len(getattr(request, name)) > most:
            yield _too_long(path + name, most)
    for name, most, length in plan.lists:
        items = getattr(request, name)
        if len(items) > most:
            yield _too_many(path + name, most)
        elif length is not None:
            yield from (_too_long(f"{path}{name}[{n}]", length) for n, text in enumerate(items) if len(text) > length)
    for name, inner in plan.inner:
        if request.HasField(name):
            yield from _faults(getattr(request, name), inner, f"{path}{name}.")


def _count(content: memoryview, plan: _Plan, path: str, counts: dict[str, int]) -> None:
    """Count the lists' items as they came; raises InvalidRequest at the first one too many.

    Parts of a message that comes in several are counted together, as they are
    read. Raises IndexError, or lets the reader say so, where it is no message.
    """
    place, end = 0, len(content)
    while place < end:
        tag, place = _varint(content, place)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            length, place = _varint(content, place)
            part = content[place : place + length]
            place += length
        elif wire == _VARINT:
            _, place = _varint(content, place)
        elif wire in (_FIXED64, _FIXED32):
            place += 8 if wire == _FIXED64 else 4
        else:
            # A group, which no message here has: nothing may hide in one.
            raise IndexError(place)
        if number in plan.counted:
            name, most, may_be_packed = plan.counted[number]
            found = _packed(part, most) if wire == _BYTES and may_be_packed else 1
            counts[path + name] = counts.get(path + name, 0) + found
            if counts[path + name] > most:
                raise _invalid(path + name, _too_many(path + name, most).description)
        elif number in plan.entered and wire == _BYTES:
            name, inner = plan.entered[number]
            _count(part, inner, f"{path}{name}.", counts)


def _packed(part: memoryview, most: int) -> int:
    """How many numbers are packed; more than ``most`` where there are."""
    # A number's last byte has its highest bit clear, and a number has ten bytes at most.
    return most + 1 if len(part) > 10 * most else sum(byte < 0x80 for byte in part)


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise IndexError(place)


def _too_long(name: str, most: int) -> InvalidField:
    return InvalidField(field=name, description=f"{name} has more than {most:,} characters")


def _too_many(name: str, most: int) -> InvalidField:
    return InvalidField(field=name, description=f"{name} has more than {most:,} items")


def _invalid(name: str, description: str) -> InvalidRequest:
    return InvalidRequest(violations=(InvalidField(field=name, description=description),))
