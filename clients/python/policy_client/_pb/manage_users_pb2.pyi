import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvitationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVITATION_STATE_UNSPECIFIED: _ClassVar[InvitationState]
    INVITATION_STATE_PENDING: _ClassVar[InvitationState]
    INVITATION_STATE_ACCEPTED: _ClassVar[InvitationState]
    INVITATION_STATE_CANCELLED: _ClassVar[InvitationState]
    INVITATION_STATE_EXPIRED: _ClassVar[InvitationState]
    INVITATION_STATE_WITHDRAWN: _ClassVar[InvitationState]
    INVITATION_STATE_DECLINED: _ClassVar[InvitationState]

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_STATE_UNSPECIFIED: _ClassVar[DeliveryState]
    DELIVERY_STATE_QUEUED: _ClassVar[DeliveryState]
    DELIVERY_STATE_SENT: _ClassVar[DeliveryState]
    DELIVERY_STATE_DELAYED: _ClassVar[DeliveryState]
    DELIVERY_STATE_BOUNCED: _ClassVar[DeliveryState]
    DELIVERY_STATE_FAILED: _ClassVar[DeliveryState]
INVITATION_STATE_UNSPECIFIED: InvitationState
INVITATION_STATE_PENDING: InvitationState
INVITATION_STATE_ACCEPTED: InvitationState
INVITATION_STATE_CANCELLED: InvitationState
INVITATION_STATE_EXPIRED: InvitationState
INVITATION_STATE_WITHDRAWN: InvitationState
INVITATION_STATE_DECLINED: InvitationState
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_STATE_QUEUED: DeliveryState
DELIVERY_STATE_SENT: DeliveryState
DELIVERY_STATE_DELAYED: DeliveryState
DELIVERY_STATE_BOUNCED: DeliveryState
DELIVERY_STATE_FAILED: DeliveryState

class RegisterPhysicianRequest(_message.Message):
    __slots__ = ("actor", "physician", "owner", "display_name", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    owner: str
    display_name: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., owner: _Optional[str] = ..., display_name: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RegisterPhysicianResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class Permissions(_message.Message):
    __slots__ = ("roles", "actions")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[str]] = ...) -> None: ...

class InviteUserRequest(_message.Message):
    __slots__ = ("actor", "physician", "email", "username", "permissions", "reuse_existing", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    REUSE_EXISTING_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    email: str
    username: str
    permissions: Permissions
    reuse_existing: bool
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., email: _Optional[str] = ..., username: _Optional[str] = ..., permissions: _Optional[_Union[Permissions, _Mapping]] = ..., reuse_existing: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class InviteUserResponse(_message.Message):
    __slots__ = ("revision", "invitation", "suggested_email", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_EMAIL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    invitation: Invitation
    suggested_email: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., invitation: _Optional[_Union[Invitation, _Mapping]] = ..., suggested_email: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("state", "next_try", "words", "advice", "our_fault")
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEXT_TRY_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    OUR_FAULT_FIELD_NUMBER: _ClassVar[int]
    state: DeliveryState
    next_try: _timestamp_pb2.Timestamp
    words: str
    advice: _containers.RepeatedScalarFieldContainer[str]
    our_fault: bool
    def __init__(self, state: _Optional[_Union[DeliveryState, str]] = ..., next_try: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., words: _Optional[str] = ..., advice: _Optional[_Iterable[str]] = ..., our_fault: _Optional[bool] = ...) -> None: ...

class Invitation(_message.Message):
    __slots__ = ("id", "physician", "username", "email", "permissions", "state", "invited_by", "invited_at", "expires_at", "delivery", "awaits_setup")
    ID_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INVITED_BY_FIELD_NUMBER: _ClassVar[int]
    INVITED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    AWAITS_SETUP_FIELD_NUMBER: _ClassVar[int]
    id: str
    physician: str
    username: str
    email: str
    permissions: Permissions
    state: InvitationState
    invited_by: str
    invited_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    delivery: Delivery
    awaits_setup: bool
    def __init__(self, id: _Optional[str] = ..., physician: _Optional[str] = ..., username: _Optional[str] = ..., email: _Optional[str] = ..., permissions: _Optional[_Union[Permissions, _Mapping]] = ..., state: _Optional[_Union[InvitationState, str]] = ..., invited_by: _Optional[str] = ..., invited_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ..., awaits_setup: _Optional[bool] = ...) -> None: ...

class ListInvitationsRequest(_message.Message):
    __slots__ = ("actor", "physician", "states", "page_size", "page_token")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    states: _containers.RepeatedScalarFieldContainer[InvitationState]
    page_size: int
    page_token: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., states: _Optional[_Iterable[_Union[InvitationState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInvitationsResponse(_message.Message):
    __slots__ = ("invitations", "next_page_token")
    INVITATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invitations: _containers.RepeatedCompositeFieldContainer[Invitation]
    next_page_token: str
    def __init__(self, invitations: _Optional[_Iterable[_Union[Invitation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ResendInvitationRequest(_message.Message):
    __slots__ = ("actor", "physician", "invitation_id", "email", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    invitation_id: str
    email: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., invitation_id: _Optional[str] = ..., email: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ResendInvitationResponse(_message.Message):
    __slots__ = ("revision", "invitation", "suggested_email", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_EMAIL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    invitation: Invitation
    suggested_email: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., invitation: _Optional[_Union[Invitation, _Mapping]] = ..., suggested_email: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class CancelInvitationRequest(_message.Message):
    __slots__ = ("actor", "physician", "invitation_id", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    invitation_id: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., invitation_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CancelInvitationResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class AcceptInvitationRequest(_message.Message):
    __slots__ = ("token", "idempotency_key")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    token: str
    idempotency_key: str
    def __init__(self, token: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class AcceptInvitationResponse(_message.Message):
    __slots__ = ("revision", "username", "physician", "must_set_up_credentials", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    MUST_SET_UP_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    username: str
    physician: str
    must_set_up_credentials: bool
    history: str
    def __init__(self, revision: _Optional[int] = ..., username: _Optional[str] = ..., physician: _Optional[str] = ..., must_set_up_credentials: _Optional[bool] = ..., history: _Optional[str] = ...) -> None: ...

class LookUpInvitationRequest(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class LookUpInvitationResponse(_message.Message):
    __slots__ = ("physician", "display_name", "username", "email", "state", "invited_by", "allowed", "expires_at", "must_set_up_credentials")
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INVITED_BY_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    MUST_SET_UP_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    physician: str
    display_name: str
    username: str
    email: str
    state: InvitationState
    invited_by: str
    allowed: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    must_set_up_credentials: bool
    def __init__(self, physician: _Optional[str] = ..., display_name: _Optional[str] = ..., username: _Optional[str] = ..., email: _Optional[str] = ..., state: _Optional[_Union[InvitationState, str]] = ..., invited_by: _Optional[str] = ..., allowed: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., must_set_up_credentials: _Optional[bool] = ...) -> None: ...

class DeclineInvitationRequest(_message.Message):
    __slots__ = ("token", "idempotency_key")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    token: str
    idempotency_key: str
    def __init__(self, token: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class DeclineInvitationResponse(_message.Message):
    __slots__ = ("revision", "username", "physician", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    username: str
    physician: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., username: _Optional[str] = ..., physician: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class CompleteSetupRequest(_message.Message):
    __slots__ = ("token", "idempotency_key")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    token: str
    idempotency_key: str
    def __init__(self, token: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CompleteSetupResponse(_message.Message):
    __slots__ = ("revision", "username", "physician", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    username: str
    physician: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., username: _Optional[str] = ..., physician: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class LeaveAccountRequest(_message.Message):
    __slots__ = ("actor", "physician", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class LeaveAccountResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class ChangeAddressRequest(_message.Message):
    __slots__ = ("actor", "email", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    email: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., email: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ChangeAddressResponse(_message.Message):
    __slots__ = ("revision", "expires_at", "suggested_email", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_EMAIL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    expires_at: _timestamp_pb2.Timestamp
    suggested_email: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., suggested_email: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class ConfirmAddressRequest(_message.Message):
    __slots__ = ("token", "idempotency_key")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    token: str
    idempotency_key: str
    def __init__(self, token: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ConfirmAddressResponse(_message.Message):
    __slots__ = ("revision", "username", "email", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    username: str
    email: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., username: _Optional[str] = ..., email: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class ListMembersRequest(_message.Message):
    __slots__ = ("actor", "physician")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("username", "email", "roles", "is_owner", "is_set_up", "may_act")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    IS_OWNER_FIELD_NUMBER: _ClassVar[int]
    IS_SET_UP_FIELD_NUMBER: _ClassVar[int]
    MAY_ACT_FIELD_NUMBER: _ClassVar[int]
    username: str
    email: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    is_owner: bool
    is_set_up: bool
    may_act: bool
    def __init__(self, username: _Optional[str] = ..., email: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., is_owner: _Optional[bool] = ..., is_set_up: _Optional[bool] = ..., may_act: _Optional[bool] = ...) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("members", "revision", "history")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[Member]
    revision: int
    history: str
    def __init__(self, members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class GetPermissionsRequest(_message.Message):
    __slots__ = ("actor", "physician", "username")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    username: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., username: _Optional[str] = ...) -> None: ...

class Permission(_message.Message):
    __slots__ = ("action", "shown", "role")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    action: str
    shown: bool
    role: str
    def __init__(self, action: _Optional[str] = ..., shown: _Optional[bool] = ..., role: _Optional[str] = ...) -> None: ...

class GetPermissionsResponse(_message.Message):
    __slots__ = ("permissions", "roles", "revision", "history")
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    permissions: _containers.RepeatedCompositeFieldContainer[Permission]
    roles: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    history: str
    def __init__(self, permissions: _Optional[_Iterable[_Union[Permission, _Mapping]]] = ..., roles: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class UpdatePermissionsRequest(_message.Message):
    __slots__ = ("actor", "physician", "username", "permissions", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    username: str
    permissions: Permissions
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., username: _Optional[str] = ..., permissions: _Optional[_Union[Permissions, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class UpdatePermissionsResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class RevokeAccessRequest(_message.Message):
    __slots__ = ("actor", "physician", "username", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    username: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., username: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RevokeAccessResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class RoleDefinition(_message.Message):
    __slots__ = ("allow", "deny", "includes")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    INCLUDES_FIELD_NUMBER: _ClassVar[int]
    allow: _containers.RepeatedScalarFieldContainer[str]
    deny: _containers.RepeatedScalarFieldContainer[str]
    includes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, allow: _Optional[_Iterable[str]] = ..., deny: _Optional[_Iterable[str]] = ..., includes: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateRoleRequest(_message.Message):
    __slots__ = ("actor", "physician", "role", "definition", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    role: str
    definition: RoleDefinition
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., role: _Optional[str] = ..., definition: _Optional[_Union[RoleDefinition, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CreateRoleResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class UpdateRoleRequest(_message.Message):
    __slots__ = ("actor", "physician", "role", "definition", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    role: str
    definition: RoleDefinition
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., role: _Optional[str] = ..., definition: _Optional[_Union[RoleDefinition, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class UpdateRoleResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class DeleteRoleRequest(_message.Message):
    __slots__ = ("actor", "physician", "role", "replacement", "idempotency_key")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    role: str
    replacement: str
    idempotency_key: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., role: _Optional[str] = ..., replacement: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class DeleteRoleResponse(_message.Message):
    __slots__ = ("revision", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    history: str
    def __init__(self, revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...

class ListRolesRequest(_message.Message):
    __slots__ = ("actor", "physician")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ...) -> None: ...

class RoleInfo(_message.Message):
    __slots__ = ("role", "built_in", "definition", "allowed", "holders")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    role: str
    built_in: bool
    definition: RoleDefinition
    allowed: _containers.RepeatedScalarFieldContainer[str]
    holders: int
    def __init__(self, role: _Optional[str] = ..., built_in: _Optional[bool] = ..., definition: _Optional[_Union[RoleDefinition, _Mapping]] = ..., allowed: _Optional[_Iterable[str]] = ..., holders: _Optional[int] = ...) -> None: ...

class ListRolesResponse(_message.Message):
    __slots__ = ("roles", "revision", "history")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[RoleInfo]
    revision: int
    history: str
    def __init__(self, roles: _Optional[_Iterable[_Union[RoleInfo, _Mapping]]] = ..., revision: _Optional[int] = ..., history: _Optional[str] = ...) -> None: ...
