import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import decision_pb2 as _decision_pb2
from . import seeds_pb2 as _seeds_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OutcomeFilter(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_FILTER_UNSPECIFIED: _ClassVar[OutcomeFilter]
    OUTCOME_FILTER_ALLOWED: _ClassVar[OutcomeFilter]
    OUTCOME_FILTER_DENIED: _ClassVar[OutcomeFilter]
OUTCOME_FILTER_UNSPECIFIED: OutcomeFilter
OUTCOME_FILTER_ALLOWED: OutcomeFilter
OUTCOME_FILTER_DENIED: OutcomeFilter

class Point(_message.Message):
    __slots__ = ("revision", "at", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    at: _timestamp_pb2.Timestamp
    history: str
    def __init__(self, revision: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., history: _Optional[str] = ...) -> None: ...

class ListChangesRequest(_message.Message):
    __slots__ = ("physician", "user", "actor", "kind", "since", "until", "page_size", "page_token")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    physician: str
    user: str
    actor: str
    kind: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, physician: _Optional[str] = ..., user: _Optional[str] = ..., actor: _Optional[str] = ..., kind: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListChangesResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PolicyRow(_message.Message):
    __slots__ = ("fields",)
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("revision", "at", "caller", "actor", "reason", "kind", "physician", "before", "after", "detail", "mark", "previous_hash", "hash")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    revision: int
    at: _timestamp_pb2.Timestamp
    caller: str
    actor: str
    reason: str
    kind: str
    physician: str
    before: _containers.RepeatedCompositeFieldContainer[PolicyRow]
    after: _containers.RepeatedCompositeFieldContainer[PolicyRow]
    detail: str
    mark: str
    previous_hash: str
    hash: str
    def __init__(self, revision: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., kind: _Optional[str] = ..., physician: _Optional[str] = ..., before: _Optional[_Iterable[_Union[PolicyRow, _Mapping]]] = ..., after: _Optional[_Iterable[_Union[PolicyRow, _Mapping]]] = ..., detail: _Optional[str] = ..., mark: _Optional[str] = ..., previous_hash: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("user", "physician", "action", "caller", "decision_id", "correlation_id", "outcome", "since", "until", "page_size", "page_token", "by_arrival", "after")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BY_ARRIVAL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    action: str
    caller: str
    decision_id: str
    correlation_id: str
    outcome: OutcomeFilter
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    by_arrival: bool
    after: str
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ..., action: _Optional[str] = ..., caller: _Optional[str] = ..., decision_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., outcome: _Optional[_Union[OutcomeFilter, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., by_arrival: _Optional[bool] = ..., after: _Optional[str] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("decisions", "next_page_token", "cursor")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[LoggedDecision]
    next_page_token: str
    cursor: str
    def __init__(self, decisions: _Optional[_Iterable[_Union[LoggedDecision, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class LoggedDecision(_message.Message):
    __slots__ = ("decision_id", "replica", "sequence", "at", "caller", "user", "physician", "action", "channel", "resource", "correlation_id", "allowed", "reason", "role", "revision")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    replica: str
    sequence: int
    at: _timestamp_pb2.Timestamp
    caller: str
    user: str
    physician: str
    action: str
    channel: _decision_pb2.Channel
    resource: str
    correlation_id: str
    allowed: bool
    reason: _decision_pb2.Reason
    role: str
    revision: int
    def __init__(self, decision_id: _Optional[str] = ..., replica: _Optional[str] = ..., sequence: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller: _Optional[str] = ..., user: _Optional[str] = ..., physician: _Optional[str] = ..., action: _Optional[str] = ..., channel: _Optional[_Union[_decision_pb2.Channel, str]] = ..., resource: _Optional[str] = ..., correlation_id: _Optional[str] = ..., allowed: _Optional[bool] = ..., reason: _Optional[_Union[_decision_pb2.Reason, str]] = ..., role: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ReviewAccessRequest(_message.Message):
    __slots__ = ("physician", "user", "as_of", "page_size", "page_token")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    physician: str
    user: str
    as_of: Point
    page_size: int
    page_token: str
    def __init__(self, physician: _Optional[str] = ..., user: _Optional[str] = ..., as_of: _Optional[_Union[Point, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ReviewAccessResponse(_message.Message):
    __slots__ = ("revision", "at", "hash", "checkpoint", "history", "display_name", "access", "custom_roles", "pending", "next_page_token", "built_in_roles", "catalogue")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_ROLES_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_ROLES_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    at: _timestamp_pb2.Timestamp
    hash: str
    checkpoint: str
    history: str
    display_name: str
    access: _containers.RepeatedCompositeFieldContainer[ReviewedAccess]
    custom_roles: _containers.RepeatedCompositeFieldContainer[ReviewedRole]
    pending: _containers.RepeatedCompositeFieldContainer[ReviewedInvitation]
    next_page_token: str
    built_in_roles: _containers.RepeatedScalarFieldContainer[str]
    catalogue: _containers.RepeatedCompositeFieldContainer[_decision_pb2.ActionInfo]
    def __init__(self, revision: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hash: _Optional[str] = ..., checkpoint: _Optional[str] = ..., history: _Optional[str] = ..., display_name: _Optional[str] = ..., access: _Optional[_Iterable[_Union[ReviewedAccess, _Mapping]]] = ..., custom_roles: _Optional[_Iterable[_Union[ReviewedRole, _Mapping]]] = ..., pending: _Optional[_Iterable[_Union[ReviewedInvitation, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., built_in_roles: _Optional[_Iterable[str]] = ..., catalogue: _Optional[_Iterable[_Union[_decision_pb2.ActionInfo, _Mapping]]] = ...) -> None: ...

class ReviewedAccess(_message.Message):
    __slots__ = ("user", "physician", "roles", "actions")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    roles: _containers.RepeatedCompositeFieldContainer[HeldRole]
    actions: _containers.RepeatedCompositeFieldContainer[ReviewedAction]
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ..., roles: _Optional[_Iterable[_Union[HeldRole, _Mapping]]] = ..., actions: _Optional[_Iterable[_Union[ReviewedAction, _Mapping]]] = ...) -> None: ...

class HeldRole(_message.Message):
    __slots__ = ("role", "since_revision", "since", "granted_by", "kind")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_BY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    role: str
    since_revision: int
    since: _timestamp_pb2.Timestamp
    granted_by: str
    kind: str
    def __init__(self, role: _Optional[str] = ..., since_revision: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., granted_by: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ReviewedAction(_message.Message):
    __slots__ = ("action", "shown", "reason", "role", "mobile")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MOBILE_FIELD_NUMBER: _ClassVar[int]
    action: str
    shown: bool
    reason: _decision_pb2.Reason
    role: str
    mobile: bool
    def __init__(self, action: _Optional[str] = ..., shown: _Optional[bool] = ..., reason: _Optional[_Union[_decision_pb2.Reason, str]] = ..., role: _Optional[str] = ..., mobile: _Optional[bool] = ...) -> None: ...

class ReviewedRole(_message.Message):
    __slots__ = ("role", "allow", "deny", "includes", "allowed", "holders")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    INCLUDES_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    role: str
    allow: _containers.RepeatedScalarFieldContainer[str]
    deny: _containers.RepeatedScalarFieldContainer[str]
    includes: _containers.RepeatedScalarFieldContainer[str]
    allowed: _containers.RepeatedScalarFieldContainer[str]
    holders: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, role: _Optional[str] = ..., allow: _Optional[_Iterable[str]] = ..., deny: _Optional[_Iterable[str]] = ..., includes: _Optional[_Iterable[str]] = ..., allowed: _Optional[_Iterable[str]] = ..., holders: _Optional[_Iterable[str]] = ...) -> None: ...

class ReviewedInvitation(_message.Message):
    __slots__ = ("id", "username", "email", "roles", "actions", "invited_by", "invited_at", "expires_at", "physician")
    ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    INVITED_BY_FIELD_NUMBER: _ClassVar[int]
    INVITED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    id: str
    username: str
    email: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[str]
    invited_by: str
    invited_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    physician: str
    def __init__(self, id: _Optional[str] = ..., username: _Optional[str] = ..., email: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[str]] = ..., invited_by: _Optional[str] = ..., invited_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., physician: _Optional[str] = ...) -> None: ...

class ReviewPeriodRequest(_message.Message):
    __slots__ = ("physician", "user", "action", "since", "until", "page_size", "page_token")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    physician: str
    user: str
    action: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, physician: _Optional[str] = ..., user: _Optional[str] = ..., action: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ReviewPeriodResponse(_message.Message):
    __slots__ = ("earlier_revision", "later_revision", "spans", "next_page_token")
    EARLIER_REVISION_FIELD_NUMBER: _ClassVar[int]
    LATER_REVISION_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    earlier_revision: int
    later_revision: int
    spans: _containers.RepeatedCompositeFieldContainer[AccessSpan]
    next_page_token: str
    def __init__(self, earlier_revision: _Optional[int] = ..., later_revision: _Optional[int] = ..., spans: _Optional[_Iterable[_Union[AccessSpan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AccessSpan(_message.Message):
    __slots__ = ("user", "physician", "action", "from_revision", "until", "until_revision")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    UNTIL_REVISION_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    action: str
    from_revision: int
    until: _timestamp_pb2.Timestamp
    until_revision: int
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ..., action: _Optional[str] = ..., from_revision: _Optional[int] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until_revision: _Optional[int] = ..., **kwargs) -> None: ...

class DiffAccessRequest(_message.Message):
    __slots__ = ("earlier", "later", "physician", "page_size", "page_token")
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    LATER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    earlier: Point
    later: Point
    physician: str
    page_size: int
    page_token: str
    def __init__(self, earlier: _Optional[_Union[Point, _Mapping]] = ..., later: _Optional[_Union[Point, _Mapping]] = ..., physician: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class DiffAccessResponse(_message.Message):
    __slots__ = ("earlier_revision", "later_revision", "differences", "next_page_token")
    EARLIER_REVISION_FIELD_NUMBER: _ClassVar[int]
    LATER_REVISION_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    earlier_revision: int
    later_revision: int
    differences: _containers.RepeatedCompositeFieldContainer[AccessDifference]
    next_page_token: str
    def __init__(self, earlier_revision: _Optional[int] = ..., later_revision: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[AccessDifference, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AccessDifference(_message.Message):
    __slots__ = ("physician", "user", "gained", "lost")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GAINED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    physician: str
    user: str
    gained: _containers.RepeatedScalarFieldContainer[str]
    lost: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, physician: _Optional[str] = ..., user: _Optional[str] = ..., gained: _Optional[_Iterable[str]] = ..., lost: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyLogRequest(_message.Message):
    __slots__ = ("against",)
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    against: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, against: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyLogResponse(_message.Message):
    __slots__ = ("progress", "verdict")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    progress: _seeds_pb2.Progress
    verdict: Verdict
    def __init__(self, progress: _Optional[_Union[_seeds_pb2.Progress, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("whole", "entries", "broken_revision", "fault", "head_revision", "head_hash", "checkpoint", "checkpoints_met", "replicas", "statement", "lost", "losses")
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BROKEN_REVISION_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    HEAD_REVISION_FIELD_NUMBER: _ClassVar[int]
    HEAD_HASH_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_MET_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    whole: bool
    entries: int
    broken_revision: int
    fault: str
    head_revision: int
    head_hash: str
    checkpoint: str
    checkpoints_met: int
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaLog]
    statement: str
    lost: int
    losses: _containers.RepeatedCompositeFieldContainer[Loss]
    def __init__(self, whole: _Optional[bool] = ..., entries: _Optional[int] = ..., broken_revision: _Optional[int] = ..., fault: _Optional[str] = ..., head_revision: _Optional[int] = ..., head_hash: _Optional[str] = ..., checkpoint: _Optional[str] = ..., checkpoints_met: _Optional[int] = ..., replicas: _Optional[_Iterable[_Union[ReplicaLog, _Mapping]]] = ..., statement: _Optional[str] = ..., lost: _Optional[int] = ..., losses: _Optional[_Iterable[_Union[Loss, _Mapping]]] = ...) -> None: ...

class Loss(_message.Message):
    __slots__ = ("replica", "caller", "lost", "first_at", "last_at")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    replica: str
    caller: str
    lost: int
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    def __init__(self, replica: _Optional[str] = ..., caller: _Optional[str] = ..., lost: _Optional[int] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReplicaLog(_message.Message):
    __slots__ = ("replica", "started_at", "ended_at", "decisions", "first_sequence", "last_sequence", "counted_lost")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_LOST_FIELD_NUMBER: _ClassVar[int]
    replica: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    decisions: int
    first_sequence: int
    last_sequence: int
    counted_lost: int
    def __init__(self, replica: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decisions: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., counted_lost: _Optional[int] = ...) -> None: ...
