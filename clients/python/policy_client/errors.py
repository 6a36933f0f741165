"""What can go wrong, one class for each way of handling it. None of them is ever an allow."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from policy_client.channel import Reach
from policy_client.unreached import plain_words

_DETAILS = "grpc-status-details-bin"


class PolicyError(Exception):
    """The question was not answered.

    ``reason`` is the service's stable word for the cause (google.rpc.ErrorInfo),
    ``fields`` the fields at fault with what is wrong with each, ``facts`` what
    else it concerns, ``code`` the gRPC status, ``retry_after`` how long to wait
    before trying again (google.rpc.RetryInfo). Each may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        fields: dict[str, str] | None = None,
        facts: dict[str, str] | None = None,
        code: grpc.StatusCode | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        """Keep the facts."""
        super().__init__(message)
        self.reason = reason
        self.fields = fields or {}
        self.facts = facts or {}
        self.code = code
        self.retry_after = retry_after


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


class WrongAddress(PolicyError):
    """Nobody there answers that method: it is the service's other port, or a service of another release."""


class ClientNotUsable(PolicyError):
    """The client was closed, is of another event loop, or was carried over a fork; ``reason`` says which."""


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
    """The username or address to invite exists already; ask, and invite ``user`` with ``reuse_existing``."""

    @property
    def user(self) -> str:
        """Who exists: the username to invite instead, where it is another."""
        return self.facts.get("user", "")


class Superseded(PolicyError):
    """The call with this idempotency key was done, and what it answered no longer stands: look how things are now."""


class ActorNotAllowed(Refused):
    """The person for whom was called may not do this here; ``reason`` says why."""


class ResourceExhausted(PolicyError):
    """Too much at once, or lately: a rate, size or concurrency limit; ``retry_after`` says when, where it is known."""


class ListChanged(PolicyError):
    """The list kept changing while its pages were read."""


class ProtocolError(PolicyError):
    """The answer contradicts itself or does not fit the question; it was thrown away."""


_BY_CODE: dict[grpc.StatusCode, type[PolicyError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAVAILABLE: ServiceUnavailable,
    # By a server that stops or has too much to do: who cancels a call of their own gets no error of ours.
    grpc.StatusCode.CANCELLED: ServiceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.PERMISSION_DENIED: CallerNotAllowed,
    grpc.StatusCode.UNAUTHENTICATED: CallerNotAllowed,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.ABORTED: ListChanged,
    grpc.StatusCode.UNIMPLEMENTED: WrongAddress,
}
_BY_REASON: dict[str, type[PolicyError]] = {
    "PLAN_MOVED": PlanMoved,
    "SUPERSEDED": Superseded,
    "FOREIGN_HISTORY": ForeignHistory,
    "USER_EXISTS": UserExists,
    "ACTOR_NOT_ALLOWED": ActorNotAllowed,
    "SELF_EDIT": ActorNotAllowed,
    "BEYOND_OWN_RIGHTS": ActorNotAllowed,
}
"""Reasons that are handled in another way than their code's others."""


def error_from(failed: grpc.RpcError, path: str, reach: Reach) -> PolicyError:
    """A typed error from what gRPC raised when a method was called."""
    # Both the blocking and the asyncio call errors are calls too, with these methods.
    call = cast(Any, failed)
    code: grpc.StatusCode = call.code()
    message: str = call.details() or code.name
    details = _Details()
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS:
            details = _read_details(value)
    if not details.reason:
        message = plain_words(code, message, path, reach)
    kind = _BY_REASON.get(details.reason) or _BY_CODE.get(code, PolicyError)
    return kind(
        message,
        reason=details.reason,
        fields=details.fields,
        facts=details.facts,
        code=code,
        retry_after=details.retry_after,
    )


@dataclass(kw_only=True)
class _Details:
    reason: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None


def _read_details(value: bytes) -> _Details:
    found = _Details()
    try:
        details = status_pb2.Status.FromString(value).details
    except DecodeError:
        # A proxy's, maybe. The status without them is an error all the same.
        return found
    for detail in details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            found.reason, found.facts = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            found.fields = {violation.field: violation.description for violation in bad.field_violations}
        elif detail.Unpack(retry):
            found.retry_after = retry.retry_delay.ToTimedelta()
    return found
