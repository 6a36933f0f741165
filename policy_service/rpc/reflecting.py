"""Server reflection: the contract of one plane, for grpcurl and the like, by either name of the protocol.

Newer clients ask ``grpc.reflection.v1`` first. The library has ``v1alpha``
alone; both have the same messages, so one servicer answers for both. It shows
what the plane serves, and nothing else that this process has loaded.
"""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA: Final = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
_PACKAGES: Final = ("grpc.reflection.v1alpha", "grpc.reflection.v1")

REQUEST: Final = reflection_pb2.ServerReflectionRequest
METHOD: Final = "ServerReflectionInfo"
NAMES: Final = tuple(f"{package}.ServerReflection" for package in _PACKAGES)


def answering(services: Iterable[ServiceDescriptor]) -> Any:
    """A servicer of the thread-pool server: ``ServerReflectionInfo(requests, context)`` gives responses."""
    return reflection.ReflectionServicer(*_shown(services))


def answering_async(services: Iterable[ServiceDescriptor]) -> Any:
    """The same for the asyncio server."""
    return reflection.aio.ReflectionServicer(  # type: ignore[attr-defined]
        *_shown(services)
    )


def _shown(services: Iterable[ServiceDescriptor]) -> tuple[list[str], DescriptorPool]:
    served, pool = [*services, _ALPHA], DescriptorPool()
    added = set[str]()
    for service in served:
        _add(service.file, pool, added)
    pool.Add(_first_version())
    return [*(service.full_name for service in served), NAMES[1]], pool


def _add(file: FileDescriptor, pool: DescriptorPool, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for needed in file.dependencies:
        _add(needed, pool, added)
    text = FileDescriptorProto()
    file.CopyToProto(text)
    pool.Add(text)


def _first_version() -> FileDescriptorProto:
    """The protocol's file under its newer name."""
    alpha, first = _PACKAGES
    file = FileDescriptorProto()
    _ALPHA.file.CopyToProto(file)
    file.name = f"{first.replace('.', '/')}/reflection.proto"
    file.package = first
    messages: list[DescriptorProto] = list(file.message_type)
    for message in messages:
        messages += message.nested_type
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(f".{alpha}.", f".{first}.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(f".{alpha}.", f".{first}.")
        method.output_type = method.output_type.replace(f".{alpha}.", f".{first}.")
    return file
