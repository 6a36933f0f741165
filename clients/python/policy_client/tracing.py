"""A span of each call, for a process that uses OpenTelemetry; for any other, nothing at no cost.

Where the process has imported OpenTelemetry's API, a call is a span by its
tracer, a child of the current one, and its W3C ``traceparent`` goes to the
service with the call. What was asked is not in it.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Final, cast

import grpc

_API: Final = "opentelemetry.trace"
_OFF: Final = nullcontext[tuple[tuple[str, str], ...] | None](None)

Metadata = tuple[tuple[str, str], ...] | None


def calling(path: str) -> AbstractContextManager[Metadata]:
    """For the length of a call; gives the metadata to send with it."""
    api = sys.modules.get(_API)
    return _OFF if api is None else _Calling(api, path)


class _Calling:
    """Not the current span: nothing runs below it here, and a generator may be left in the middle of it."""

    __slots__ = ("_api", "_path", "_span")

    def __init__(self, api: Any, path: str) -> None:
        self._api, self._path = api, path[1:]

    def __enter__(self) -> Metadata:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        api, (service, _, method) = self._api, self._path.partition("/")
        self._span = api.get_tracer("policy_client").start_span(
            self._path,
            kind=api.SpanKind.CLIENT,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        sent: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(sent, api.set_span_in_context(self._span))
        return tuple(sent.items()) or None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = grpc.StatusCode.OK
        if isinstance(fault, grpc.RpcError):
            code = cast(Any, fault).code()
        elif fault is not None and not isinstance(fault, GeneratorExit):
            code = grpc.StatusCode.UNKNOWN
        self._span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code is not grpc.StatusCode.OK:
            self._span.set_attribute("error.type", code.name)
            self._span.set_status(self._api.Status(self._api.StatusCode.ERROR))
        self._span.end()
