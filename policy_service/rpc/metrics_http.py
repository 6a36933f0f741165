"""The address that Prometheus and orchestrators read: GET and HEAD of few paths, and nothing else.

``/metrics``; ``/livez``: the process goes round; ``/readyz``: checks may be sent here,
and ``/readyz/management``: changes too, with how the replica follows the database in a second line.

Whoever opens connections and says nothing, or says it slowly, holds nothing
for long: a request's head must come within seconds, and when there are too
many connections the oldest goes.
"""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from prometheus_client.exposition import choose_encoder
from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application, HTTPError, RequestHandler

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.rpc.readiness import Readiness

_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 64
_MOST_HEAD: Final = 8 << 10


@asynccontextmanager
async def showing_metrics(address: str, ready: Readiness) -> AsyncIterator[int]:
    """Answer on HOST:PORT until the block ends; nowhere if it is empty. Gives the port. Raises StartError."""
    if not address:
        yield 0
        return
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        listening = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_MOST_CONNECTIONS)
    except OSError as fault:
        raise StartError(f"POLICY_METRICS_ADDRESS {address} cannot be listened on: {fault.strerror}") from fault
    listening.settimeout(0)
    paths: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [
        ("/metrics", _Metrics, {}),
        ("/livez", _Probe, {"why_not": lambda: None}),
        ("/readyz", _Probe, {"why_not": ready.why_no_checks, "standing": lambda: ready.standing()}),
        ("/readyz/management", _Probe, {"why_not": ready.why_no_changes, "standing": lambda: ready.standing()}),
    ]
    application = Application(list(paths), default_handler_class=_Absent, log_function=_log_nothing)
    server = _Server(
        application,
        idle_connection_timeout=_SECONDS,
        body_timeout=_SECONDS,
        max_header_size=_MOST_HEAD,
        max_buffer_size=_MOST_HEAD,
        max_body_size=0,
    )
    server.add_socket(listening)
    try:
        yield listening.getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()


def _log_nothing(handler: RequestHandler) -> None:
    """Whoever asks for what is not there would write the log."""


class _Server(HTTPServer):
    """Knows its connections by age."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self._by_age = dict[IOStream, None]()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._by_age) >= _MOST_CONNECTIONS:
            oldest = next(iter(self._by_age))
            del self._by_age[oldest]
            oldest.close()
        self._by_age[stream] = None
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        if isinstance(server_conn, HTTP1ServerConnection):
            self._by_age.pop(server_conn.stream, None)
        super().on_close(server_conn)


class _Plain(RequestHandler):
    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002
        self.finish(f"{status_code}: {self._reason}\n")

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        # What was asked for wrongly is not worth a line, and would be the asker's words.
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)


class _Metrics(_Plain):
    SUPPORTED_METHODS = ("GET", "HEAD")

    def get(self) -> None:
        encode, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        takes_native = content_type.startswith("application/openmetrics-text; version=2.")
        self.finish(encode(metrics.with_native if takes_native else metrics.registry))

    head = get


class _Probe(_Plain):
    SUPPORTED_METHODS = ("GET", "HEAD")

    def initialize(self, why_not: Callable[[], str | None], standing: Callable[[], str] = lambda: "") -> None:
        self._why_not, self._standing = why_not, standing

    def get(self) -> None:
        why_not = self._why_not()
        if why_not is not None:
            self.set_status(503)
        self.finish("".join(f"{line}\n" for line in (why_not or "ok", self._standing()) if line))

    head = get


class _Absent(_Plain):
    def prepare(self) -> None:
        self.set_status(404)
        self.finish("404: there are /metrics, /livez, /readyz and /readyz/management\n")
