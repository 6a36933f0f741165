"""Calling services from the wire, and times of tokens to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from policy_client._pb import callers_pb2 as pb
from policy_client.callers import CallerInfo, CallerRemoved, CallerRight, CallerToken, NewToken
from policy_client.revisions import Revision, revision_of


def stamp(moment: datetime | None) -> Timestamp | None:
    """A time as a message; raises ValueError for one without a zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone: which moment it is cannot be told")
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def duration(length: timedelta | None) -> Duration | None:
    """A length of time as a message."""
    if length is None:
        return None
    made = Duration()
    made.FromTimedelta(length)
    return made


def callers_from(answer: pb.ListCallersResponse) -> list[CallerInfo]:
    """Every caller, without rights."""
    revision = revision_of(answer)
    return [_caller(found, revision) for found in answer.callers]


def caller_from(answer: pb.GetCallerResponse) -> CallerInfo:
    """One caller with its rights."""
    return _caller(answer.caller, revision_of(answer))


def token_from(answer: pb.AddCallerResponse | pb.RotateTokenResponse) -> NewToken:
    """What a caller was given."""
    before = answer.before if isinstance(answer, pb.RotateTokenResponse) and answer.HasField("before") else None
    return NewToken(
        token=answer.token,
        token_id=answer.token_id,
        expires_at=_moment(answer.expires_at) if answer.HasField("expires_at") else None,
        revision=revision_of(answer),
        before=None if before is None else _token(before),
    )


def removed_from(answer: pb.RemoveCallerResponse) -> CallerRemoved:
    """What is left of a caller."""
    return CallerRemoved(revision=revision_of(answer), seed_rights=answer.seed_rights)


def _caller(found: pb.Caller, revision: Revision) -> CallerInfo:
    return CallerInfo(
        caller=found.caller,
        in_seed=found.in_seed,
        own_methods=found.own_methods,
        physicians=tuple(found.physicians),
        tokens=tuple(map(_token, found.tokens)),
        rights=tuple(
            CallerRight(method=right.method, limited=right.limited, by_seed=right.by_seed) for right in found.rights
        ),
        revision=revision,
    )


def _token(found: pb.CallerToken) -> CallerToken:
    return CallerToken(
        id=found.id,
        made_at=_moment(found.made_at),
        expires_at=_moment(found.expires_at),
        last_used_at=_moment(found.last_used_at) if found.HasField("last_used_at") else None,
        expired=found.expired,
    )


def _moment(found: Any) -> datetime:
    return found.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
