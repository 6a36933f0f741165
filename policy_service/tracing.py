"""Spans by OpenTelemetry, where its SDK is installed (extra ``otel``) and ``OTEL_*`` says where they go.

A span of each call of both planes, a child of its caller's where the call
brings a W3C ``traceparent``, and under it one of each statement in the
database. A span says what was called, by which service, and how it ended;
never of whom: a statement is told without its values, an error by its reason.
Without a place for spans nothing is made and nothing is imported.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any, Final

import structlog

from policy_service import __version__
from policy_service.errors import StartError

_SERVICE: Final = "policy-service"
_PACKAGE: Final = "policy.v1"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CONTEXT: Final = ("traceparent", "tracestate")
_MOST_STATEMENT: Final = 2_000

log = structlog.get_logger(__name__)


class _Spans:
    """How spans are made."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.tracer = provider.get_tracer(_SERVICE, __version__)
        self.current = trace.get_current_span
        self.server, self.client = trace.SpanKind.SERVER, trace.SpanKind.CLIENT
        self.failed = trace.Status(trace.StatusCode.ERROR)
        self._w3c = TraceContextTextMapPropagator()

    def serving(self, service: str, method: str, metadata: Iterable[tuple[str, Any]]) -> Any:
        """The span of a call, current for as long as the block lasts."""
        brought = {key: value for key, value in metadata if key in _CONTEXT and isinstance(value, str)}
        service = f"{_PACKAGE}.{service}"
        return self.tracer.start_as_current_span(
            f"{service}/{method}",
            context=self._w3c.extract(brought),
            kind=self.server,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
            # An exception's words may name somebody.
            record_exception=False,
            set_status_on_exception=False,
        )


_spans: _Spans | None = None


def is_on() -> bool:
    """Are spans made?"""
    return _spans is not None


@asynccontextmanager
async def tracing() -> AsyncIterator[None]:
    """Spans go where the environment says until the block ends, and are sent then. Raises StartError."""
    exporter = _exporter_wanted()
    if exporter == "none":
        yield
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("no spans are made: OTEL_* asks for them, and the extra otel is not installed")
        yield
        return
    provider = _provider(exporter)
    try:
        with using(provider):
            yield
    finally:
        # Sends what waits, or gives it up after seconds where nobody takes it.
        await asyncio.to_thread(provider.shutdown)


@contextmanager
def using(provider: Any) -> Iterator[None]:
    """Spans are made by a provider of one's own until the block ends."""
    global _spans
    before, _spans = _spans, _Spans(provider)
    try:
        yield
    finally:
        _spans = before


def _exporter_wanted() -> str:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "none"
    default = "otlp" if any(os.environ.get(name) for name in _ENDPOINTS) else "none"
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or default
    if wanted not in ("otlp", "console", "none"):
        raise StartError(f"OTEL_TRACES_EXPORTER {wanted!r} is none of otlp, console and none")
    return wanted


def _provider(exporter: str) -> Any:
    """The SDK reads the rest of OTEL_* itself: sampler, resource, where to, how often."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    told = {"service.version": __version__, **({} if named else {"service.name": _SERVICE})}
    provider = TracerProvider(resource=Resource.create(told))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter() if exporter == "console" else _otlp()))
    return provider


def _otlp() -> Any:
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "grpc")
    if protocol != "grpc":
        raise StartError(f"{_PROTOCOLS[1]} {protocol!r}: spans are sent by grpc")
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def over(service: str, method: str, handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A handler of the thread-pool server, with a span around each call if spans are made."""
    if (spans := _spans) is None:
        return handle

    def traced(messages: Any, context: Any) -> Any:
        with spans.serving(service, method, context.invocation_metadata() or ()):
            return handle(messages, context)

    return traced


def over_async(
    service: str, method: str, handle: Callable[[Any, Any], Awaitable[None]]
) -> Callable[[Any, Any], Awaitable[None]]:
    """The same of the asyncio server."""
    if (spans := _spans) is None:
        return handle

    async def traced(messages: Any, context: Any) -> None:
        with spans.serving(service, method, context.invocation_metadata() or ()):
            await handle(messages, context)

    return traced


def ended(*, code: int, reason: str, fault: bool, **facts: str) -> None:
    """Say of the current call how it ended; a ``fault`` is the service's."""
    if (spans := _spans) is None:
        return
    span = spans.current()
    span.set_attribute("rpc.grpc.status_code", code)
    for name, fact in facts.items():
        span.set_attribute(f"policy.{name}", fact)
    if reason:
        span.set_attribute("error.type", reason)
    if fault:
        span.set_status(spans.failed)


def statement(text: str, seconds: float, fault: BaseException | None) -> None:
    """A span of a statement that was just carried out for the current call."""
    if (spans := _spans) is None or not spans.current().is_recording():
        return
    end = time.time_ns()
    words = " ".join(text[:_MOST_STATEMENT].split())
    span = spans.tracer.start_span(
        words.partition(" ")[0].partition(";")[0].upper(),
        kind=spans.client,
        start_time=end - int(seconds * 1e9),
        attributes={"db.system.name": "postgresql", "db.query.text": words},
    )
    if fault is not None:
        span.set_attribute("error.type", type(fault).__name__)
        span.set_status(spans.failed)
    span.end(end)
