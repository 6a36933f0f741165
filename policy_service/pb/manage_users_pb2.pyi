from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RegisterPhysicianRequest(_message.Message):
    __slots__ = ("actor", "physician", "owner", "display_name")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PHYSICIAN_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    actor: str
    physician: str
    owner: str
    display_name: str
    def __init__(self, actor: _Optional[str] = ..., physician: _Optional[str] = ..., owner: _Optional[str] = ..., display_name: _Optional[str] = ...) -> None: ...

class RegisterPhysicianResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...
