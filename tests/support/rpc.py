"""A bare gRPC client for tests: nothing between the test and the wire."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from policy_service.pb import audit_pb2, callers_pb2, seeds_pb2
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.support import over_tls
from tests.support.patience import PATIENCE

METHODS = {
    method.name: (service, method)
    for service in (
        pb.DESCRIPTOR.services_by_name["DecisionService"],
        mu.DESCRIPTOR.services_by_name["ManageUsersService"],
        audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
        seeds_pb2.DESCRIPTOR.services_by_name["SeedService"],
        callers_pb2.DESCRIPTOR.services_by_name["CallersService"],
    )
    for method in service.methods
}


@dataclass
class Refused(Exception):
    """An error as it came over the wire."""

    code: grpc.StatusCode
    details: str
    reason: str
    fields: dict[str, str]
    facts: dict[str, str] = field(default_factory=dict)
    # Each refusal has one of its own.
    request_id: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.details}"


class Wire:
    """Calls methods by name on one channel."""

    def __init__(self, port: int, channel: grpc.aio.Channel | None = None) -> None:
        self.channel: Any = channel or over_tls.channel(port)

    async def __call__(
        self, method: str, request: Message, *, timeout: float = PATIENCE, patient: bool = True, **options: Any
    ) -> Any:
        """One answer. Asks again, as the client does, while a revision is on its way, but if ``patient`` is false."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self._once(method, request, timeout=timeout, **options)
            except Refused as late:
                if not patient or late.reason != "REVISION_NOT_REACHED" or asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(0.01)

    async def _once(self, method: str, request: Message, **options: Any) -> Any:
        from google.protobuf import message_factory

        service, descriptor = METHODS[method]
        call = self.channel.unary_unary(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        try:
            return await call(request, **options)
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None

    async def parts(self, method: str, request: Message) -> list[Any]:
        """The whole answer of a method that streams it."""
        from google.protobuf import message_factory

        service, descriptor = METHODS[method]
        call = self.channel.unary_stream(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        try:
            return [part async for part in call(request, timeout=PATIENCE)]
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None

    async def check(
        self, user: str, physician: str, action: str, channel: int = 0, *, patient: bool = True, **more: Any
    ) -> pb.CheckResponse:
        return await self("Check", question(user, physician, action, channel, **more), patient=patient)

    async def close(self) -> None:
        await self.channel.close()

    async def __aenter__(self) -> "Wire":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def question(user: str, physician: str, action: str, channel: int = 0, **more: Any) -> pb.CheckRequest:
    return pb.CheckRequest(user=user, physician=physician, action=action, channel=channel, **more)


def refused(error: grpc.aio.AioRpcError) -> Refused:
    status = status_pb2.Status()
    reason, request_id, fields, facts = "", "", {}, {}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, facts = info.reason, dict(info.metadata)
            # Of the call, no fact of the error.
            request_id = facts.pop("request_id", "")
        elif detail.Unpack(bad):
            fields = {violation.field: violation.description for violation in bad.field_violations}
    return Refused(
        code=error.code(),
        details=error.details() or "",
        reason=reason,
        fields=fields,
        facts=facts,
        request_id=request_id,
    )
