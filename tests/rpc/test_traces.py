"""Spans from the client through the service into its statements, where they are wanted; without a name of anybody."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from policy_client import (
    AsyncManageUsersClient,
    AsyncPolicyClient,
    AsyncSeedClient,
    InvalidRequest,
    PolicyClient,
    SeedClient,
)
from structlog.testing import capture_logs

from policy_service import tracing
from policy_service.app import open_app
from policy_service.errors import StartError
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.patience import PATIENCE, until
from tests.support.rpc import Wire, question

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Spans:
    """What ended so far."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def taken(self, kind: trace.SpanKind | None = None) -> list:
        return [span for span in self.exporter.get_finished_spans() if kind in (None, span.kind)]


@pytest.fixture
def spans(monkeypatch):
    """This process's spans, the client's and the service's."""
    made = Spans()
    monkeypatch.setattr(trace, "get_tracer", made.provider.get_tracer)
    with tracing.using(made.provider):
        yield made
    made.provider.shutdown()


@pytest.fixture
async def traced(spans, store, settings, seed):
    """A service that makes spans, with one account."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings) as app:
        await reached(app, await register(app, "dr-a", "olive"))
        spans.exporter.clear()
        yield app


def by_name(spans: Spans, name: str, kind: trace.SpanKind):
    (span,) = [span for span in spans.taken(kind) if span.name == name]
    return span


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_check_is_one_trace_from_the_callers_span_to_the_services(traced, spans, blocking):
    target = f"127.0.0.1:{traced.planes.decision_port}"
    with spans.provider.get_tracer("caller").start_as_current_span("submit claim") as above:
        if blocking:
            with PolicyClient(target, timeout=PATIENCE) as client:
                assert await asyncio.to_thread(client.check, "olive", "dr-a", "claim:submit")
        else:
            async with AsyncPolicyClient(target, timeout=PATIENCE) as client:
                assert await client.check("olive", "dr-a", "claim:submit")
    name = "policy.v1.DecisionService/Check"
    ours, theirs = by_name(spans, name, trace.SpanKind.CLIENT), by_name(spans, name, trace.SpanKind.SERVER)
    assert ours.parent.span_id == above.get_span_context().span_id
    assert theirs.parent.span_id == ours.context.span_id
    assert theirs.context.trace_id == above.get_span_context().trace_id
    told = dict(theirs.attributes)
    assert len(told.pop("policy.request_id")) == 16
    assert told == {
        "rpc.system": "grpc",
        "rpc.service": "policy.v1.DecisionService",
        "rpc.method": "Check",
        "rpc.grpc.status_code": 0,
        "policy.caller": "local",
    }


async def test_a_change_is_a_span_over_its_statements_which_say_no_value(traced, spans):
    target = f"127.0.0.1:{traced.planes.management_port}"
    async with AsyncManageUsersClient(target, timeout=PATIENCE) as client:
        await client.invite_user("olive", "dr-a", "nina@clinic.example", "nina", roles=["data_entry"])
    server = by_name(spans, "policy.v1.ManageUsersService/InviteUser", trace.SpanKind.SERVER)
    statements = [span for span in spans.taken(trace.SpanKind.CLIENT) if "db.query.text" in span.attributes]
    assert {span.parent.span_id for span in statements} == {server.context.span_id}
    assert {"BEGIN", "WITH", "SELECT"} <= {span.name for span in statements}
    assert any("UPDATE policy_revision" in span.attributes["db.query.text"] for span in statements)
    for span in statements:
        assert server.start_time <= span.end_time
        assert span.start_time <= span.end_time
    told = " ".join(
        f"{span.name} {dict(span.attributes)} {span.events} {span.status.description}" for span in spans.taken()
    )
    for name in ("nina", "olive", "dr-a", "clinic.example"):
        assert name not in told


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_refusal_ends_both_spans_with_its_reason_and_nobodys_name(traced, spans, blocking):
    target = f"127.0.0.1:{traced.planes.decision_port}"
    with pytest.raises(InvalidRequest):
        if blocking:
            with PolicyClient(target, timeout=PATIENCE) as client:
                await asyncio.to_thread(client.check, "Mallory!", "dr-a", "claim:view")
        else:
            async with AsyncPolicyClient(target, timeout=PATIENCE) as client:
                await client.check("Mallory!", "dr-a", "claim:view")
    name = "policy.v1.DecisionService/Check"
    ours, theirs = by_name(spans, name, trace.SpanKind.CLIENT), by_name(spans, name, trace.SpanKind.SERVER)
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert (theirs.attributes["error.type"], theirs.attributes["rpc.grpc.status_code"]) == ("INVALID_REQUEST", 3)
    assert (ours.attributes["error.type"], ours.attributes["rpc.grpc.status_code"]) == (invalid.name, invalid.value[0])
    # The caller's fault is an error of the caller's span alone.
    assert (ours.status.is_ok, theirs.status.is_ok) == (False, True)
    assert all(not span.events and not span.status.description for span in (ours, theirs))


@pytest.mark.parametrize("blocking", [True, False])
async def test_the_parts_of_a_long_answer_are_one_span_also_for_whoever_stops_in_the_middle(traced, spans, blocking):
    target = f"127.0.0.1:{traced.planes.management_port}"
    if blocking:

        def first() -> None:
            with SeedClient(target) as client:
                parts = client.everything()
                next(parts)
                parts.close()

        await asyncio.to_thread(first)
    else:
        async with AsyncSeedClient(target) as client:
            parts = client.everything()
            await anext(parts)
            await parts.aclose()
    name = "policy.v1.SeedService/ExportPolicy"
    assert by_name(spans, name, trace.SpanKind.CLIENT).status.is_ok

    async def has_ended() -> bool:
        return bool(spans.taken(trace.SpanKind.SERVER))

    await until(has_ended)
    assert by_name(spans, name, trace.SpanKind.SERVER).parent is not None


async def test_what_is_no_traceparent_begins_a_trace(traced, spans):
    async with Wire(traced.planes.decision_port) as wire:
        for brought in ("", "00-zz", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 4_000):
            asked = question("olive", "dr-a", "claim:view")
            await wire("Check", asked, metadata=(("traceparent", brought), ("tracestate", brought)))
    assert [span.parent for span in spans.taken(trace.SpanKind.SERVER)] == [None] * 4


async def test_what_goes_on_in_the_background_makes_no_spans(traced, spans):
    await reached(traced, await register(traced, "dr-b", "otto"))
    assert not spans.taken()


class Collector:
    """Takes spans by OTLP, as a collector does."""

    def __init__(self) -> None:
        self.resources = []
        self._server = grpc.server(ThreadPoolExecutor(1))

        def take(request, _context):
            self.resources += request.resource_spans
            return trace_service_pb2.ExportTraceServiceResponse()

        handler = grpc.unary_unary_rpc_method_handler(
            take,
            trace_service_pb2.ExportTraceServiceRequest.FromString,
            trace_service_pb2.ExportTraceServiceResponse.SerializeToString,
        )
        service, _, method = EXPORT[1:].partition("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> "Collector":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


async def test_spans_go_where_the_environment_says_and_all_of_them_before_the_end(store, settings, seed, monkeypatch):
    await install.install_first(store, seed, SHIPPED_MODEL)
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        async with open_app(settings) as app, Wire(app.planes.decision_port) as wire:
            assert tracing.is_on()
            await wire.check("olive", "dr-a", "claim:view")
        assert not tracing.is_on()
    resource = {pair.key: pair.value.string_value for sent in collector.resources for pair in sent.resource.attributes}
    assert resource["service.name"] == "policy-service"
    assert resource["deployment.environment.name"] == "test"
    sent = [span.name for sent in collector.resources for scope in sent.scope_spans for span in scope.spans]
    assert "policy.v1.DecisionService/Check" in sent


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
    ],
)
async def test_spans_are_made_where_they_are_asked_for(monkeypatch, environment, on):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with tracing.tracing():
        assert tracing.is_on() is on


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
async def test_what_is_asked_for_and_cannot_be_done_stops_the_start(monkeypatch, environment, named):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=named):
        async with tracing.tracing():
            pytest.fail("it began")


async def test_without_the_extra_it_is_said_that_no_spans_are_made(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    with capture_logs() as told:
        async with tracing.tracing():
            assert not tracing.is_on()
    assert [(line["log_level"], "extra otel" in line["event"]) for line in told] == [("warning", True)]


def test_nobody_who_does_not_ask_for_it_loads_opentelemetry():
    # The client answers with an error here, which is enough: the call was made.
    code = """
import sys, policy_service.app, policy_client
try:
    policy_client.PolicyClient("127.0.0.1:1", timeout=0.01).check("a", "b", "c:d")
except policy_client.PolicyError:
    pass
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
