"""What can go wrong, one class for each way of handling it. None of them is ever an allow."""

from typing import Any, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


class PolicyError(Exception):
    """The question was not answered.

    ``reason`` is the service's stable word for the cause (google.rpc.ErrorInfo),
    ``fields`` the fields at fault with what is wrong with each, ``code`` the
    gRPC status. Each may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        fields: dict[str, str] | None = None,
        code: grpc.StatusCode | None = None,
    ) -> None:
        """Keep the facts."""
        super().__init__(message)
        self.reason = reason
        self.fields = fields or {}
        self.code = code


class InvalidRequest(PolicyError):
    """A field cannot be read; ``fields`` names it. Asking again will not help."""


class ServiceUnavailable(PolicyError):
    """The service could not be reached, or could not answer safely, after retries."""


class ForeignHistory(PolicyError):
    """A revision given is not of the database's history, which was restored from a backup or is another.

    Drop the revision, and read again without: what it stood for may be gone.
    """


class DeadlineExceeded(PolicyError):
    """No answer came in time."""


class CallerNotAllowed(PolicyError):
    """This service may not call that method, or has no valid certificate."""


class NotFound(PolicyError):
    """What was asked about does not exist."""


class AlreadyExists(PolicyError):
    """What was to be made is there already."""


class PlanMoved(PolicyError):
    """The policy, the seed or what it would do is no longer what the plan says: plan again."""


class Refused(PolicyError):
    """The service's rules do not allow this; ``reason`` says which."""


class UserExists(Refused):
    """The username or address to invite exists already; ask, and set ``reuse_existing``."""


class ActorNotAllowed(Refused):
    """The person for whom was called may not do this here; ``reason`` says why."""


class ResourceExhausted(PolicyError):
    """Too much at once: a rate, size or concurrency limit."""


class ListChanged(PolicyError):
    """The list kept changing while its pages were read."""


class ProtocolError(PolicyError):
    """The answer contradicts itself or does not fit the question; it was thrown away."""


_BY_CODE: dict[grpc.StatusCode, type[PolicyError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAVAILABLE: ServiceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.PERMISSION_DENIED: CallerNotAllowed,
    grpc.StatusCode.UNAUTHENTICATED: CallerNotAllowed,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.ABORTED: ListChanged,
}
_BY_REASON: dict[str, type[PolicyError]] = {
    "PLAN_MOVED": PlanMoved,
    "FOREIGN_HISTORY": ForeignHistory,
    "USER_EXISTS": UserExists,
    "ACTOR_NOT_ALLOWED": ActorNotAllowed,
    "SELF_EDIT": ActorNotAllowed,
    "BEYOND_OWN_RIGHTS": ActorNotAllowed,
}
"""Reasons that are handled in another way than their code's others."""


def error_from(failed: grpc.RpcError) -> PolicyError:
    """A typed error from what gRPC raised."""
    # Both the blocking and the asyncio call errors are calls too, with these methods.
    call = cast(Any, failed)
    code: grpc.StatusCode = call.code()
    message: str = call.details() or code.name
    reason, fields = "", dict[str, str]()
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS:
            reason, fields = _read_details(value)
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, PolicyError)
    return kind(message, reason=reason, fields=fields, code=code)


def _read_details(value: bytes) -> tuple[str, dict[str, str]]:
    reason, fields = "", dict[str, str]()
    for detail in status_pb2.Status.FromString(value).details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            fields = {violation.field: violation.description for violation in bad.field_violations}
    return reason, fields
