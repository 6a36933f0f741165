from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_ERROR: _ClassVar[Level]
    LEVEL_WARNING: _ClassVar[Level]

class PolicyForm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_FORM_UNSPECIFIED: _ClassVar[PolicyForm]
    POLICY_FORM_SEED: _ClassVar[PolicyForm]
    POLICY_FORM_EVERYTHING: _ClassVar[PolicyForm]
LEVEL_UNSPECIFIED: Level
LEVEL_ERROR: Level
LEVEL_WARNING: Level
POLICY_FORM_UNSPECIFIED: PolicyForm
POLICY_FORM_SEED: PolicyForm
POLICY_FORM_EVERYTHING: PolicyForm

class LintSeedRequest(_message.Message):
    __slots__ = ("csv",)
    CSV_FIELD_NUMBER: _ClassVar[int]
    csv: str
    def __init__(self, csv: _Optional[str] = ...) -> None: ...

class LintSeedResponse(_message.Message):
    __slots__ = ("findings",)
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("level", "code", "line", "column", "end_column", "text", "hint")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    level: Level
    code: str
    line: int
    column: int
    end_column: int
    text: str
    hint: str
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., code: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., end_column: _Optional[int] = ..., text: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class PlanSeedRequest(_message.Message):
    __slots__ = ("csv", "to_revision", "most_listed", "list_all")
    CSV_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    MOST_LISTED_FIELD_NUMBER: _ClassVar[int]
    LIST_ALL_FIELD_NUMBER: _ClassVar[int]
    csv: str
    to_revision: int
    most_listed: int
    list_all: bool
    def __init__(self, csv: _Optional[str] = ..., to_revision: _Optional[int] = ..., most_listed: _Optional[int] = ..., list_all: _Optional[bool] = ...) -> None: ...

class PlanSeedResponse(_message.Message):
    __slots__ = ("progress", "plan", "affected")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    plan: Plan
    affected: Affected
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ..., affected: _Optional[_Union[Affected, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("revision", "digest", "added", "removed", "groups", "users", "physicians", "guarded", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    PHYSICIANS_FIELD_NUMBER: _ClassVar[int]
    GUARDED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    digest: str
    added: _containers.RepeatedScalarFieldContainer[str]
    removed: _containers.RepeatedScalarFieldContainer[str]
    groups: _containers.RepeatedCompositeFieldContainer[ImpactGroup]
    users: int
    physicians: int
    guarded: _containers.RepeatedScalarFieldContainer[str]
    history: str
    def __init__(self, revision: _Optional[int] = ..., digest: _Optional[str] = ..., added: _Optional[_Iterable[str]] = ..., removed: _Optional[_Iterable[str]] = ..., groups: _Optional[_Iterable[_Union[ImpactGroup, _Mapping]]] = ..., users: _Optional[int] = ..., physicians: _Optional[int] = ..., guarded: _Optional[_Iterable[str]] = ..., history: _Optional[str] = ...) -> None: ...

class ImpactGroup(_message.Message):
    __slots__ = ("roles", "gained", "lost", "count", "some")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    GAINED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SOME_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    gained: _containers.RepeatedScalarFieldContainer[str]
    lost: _containers.RepeatedScalarFieldContainer[str]
    count: int
    some: _containers.RepeatedCompositeFieldContainer[Membership]
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., gained: _Optional[_Iterable[str]] = ..., lost: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., some: _Optional[_Iterable[_Union[Membership, _Mapping]]] = ...) -> None: ...

class Membership(_message.Message):
    __slots__ = ("user", "physician")
    USER_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    user: str
    physician: str
    def __init__(self, user: _Optional[str] = ..., physician: _Optional[str] = ...) -> None: ...

class Affected(_message.Message):
    __slots__ = ("group", "members")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    group: int
    members: _containers.RepeatedCompositeFieldContainer[Membership]
    def __init__(self, group: _Optional[int] = ..., members: _Optional[_Iterable[_Union[Membership, _Mapping]]] = ...) -> None: ...

class ApplySeedRequest(_message.Message):
    __slots__ = ("actor", "reason", "csv", "to_revision", "revision", "digest", "allow_mass_removal", "allow_emptied_role", "at_any_revision", "allow_widened_callers", "history")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CSV_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MASS_REMOVAL_FIELD_NUMBER: _ClassVar[int]
    ALLOW_EMPTIED_ROLE_FIELD_NUMBER: _ClassVar[int]
    AT_ANY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ALLOW_WIDENED_CALLERS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    reason: str
    csv: str
    to_revision: int
    revision: int
    digest: str
    allow_mass_removal: bool
    allow_emptied_role: bool
    at_any_revision: bool
    allow_widened_callers: bool
    history: str
    def __init__(self, actor: _Optional[str] = ..., reason: _Optional[str] = ..., csv: _Optional[str] = ..., to_revision: _Optional[int] = ..., revision: _Optional[int] = ..., digest: _Optional[str] = ..., allow_mass_removal: _Optional[bool] = ..., allow_emptied_role: _Optional[bool] = ..., at_any_revision: _Optional[bool] = ..., allow_widened_callers: _Optional[bool] = ..., history: _Optional[str] = ...) -> None: ...

class ApplySeedResponse(_message.Message):
    __slots__ = ("revision", "changed", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changed: bool
    history: str
    def __init__(self, revision: _Optional[int] = ..., changed: _Optional[bool] = ..., history: _Optional[str] = ...) -> None: ...

class ExportPolicyRequest(_message.Message):
    __slots__ = ("form",)
    FORM_FIELD_NUMBER: _ClassVar[int]
    form: PolicyForm
    def __init__(self, form: _Optional[_Union[PolicyForm, str]] = ...) -> None: ...

class ExportPolicyResponse(_message.Message):
    __slots__ = ("revision", "text", "progress")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    text: str
    progress: Progress
    def __init__(self, revision: _Optional[int] = ..., text: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...
