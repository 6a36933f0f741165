"""What somebody is told who may not, or of whom it is not known: never what went wrong inside, and never yes."""

import logging
from dataclasses import dataclass
from datetime import timedelta

import grpc

from policy_client.answers import AccessDenied
from policy_client.errors import DeadlineExceeded, InvalidRequest, PolicyError, ResourceExhausted, ServiceUnavailable

log = logging.getLogger("policy_client.guards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal, as gRPC and as HTTP say it."""

    code: grpc.StatusCode
    status: int
    reason: str
    """A stable word."""
    words: str
    facts: dict[str, str]
    retry_after: timedelta | None = None


def refusal_of(error: AccessDenied | PolicyError) -> Refusal:
    """What to say of an error that a guard met. What only operators can mend is logged, and told as a fault."""
    match error:
        case AccessDenied():
            decision = error.decision
            return Refusal(
                code=grpc.StatusCode.PERMISSION_DENIED,
                status=403,
                reason="ACCESS_DENIED",
                words=f"Not allowed: {decision.reason.value} (decision {decision.decision_id}).",
                facts={"decision_id": decision.decision_id, "why": decision.reason.value},
            )
        case InvalidRequest():
            return Refusal(
                code=grpc.StatusCode.INVALID_ARGUMENT,
                status=422,
                reason=error.reason or "INVALID_REQUEST",
                words=f"Whether this is allowed cannot be asked: {error}",
                facts=error.fields,
            )
        case ServiceUnavailable() | DeadlineExceeded() | ResourceExhausted():
            log.warning("not known whether it is allowed: %s", error)
            return Refusal(
                code=grpc.StatusCode.UNAVAILABLE,
                status=503,
                reason="POLICY_UNAVAILABLE",
                words="Whether this is allowed cannot be known now; try again.",
                facts={},
                retry_after=error.retry_after,
            )
        case _:
            log.error("not known whether it is allowed", exc_info=error)
            return Refusal(
                code=grpc.StatusCode.INTERNAL,
                status=500,
                reason="POLICY_FAULT",
                words="Whether this is allowed cannot be known.",
                facts={},
            )
