"""Our errors as gRPC statuses, and nothing of anybody else's errors."""

from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from policy_service.errors import InvalidRequest, Kind, PolicyError

DOMAIN: Final = "policy.v1"
DETAILS_KEY: Final = "grpc-status-details-bin"

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


def refusal(error: PolicyError) -> Refusal:
    """An error as the caller sees it."""
    return _refusal(_CODES[error.kind], str(error), error.reason, error)


def internal(incident: str) -> Refusal:
    """A fault of ours: the caller learns the name under which it is logged, never its text."""
    return _refusal(grpc.StatusCode.INTERNAL, f"Internal error, logged as incident {incident}.", "INTERNAL", None)


def _refusal(code: grpc.StatusCode, message: str, reason: str, error: PolicyError | None) -> Refusal:
    facts = {} if error is None or isinstance(error, InvalidRequest) else error.facts()
    details = [error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=facts)]
    if isinstance(error, InvalidRequest):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=at.field, description=at.description)
                    for at in error.violations
                ]
            )
        )
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return code, message, status.SerializeToString()
