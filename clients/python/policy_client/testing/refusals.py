"""What can be refused: each reason with its gRPC code and sentence, as the real service gives them."""

from datetime import datetime, timedelta
from typing import Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY: Final = "grpc-status-details-bin"
REQUEST_ID: Final = "x-request-id"

_NOT_FOUND = grpc.StatusCode.NOT_FOUND
_EXISTS = grpc.StatusCode.ALREADY_EXISTS
_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
_DENIED = grpc.StatusCode.PERMISSION_DENIED

_TABLE: Final = {
    "INVALID_REQUEST": (grpc.StatusCode.INVALID_ARGUMENT, "The request has fields that cannot be read."),
    "UNKNOWN_PHYSICIAN": (_NOT_FOUND, "No such physician account is registered."),
    "UNKNOWN_ACTION": (_NOT_FOUND, "No such action exists."),
    "UNKNOWN_ROLE": (_NOT_FOUND, "No such role exists in this account."),
    "UNKNOWN_INVITATION": (_NOT_FOUND, "No such invitation was made for this account."),
    "NOT_A_MEMBER": (_NOT_FOUND, "The user does not work on this account."),
    "PHYSICIAN_EXISTS": (_EXISTS, "This physician account is registered already."),
    "ROLE_EXISTS": (_EXISTS, "The account has a role of this name already."),
    "BUILT_IN_ROLE": (_PRECONDITION, "A built-in role cannot be redefined in one account."),
    "EMPTY_ROLE": (_PRECONDITION, "A role allows, denies or includes something; to remove it, delete it."),
    "OWNER_ONLY": (_PRECONDITION, "Only an account's owner may hold this; it cannot be given to an invited user."),
    "LAST_OWNER": (_PRECONDITION, "An account keeps its owner."),
    "ROLE_IN_USE": (_PRECONDITION, "The role is still held or included by others."),
    "ROLE_CHAIN_TOO_LONG": (_PRECONDITION, "Roles include each other in a circle or through too many steps."),
    "USER_EXISTS": (_PRECONDITION, "This username or address exists already; ask whether to invite the existing user."),
    "USER_MISMATCH": (
        _PRECONDITION,
        "The username and the address belong to different people; give that user's address, or another username.",
    ),
    "NAME_RESERVED": (_PRECONDITION, "An open invitation reserves this username for whom it invites."),
    "NAME_TOO_SIMILAR": (_PRECONDITION, "This new name could be taken for one that exists; choose another."),
    "NOT_ACCEPTED_YET": (_PRECONDITION, "The invitation of this link is open; set-up comes after accepting it."),
    "SETUP_UNFINISHED": (_PRECONDITION, "The user has not set up their credentials yet."),
    "ADDRESS_UNCHANGED": (_PRECONDITION, "This is the user's address already."),
    "ADDRESS_TAKEN": (_PRECONDITION, "This address belongs to somebody else."),
    "UNKNOWN_USER": (_NOT_FOUND, "Nobody of this name has or ever had access, credentials or an invitation."),
    "TOO_MANY_ADDRESS_CHANGES": (_EXHAUSTED, "The user asked for other addresses too often; they can again later."),
    "SUPERSEDED": (grpc.StatusCode.ABORTED, "The call was done, and what it answered no longer stands."),
    "ALREADY_A_MEMBER": (_PRECONDITION, "The user works on this account already; edit their permissions instead."),
    "ALREADY_INVITED": (_PRECONDITION, "The user has an open invitation to this account; resend or cancel it."),
    "INVITATION_CLOSED": (_PRECONDITION, "The invitation is no longer open."),
    "INVALID_TOKEN": (_PRECONDITION, "This link does not work: it was used, replaced or withdrawn, or its time is up."),
    "IDEMPOTENCY_KEY_REUSED": (_PRECONDITION, "This idempotency key was used for another request."),
    "TOO_MANY_LETTERS": (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "As many e-mails as may be were sent lately; this one may be sent later.",
    ),
    "TOO_MANY_PROMPTS": (
        _EXHAUSTED,
        "This account asked too often whether somebody exists; it can invite again later.",
    ),
    "ACCOUNT_FULL": (_PRECONDITION, "The account would hold more of these than it may; remove some first."),
    "ACTOR_NOT_ALLOWED": (_DENIED, "The acting person may not do this for this physician."),
    "BEYOND_OWN_RIGHTS": (_DENIED, "Nobody gives what they do not hold themselves."),
    "SELF_EDIT": (_DENIED, "Nobody changes their own permissions."),
    "LIST_CHANGED": (grpc.StatusCode.ABORTED, "The list has changed since its first page was answered; begin again."),
    "FOREIGN_HISTORY": (
        _PRECONDITION,
        "This revision is not of the history here: a backup was restored, or it is another's. Drop it, and read again.",
    ),
    "REVISION_NOT_REACHED": (grpc.StatusCode.UNAVAILABLE, "The revision asked for has not been reached."),
}


class Refusal(Exception):
    """The request was refused; ``reason`` says which rule, ``fields`` what is wrong with each field at fault."""

    def __init__(
        self, reason: str, facts: dict[str, str], fields: dict[str, str], wait: timedelta | None = None
    ) -> None:
        """Use ``refuse``."""
        self.wait = wait
        self.code, sentence = _TABLE[reason]
        self.reason, self.facts, self.fields = reason, facts, fields
        told = "; ".join(f"{name}: {fact}" for name, fact in facts.items())
        super().__init__("; ".join(fields.values()) or (f"{sentence} ({told})" if told else sentence))

    def status(self, request_id: str) -> bytes:
        """The google.rpc.Status for the trailing metadata, which names the call."""
        status = status_pb2.Status(code=self.code.value[0], message=str(self))
        told = {**self.facts, "request_id": request_id}
        _pack(status, error_details_pb2.ErrorInfo(reason=self.reason, domain="policy.v1", metadata=told))
        if self.fields:
            violations = [
                error_details_pb2.BadRequest.FieldViolation(field=field, description=words)
                for field, words in self.fields.items()
            ]
            _pack(status, error_details_pb2.BadRequest(field_violations=violations))
        if self.wait is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(self.wait)
            _pack(status, retry)
        return bytes(status.SerializeToString())


def refuse(reason: str, **facts: object) -> NoReturn:
    """Refuse for a reason, with what it concerns."""
    raise Refusal(reason, {name: str(fact) for name, fact in facts.items()}, {})


def refuse_until(reason: str, again_at: datetime, now: datetime, *, limit: str, most: int, **facts: object) -> NoReturn:
    """Refuse by a limit, until a time."""
    told = {"limit": limit, "most": str(most)} | {name: str(fact) for name, fact in facts.items()}
    told |= {"again_at": again_at.isoformat(timespec="seconds")}
    raise Refusal(reason, told, {}, again_at - now)


def refuse_fields(fields: dict[str, str]) -> NoReturn:
    """Refuse the fields at fault, with what is wrong with each."""
    raise Refusal("INVALID_REQUEST", {}, fields)


def _pack(
    status: status_pb2.Status,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
