import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallerToken(_message.Message):
    __slots__ = ("id", "made_at", "expires_at", "last_used_at", "expired")
    ID_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    id: str
    made_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    last_used_at: _timestamp_pb2.Timestamp
    expired: bool
    def __init__(self, id: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_used_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expired: _Optional[bool] = ...) -> None: ...

class CallerRight(_message.Message):
    __slots__ = ("method", "limited", "by_seed")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LIMITED_FIELD_NUMBER: _ClassVar[int]
    BY_SEED_FIELD_NUMBER: _ClassVar[int]
    method: str
    limited: bool
    by_seed: bool
    def __init__(self, method: _Optional[str] = ..., limited: _Optional[bool] = ..., by_seed: _Optional[bool] = ...) -> None: ...

class Caller(_message.Message):
    __slots__ = ("caller", "in_seed", "own_methods", "physicians", "tokens", "rights")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    IN_SEED_FIELD_NUMBER: _ClassVar[int]
    OWN_METHODS_FIELD_NUMBER: _ClassVar[int]
    PHYSICIANS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    caller: str
    in_seed: bool
    own_methods: int
    physicians: _containers.RepeatedScalarFieldContainer[str]
    tokens: _containers.RepeatedCompositeFieldContainer[CallerToken]
    rights: _containers.RepeatedCompositeFieldContainer[CallerRight]
    def __init__(self, caller: _Optional[str] = ..., in_seed: _Optional[bool] = ..., own_methods: _Optional[int] = ..., physicians: _Optional[_Iterable[str]] = ..., tokens: _Optional[_Iterable[_Union[CallerToken, _Mapping]]] = ..., rights: _Optional[_Iterable[_Union[CallerRight, _Mapping]]] = ...) -> None: ...

class ListCallersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCallersResponse(_message.Message):
    __slots__ = ("callers", "revision", "history")
    CALLERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    callers: _containers.RepeatedCompositeFieldContainer[Caller]
    revision: int
    history: str
    def __init__(self, callers: _Optional[_Iterable[_Union[Caller, _Mapping]]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class GetCallerRequest(_message.Message):
    __slots__ = ("caller",)
    CALLER_FIELD_NUMBER: _ClassVar[int]
    caller: str
    def __init__(self, caller: _Optional[str] = ...) -> None: ...

class GetCallerResponse(_message.Message):
    __slots__ = ("caller", "revision", "history")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    caller: Caller
    revision: int
    history: str
    def __init__(self, caller: _Optional[_Union[Caller, _Mapping]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class AddCallerRequest(_message.Message):
    __slots__ = ("caller", "may", "physicians", "certificate_only", "expires_at", "actor", "reason")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    MAY_FIELD_NUMBER: _ClassVar[int]
    PHYSICIANS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    caller: str
    may: _containers.RepeatedScalarFieldContainer[str]
    physicians: _containers.RepeatedScalarFieldContainer[str]
    certificate_only: bool
    expires_at: _timestamp_pb2.Timestamp
    actor: str
    reason: str
    def __init__(self, caller: _Optional[str] = ..., may: _Optional[_Iterable[str]] = ..., physicians: _Optional[_Iterable[str]] = ..., certificate_only: _Optional[bool] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AddCallerResponse(_message.Message):
    __slots__ = ("revision", "token", "token_id", "expires_at", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    token: str
    token_id: str
    expires_at: _timestamp_pb2.Timestamp
    history: str
    def __init__(self, revision: _Optional[int] = ..., token: _Optional[str] = ..., token_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., history: _Optional[str] = ...) -> None: ...

class ChangeCallerRequest(_message.Message):
    __slots__ = ("caller", "may", "physicians", "actor", "reason")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    MAY_FIELD_NUMBER: _ClassVar[int]
    PHYSICIANS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    caller: str
    may: _containers.RepeatedScalarFieldContainer[str]
    physicians: _containers.RepeatedScalarFieldContainer[str]
    actor: str
    reason: str
    def __init__(self, caller: _Optional[str] = ..., may: _Optional[_Iterable[str]] = ..., physicians: _Optional[_Iterable[str]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ChangeCallerResponse(_message.Message):
    __slots__ = ("revision", "changed", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changed: bool
    history: str
    def __init__(self, revision: _Optional[int] = ..., changed: _Optional[bool] = ..., history: _Optional[str] = ...) -> None: ...

class RotateTokenRequest(_message.Message):
    __slots__ = ("caller", "expires_at", "overlap", "at_once", "actor", "reason")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    caller: str
    expires_at: _timestamp_pb2.Timestamp
    overlap: _duration_pb2.Duration
    at_once: bool
    actor: str
    reason: str
    def __init__(self, caller: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., overlap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at_once: _Optional[bool] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RotateTokenResponse(_message.Message):
    __slots__ = ("revision", "token", "token_id", "expires_at", "before", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    token: str
    token_id: str
    expires_at: _timestamp_pb2.Timestamp
    before: CallerToken
    history: str
    def __init__(self, revision: _Optional[int] = ..., token: _Optional[str] = ..., token_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before: _Optional[_Union[CallerToken, _Mapping]] = ..., history: _Optional[str] = ...) -> None: ...

class RemoveTokenRequest(_message.Message):
    __slots__ = ("caller", "token_id", "actor", "reason")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    caller: str
    token_id: str
    actor: str
    reason: str
    def __init__(self, caller: _Optional[str] = ..., token_id: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveTokenResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class RemoveCallerRequest(_message.Message):
    __slots__ = ("caller", "actor", "reason")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    caller: str
    actor: str
    reason: str
    def __init__(self, caller: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveCallerResponse(_message.Message):
    __slots__ = ("revision", "seed_rights", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEED_RIGHTS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    seed_rights: bool
    history: str
    def __init__(self, revision: _Optional[int] = ..., seed_rights: _Optional[bool] = ..., history: _Optional[str] = ...) -> None: ...
