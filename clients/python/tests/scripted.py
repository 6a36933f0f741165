"""A gRPC server that says what a test tells it to."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from policy_client import _pb

SERVICES = [
    service
    for name in _pb.__all__
    if name.endswith("_pb2")
    for service in import_module(f"{_pb.__name__}.{name}").DESCRIPTOR.services_by_name.values()
]
"""All of the contract."""


class Scripted:
    """A server whose next answers are set by the test; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[Any] = []
        self.deadlines: list[float | None] = []

    def handle(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        self.deadlines.append(context.time_remaining())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(context) if callable(answer) else answer

    def stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from self.handle(request, context)

    def start(
        self, credentials: grpc.ServerCredentials | None = None, *also: grpc.GenericRpcHandler
    ) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers(also)
        for service in SERVICES:
            handlers = {
                method.name: (
                    grpc.unary_stream_rpc_method_handler
                    if method.server_streaming
                    else grpc.unary_unary_rpc_method_handler
                )(
                    self.stream if method.server_streaming else self.handle,
                    request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                    response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
                )
                for method in service.methods
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        port = (
            server.add_secure_port("localhost:0", credentials)
            if credentials
            else server.add_insecure_port("127.0.0.1:0")
        )
        server.start()
        return server, port


def failing(
    code: grpc.StatusCode, reason: str = "", fields: dict[str, str] | None = None, words: str = "in words"
) -> Callable[[Any], Any]:
    """An answer that is an error, with google.rpc details."""

    def answer(context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=code.value[0], message=words)
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=k, description=v) for k, v in (fields or {}).items()
        ]
        for detail in (
            error_details_pb2.ErrorInfo(reason=reason, domain="policy.v1"),
            error_details_pb2.BadRequest(field_violations=violations),
        ):
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, words)

    return answer
