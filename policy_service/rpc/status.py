"""Our errors as gRPC statuses, and nothing of anybody else's errors.

An error travels in trailing metadata, of which a client takes 8 KiB. So what is
told is bounded here, whatever the request held: the first faults and how many
there are, the beginning of a long fact.
"""

import math
from collections.abc import Iterable
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from policy_service.errors import InvalidField, InvalidRequest, Kind, PolicyError

DOMAIN: Final = "policy.v1"
DETAILS_KEY: Final = "grpc-status-details-bin"
INTERNAL: Final = "INTERNAL"
"""The reason of a fault of ours."""

REQUEST_ID_FACT: Final = "request_id"
"""What every error says beside its facts; no error has a fact of this name."""
MOST_FAULTS: Final = 20
"""Faults of one request that are told, …"""
_FAULT_BYTES: Final = 1_800
"""… in so many bytes."""
_FACTS_BYTES: Final = 1_200
_TEXT_BYTES: Final = 300
"""Of one fact, or one fault's words."""
_MESSAGE_BYTES: Final = 500
"""The message travels twice, once with three bytes for each that is not plain ASCII."""

_CODES: Final = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.NOT_ALLOWED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.CHANGED: grpc.StatusCode.ABORTED,
    Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.UNKNOWN: grpc.StatusCode.UNKNOWN,
    Kind.NO_METHOD: grpc.StatusCode.UNIMPLEMENTED,
}

Refusal = tuple[grpc.StatusCode, str, bytes]
"""Code, message, and google.rpc.Status for the trailing metadata."""


def refusal(error: PolicyError, request_id: str = "") -> Refusal:
    """An error as the caller sees it, with the id under which its call may stand in the log."""
    return _refusal(_CODES[error.kind], str(error), error.reason, error, request_id)


def internal(incident: str, request_id: str = "") -> Refusal:
    """A fault of ours: the caller learns the name under which it is logged, never its text."""
    words = f"Internal error, logged as incident {incident}."
    return _refusal(grpc.StatusCode.INTERNAL, words, INTERNAL, None, request_id)


def _refusal(code: grpc.StatusCode, message: str, reason: str, error: PolicyError | None, request_id: str) -> Refusal:
    facts = {} if error is None or isinstance(error, InvalidRequest) else _facts(error)
    if request_id:
        facts[REQUEST_ID_FACT] = request_id
    details = [error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=facts)]
    if isinstance(error, InvalidRequest):
        told = list(_first(error.violations))
        if len(told) < len(error.violations):
            details[0].metadata["faults"] = str(len(error.violations))
            message = f"{len(error.violations):,} faults, of which the first: {message}"
        details.append(error_details_pb2.BadRequest(field_violations=told))
    if error is not None and (wait := error.retry_after()) is not None:
        # Rounded up: whoever tries again then is not told to wait once more.
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromSeconds(max(1, math.ceil(wait.total_seconds())))
        details.append(retry)
    message = _beginning(message, _MESSAGE_BYTES)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return code, message, status.SerializeToString()


def _first(violations: Iterable[InvalidField]) -> Iterable[error_details_pb2.BadRequest.FieldViolation]:
    """As many faults as there is room for, at least one."""
    room = _FAULT_BYTES
    for number, at in enumerate(violations):
        told = error_details_pb2.BadRequest.FieldViolation(
            field=_beginning(at.field, _TEXT_BYTES), description=_beginning(at.description, _TEXT_BYTES)
        )
        room -= told.ByteSize()
        if number and (number == MOST_FAULTS or room < 0):
            return
        yield told


def _facts(error: PolicyError) -> dict[str, str]:
    """An error's facts, each cut to what there is room for."""
    room, told = _FACTS_BYTES, dict[str, str]()
    for name, fact in error.facts().items():
        told[name] = _beginning(fact, min(_TEXT_BYTES, room))
        room -= len(told[name].encode())
    return told


def _beginning(text: str, most: int) -> str:
    """A text, or its beginning with a mark that there is more, in so many bytes."""
    # Of a text that is far too long only what can be told is looked at.
    short = text[: most + 1].encode("utf-8", "replace")
    if len(text) <= most and len(short) <= most:
        return short.decode()
    return short[: max(0, most - 3)].decode("utf-8", "ignore") + "…"
