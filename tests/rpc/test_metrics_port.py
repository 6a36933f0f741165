"""ATTACKS 16, 39 and 40 on the port that Prometheus reads: one path, two verbs, and nobody who holds it."""

import asyncio
import contextlib
import socket

import pytest

from policy_service.errors import StartError
from policy_service.rpc import Readiness, metrics_http, showing_metrics
from tests.support.silence import connections


async def said(port: int, request: bytes) -> bytes:
    """What comes back until the service closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        while more := await asyncio.wait_for(reader.read(4_096), 20):
            answer += more
    await closed(writer)
    return answer


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def asked(port: int, verb: str, path: str, head: str = "") -> bytes:
    return await said(port, f"{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n".encode())


@pytest.fixture
async def port():
    async with showing_metrics("127.0.0.1:0", Readiness()) as opened:
        yield opened


async def test_metrics_are_read_with_get_and_looked_for_with_head(port):
    got = await asked(port, "GET", "/metrics")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"policy_replica_revision" in got
    assert b"\r\nServer:" not in got
    head = await asked(port, "HEAD", "/metrics")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"policy_replica_revision" not in head
    openmetrics = await asked(port, "GET", "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n")
    assert openmetrics.endswith(b"# EOF\n")


async def test_orchestrators_are_told_whether_to_send_anybody_here():
    ready = Readiness()
    async with showing_metrics("127.0.0.1:0", ready) as port:

        async def told(path: str) -> tuple[int, str]:
            head, _, body = (await asked(port, "GET", path)).decode().partition("\r\n\r\n")
            alone = (await asked(port, "HEAD", path)).decode()
            assert alone.split()[1] == head.split()[1]
            assert alone.endswith("\r\n\r\n")
            return int(head.split()[1]), body.strip()

        assert await told("/livez") == (200, "ok")
        assert await told("/readyz") == (503, "starting")
        ready.say(True, ())
        assert await told("/readyz") == await told("/readyz/management") == (200, "ok")
        ready.say(True, ("policy.v1.ManageUsersService",))
        assert await told("/readyz") == (200, "ok")
        assert (await told("/readyz/management"))[0] == 503
        ready.say(False, ())
        assert (await told("/readyz"))[0] == (await told("/readyz/management"))[0] == 503
        ready.stop()
        assert await told("/readyz") == (503, "stopping")
        assert await told("/livez") == (200, "ok")


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/metrics/", "/metrics/x", "//metrics", "/%6detrics2", "/debug"])
async def test_there_is_no_other_path(port, path):
    assert (await asked(port, "GET", path)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
async def test_there_is_no_other_verb(port, verb):
    assert (await asked(port, verb, "/metrics")).startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 400 "))


async def test_what_is_too_large_or_no_http_is_turned_away(port):
    large = await asked(port, "GET", "/metrics", f"X: {'y' * 20_000}\r\n")
    assert b"policy_" not in large
    body = await said(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10)
    assert b"policy_" not in body
    assert b"policy_" not in await said(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


async def test_who_says_nothing_or_half_a_word_holds_nobody(port):
    with contextlib.ExitStack() as silent:
        # From a thread, as the service accepts on this one.
        await asyncio.to_thread(silent.enter_context, connections(port, 200))
        await asyncio.to_thread(silent.enter_context, connections(port, 200, first=b"GET /metrics HT"))
        for _ in range(3):
            assert (await asked(port, "GET", "/metrics")).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(metrics_http, "_SECONDS", 0.5)
    async with showing_metrics("127.0.0.1:0", Readiness()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"G")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        trickling.cancel()
        await asyncio.wait([trickling])
        await closed(writer)


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"POLICY_METRICS_ADDRESS {address}"):
            async with showing_metrics(address, Readiness()):
                pytest.fail("listening twice")
