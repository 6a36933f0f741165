from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_WEB: _ClassVar[Channel]
    CHANNEL_MOBILE: _ClassVar[Channel]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_GRANTED: _ClassVar[Reason]
    REASON_NOT_A_MEMBER: _ClassVar[Reason]
    REASON_NOT_GRANTED: _ClassVar[Reason]
    REASON_DENIED_BY_RULE: _ClassVar[Reason]
    REASON_CHANNEL_NOT_ALLOWED: _ClassVar[Reason]
    REASON_UNKNOWN_ACTION: _ClassVar[Reason]
    REASON_UNKNOWN_PHYSICIAN: _ClassVar[Reason]
CHANNEL_UNSPECIFIED: Channel
CHANNEL_WEB: Channel
CHANNEL_MOBILE: Channel
REASON_UNSPECIFIED: Reason
REASON_GRANTED: Reason
REASON_NOT_A_MEMBER: Reason
REASON_NOT_GRANTED: Reason
REASON_DENIED_BY_RULE: Reason
REASON_CHANNEL_NOT_ALLOWED: Reason
REASON_UNKNOWN_ACTION: Reason
REASON_UNKNOWN_PHYSICIAN: Reason

class CheckRequest(_message.Message):
    __slots__ = ("user", "physician", "action", "channel", "min_revision", "resource", "correlation_id", "history")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    action: str
    channel: Channel
    min_revision: int
    resource: str
    correlation_id: str
    history: str
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ..., action: _Optional[str] = ..., channel: _Optional[_Union[Channel, str]] = ..., min_revision: _Optional[int] = ..., resource: _Optional[str] = ..., correlation_id: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("allowed", "reason", "revision", "decision_id", "role", "history")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    reason: Reason
    revision: int
    decision_id: str
    role: str
    history: str
    def __init__(self, allowed: _Optional[bool] = ..., reason: _Optional[_Union[Reason, str]] = ..., revision: _Optional[int] = ..., decision_id: _Optional[str] = ..., role: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class BatchCheckRequest(_message.Message):
    __slots__ = ("checks",)
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[CheckRequest]
    def __init__(self, checks: _Optional[_Iterable[_Union[CheckRequest, _Mapping]]] = ...) -> None: ...

class BatchCheckResponse(_message.Message):
    __slots__ = ("answers", "revision", "history")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[CheckResponse]
    revision: int
    history: str
    def __init__(self, answers: _Optional[_Iterable[_Union[CheckResponse, _Mapping]]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("check",)
    CHECK_FIELD_NUMBER: _ClassVar[int]
    check: CheckRequest
    def __init__(self, check: _Optional[_Union[CheckRequest, _Mapping]] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("subject", "role")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    role: str
    def __init__(self, subject: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("subject", "physician", "action", "effect")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    physician: str
    action: str
    effect: str
    def __init__(self, subject: _Optional[str] = ..., physician: _Optional[str] = ..., action: _Optional[str] = ..., effect: _Optional[str] = ...) -> None: ...

class Missing(_message.Message):
    __slots__ = ("action", "roles")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    action: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, action: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision", "sentence", "roles", "path", "rule", "missing")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    decision: CheckResponse
    sentence: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    path: _containers.RepeatedCompositeFieldContainer[Grant]
    rule: Rule
    missing: Missing
    def __init__(self, decision: _Optional[_Union[CheckResponse, _Mapping]] = ..., sentence: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., path: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ..., rule: _Optional[_Union[Rule, _Mapping]] = ..., missing: _Optional[_Union[Missing, _Mapping]] = ...) -> None: ...

class ListActionsRequest(_message.Message):
    __slots__ = ("user", "physician", "channel", "min_revision", "history")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    channel: Channel
    min_revision: int
    history: str
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ..., channel: _Optional[_Union[Channel, str]] = ..., min_revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class ActionInfo(_message.Message):
    __slots__ = ("action", "title", "sentence", "group", "owner_only", "not_mobile", "deprecated", "replaced_by", "needs", "headline")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    OWNER_ONLY_FIELD_NUMBER: _ClassVar[int]
    NOT_MOBILE_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    HEADLINE_FIELD_NUMBER: _ClassVar[int]
    action: str
    title: str
    sentence: str
    group: str
    owner_only: bool
    not_mobile: bool
    deprecated: bool
    replaced_by: str
    needs: _containers.RepeatedScalarFieldContainer[str]
    headline: bool
    def __init__(self, action: _Optional[str] = ..., title: _Optional[str] = ..., sentence: _Optional[str] = ..., group: _Optional[str] = ..., owner_only: _Optional[bool] = ..., not_mobile: _Optional[bool] = ..., deprecated: _Optional[bool] = ..., replaced_by: _Optional[str] = ..., needs: _Optional[_Iterable[str]] = ..., headline: _Optional[bool] = ...) -> None: ...

class ActionAccess(_message.Message):
    __slots__ = ("action", "shown", "reason", "role")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    action: str
    shown: bool
    reason: Reason
    role: str
    def __init__(self, action: _Optional[str] = ..., shown: _Optional[bool] = ..., reason: _Optional[_Union[Reason, str]] = ..., role: _Optional[str] = ...) -> None: ...

class ListActionsResponse(_message.Message):
    __slots__ = ("actions", "revision", "roles", "history", "unknown_user", "catalogue")
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_USER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedCompositeFieldContainer[ActionAccess]
    revision: int
    roles: _containers.RepeatedScalarFieldContainer[str]
    history: str
    unknown_user: bool
    catalogue: _containers.RepeatedCompositeFieldContainer[ActionInfo]
    def __init__(self, actions: _Optional[_Iterable[_Union[ActionAccess, _Mapping]]] = ..., revision: _Optional[int] = ..., roles: _Optional[_Iterable[str]] = ..., history: _Optional[str] = ..., unknown_user: _Optional[bool] = ..., catalogue: _Optional[_Iterable[_Union[ActionInfo, _Mapping]]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ("physician", "action", "channel", "min_revision", "page_size", "page_token", "history")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    physician: str
    action: str
    channel: Channel
    min_revision: int
    page_size: int
    page_token: str
    history: str
    def __init__(self, physician: _Optional[str] = ..., action: _Optional[str] = ..., channel: _Optional[_Union[Channel, str]] = ..., min_revision: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class UserAccess(_message.Message):
    __slots__ = ("user", "role")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    user: str
    role: str
    def __init__(self, user: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users", "revision", "next_page_token", "history")
    USERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[UserAccess]
    revision: int
    next_page_token: str
    history: str
    def __init__(self, users: _Optional[_Iterable[_Union[UserAccess, _Mapping]]] = ..., revision: _Optional[int] = ..., next_page_token: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class ListPhysiciansRequest(_message.Message):
    __slots__ = ("user", "action", "channel", "min_revision", "page_size", "page_token", "history")
    USER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    user: str
    action: str
    channel: Channel
    min_revision: int
    page_size: int
    page_token: str
    history: str
    def __init__(self, user: _Optional[str] = ..., action: _Optional[str] = ..., channel: _Optional[_Union[Channel, str]] = ..., min_revision: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class PhysicianAccess(_message.Message):
    __slots__ = ("physician", "roles", "actions")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    physician: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, physician: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[str]] = ...) -> None: ...

class ListPhysiciansResponse(_message.Message):
    __slots__ = ("physicians", "revision", "next_page_token", "history", "unknown_user")
    PHYSICIANS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_USER_FIELD_NUMBER: _ClassVar[int]
    physicians: _containers.RepeatedCompositeFieldContainer[PhysicianAccess]
    revision: int
    next_page_token: str
    history: str
    unknown_user: bool
    def __init__(self, physicians: _Optional[_Iterable[_Union[PhysicianAccess, _Mapping]]] = ..., revision: _Optional[int] = ..., next_page_token: _Optional[str] = ..., history: _Optional[str] = ..., unknown_user: _Optional[bool] = ...) -> None: ...
