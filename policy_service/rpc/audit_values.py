"""The messages of AuditService about its logs: read strictly, and written whole."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

from google.protobuf.timestamp_pb2 import Timestamp

from policy_service.audit import AsOf
from policy_service.pb import audit_pb2 as pb
from policy_service.pb import decision_pb2
from policy_service.rpc.bounds import TEXTS
from policy_service.rpc.fields import Fields, invalid, parse_text
from policy_service.store import ChangeFilter, DecisionFilter, LoggedChange, LoggedDecision
from policy_service.vocabulary import (
    Channel,
    Reason,
    parse_action,
    parse_physician,
    parse_user,
)

BY_ARRIVAL: Final = b"decisions by arrival"
"""What a place in the order of arrival belongs to: no filters, as it is a place whatever is wanted."""

# What a page holds unless told otherwise, and at most.
CHANGES: Final = (100, 1_000)
DECISIONS: Final = (100, 1_000)

_MOST_BYTES: Final = 3 << 20  # A message that is sent has 4 MB at most.
_MOST_NAME: Final = TEXTS["caller"]
_MOST_CORRELATION: Final = TEXTS["correlation_id"]
_MOST_ID: Final = TEXTS["decision_id"]
_MOST_DIGITS: Final = 18

REASONS: Final = {
    reason: cast(decision_pb2.Reason, decision_pb2.Reason.Value(f"REASON_{reason.name}")) for reason in Reason
}
_CHANNELS: Final = {
    channel: cast(decision_pb2.Channel, decision_pb2.Channel.Value(f"CHANNEL_{channel.name}")) for channel in Channel
}
_OUTCOMES: Final[dict[int, bool | None]] = {
    pb.OUTCOME_FILTER_UNSPECIFIED: None,
    pb.OUTCOME_FILTER_ALLOWED: True,
    pb.OUTCOME_FILTER_DENIED: False,
}


def question_of(request: Any) -> bytes:
    """What a page token belongs to: the method's request, but for the token and the size of a page."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    content: bytes = asked.SerializeToString(deterministic=True)
    name: str = request.DESCRIPTOR.full_name
    return name.encode() + b"\0" + content


def parse_size(request: Any, sizes: tuple[int, int]) -> int:
    """Read how much a page is to hold, given the usual and the most; raises InvalidRequest."""
    if request.page_size < 0:
        raise invalid("page_size", "page_size is below 0")
    usual, most = sizes
    return min(request.page_size or usual, most)


def parse_point(point: pb.Point, field: str) -> AsOf:
    """Read a point in history; raises InvalidRequest."""
    if point.HasField("revision"):
        return point.revision
    return parse_moment(point.at, f"{field}.at") if point.HasField("at") else None


def parse_moment(moment: Timestamp, field: str) -> datetime:
    """Read a time; raises InvalidRequest."""
    try:
        return moment.ToDatetime(UTC)
    except (ValueError, OverflowError) as fault:
        raise invalid(field, f"{field} is not a time between the years 1 and 9999") from fault


def parse_change_filter(request: pb.ListChangesRequest) -> ChangeFilter:
    """Read which entries are wanted; raises InvalidRequest."""
    with Fields() as fields:
        since, until = parse_times(request, fields)
        return ChangeFilter(
            physician=fields.read(parse_physician, request.physician) if request.physician else None,
            user=fields.read(parse_user, request.user) if request.user else None,
            actor=fields.read(partial(parse_text, field="actor", most=_MOST_NAME), request.actor) or None,
            kind=fields.read(partial(parse_text, field="kind", most=_MOST_NAME), request.kind) or None,
            since=since,
            until=until,
        )


def parse_decision_filter(request: pb.ListDecisionsRequest) -> DecisionFilter:
    """Read which decisions are wanted; raises InvalidRequest."""
    with Fields() as fields:
        since, until = parse_times(request, fields)
        # Decisions about actions that do not exist are recorded too.
        fields.read(lambda text: parse_action(text) if text else None, request.action)
        return DecisionFilter(
            user=fields.read(parse_user, request.user) if request.user else None,
            physician=fields.read(parse_physician, request.physician) if request.physician else None,
            action=request.action or None,
            caller=fields.read(partial(parse_text, field="caller", most=_MOST_NAME), request.caller) or None,
            decision=fields.read(_parse_decision_id, request.decision_id) if request.decision_id else None,
            correlation_id=fields.read(
                partial(parse_text, field="correlation_id", most=_MOST_CORRELATION), request.correlation_id
            )
            or None,
            allowed=fields.read(_parse_outcome, request.outcome),
            since=since,
            until=until,
        )


def parse_times(
    request: pb.ListChangesRequest | pb.ListDecisionsRequest | pb.ReviewPeriodRequest, fields: Fields
) -> tuple[datetime | None, datetime | None]:
    """Read from when to when; faults go to ``fields``."""
    since = until = None
    if request.HasField("since"):
        since = fields.read(partial(parse_moment, field="since"), request.since)
    if request.HasField("until"):
        until = fields.read(partial(parse_moment, field="until"), request.until)
    return since, until


def _parse_outcome(number: int) -> bool | None:
    if number not in _OUTCOMES:
        raise invalid("outcome", f"outcome {number} is none of allowed (1) and denied (2)")
    return _OUTCOMES[number]


def _parse_decision_id(text: str) -> tuple[str, int]:
    replica, _, sequence = parse_text(text, field="decision_id", most=_MOST_ID).rpartition("-")
    if not replica or not sequence.isdecimal() or len(sequence) > _MOST_DIGITS:
        raise invalid("decision_id", "decision_id is not the id of a recorded decision: REPLICA-NUMBER")
    return replica, int(sequence)


def encode_changes(found: Iterable[LoggedChange]) -> list[pb.Change]:
    """Entries in their order, as many as fit into one message, and at least one."""
    page, size = list[pb.Change](), 0
    for logged in found:
        change = _change(logged)
        size += change.ByteSize()
        if page and size > _MOST_BYTES:
            break
        page.append(change)
    return page


def _change(logged: LoggedChange) -> pb.Change:
    entry = logged.entry
    return pb.Change(
        revision=entry.revision,
        at=entry.at,
        caller=entry.caller,
        actor=entry.actor,
        reason=entry.reason,
        kind=entry.kind,
        physician=entry.physician or "",
        before=_rows(entry.before),
        after=_rows(entry.after),
        detail=json.dumps(entry.detail, ensure_ascii=False),
        mark=entry.mark,
        previous_hash=entry.previous.hex(),
        hash=logged.hash.hex(),
    )


def _rows(found: Any) -> list[pb.PolicyRow]:
    """Rows; what somebody wrote in their place past the service as one field, for the list to be read all the same."""
    if isinstance(found, list | tuple) and all(isinstance(row, list | tuple) for row in found):
        return [pb.PolicyRow(fields=[f if isinstance(f, str) else json.dumps(f) for f in row]) for row in found]
    return [pb.PolicyRow(fields=[json.dumps(found, ensure_ascii=False)])]


def encode_decision(found: LoggedDecision) -> pb.LoggedDecision:
    """A recorded decision, under the id that was answered with it."""
    return pb.LoggedDecision(
        decision_id=f"{found.replica}-{found.sequence}",
        replica=found.replica,
        sequence=found.sequence,
        at=found.at,
        caller=found.caller,
        user=found.user,
        physician=found.physician,
        action=found.action,
        channel=_CHANNELS[found.channel],
        resource=found.resource,
        correlation_id=found.correlation_id,
        allowed=found.allowed,
        reason=REASONS[found.reason],
        role=found.role,
        revision=found.revision,
    )
