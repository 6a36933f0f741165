"""ATTACKS 30: three replicas are restarted one after the other under load: no check of the client's own fails."""

import asyncio
import contextlib
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from policy_client import AsyncPolicyClient, Decision, PolicyClient, PolicyError

from policy_service.store import SERVICE_ROLE, as_role
from tests.acceptance.conftest import BIN, Service
from tests.support.patience import PATIENCE
from tests.support.ports import free_port

REPLICAS = 3
ASKING = 2
PAUSE = 0.008
"""Between two checks of one who asks: a service that starts needs the processor too."""


@pytest.fixture
def replicas(database, short_folder):
    """Three processes on one database, and how each is stopped and started again."""
    settings = {"POLICY_DATABASE_URL": database}
    first = Service(short_folder / "first", settings=settings)
    assert first.cli("migrate").returncode == 0
    settings = {"POLICY_DATABASE_URL": as_role(database, SERVICE_ROLE)}
    services = [
        Service(short_folder / f"{number}", settings=settings, command=(str(BIN / "policy-service"), "serve", *demo))
        for number, demo in enumerate([("--demo",), (), ()])
    ]
    running = {}

    def start(service: Service) -> None:
        running[service.ports["DECISION"]] = service.start()
        assert service.wait_for(running[service.ports["DECISION"]], '"serving"'), service.output

    def restart(service: Service) -> None:
        service.stop(running[service.ports["DECISION"]], signal.SIGTERM)
        start(service)

    # The first one brings the accounts.
    start(services[0])
    with ThreadPoolExecutor(REPLICAS) as starting:
        list(starting.map(start, services[1:]))
    yield services, restart
    for service in services:
        service.stop(running[service.ports["DECISION"]], signal.SIGTERM)


class Load:
    """Threads that ask all the time; what they were answered, and what failed."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.answers = 0
        self.failed: list[Exception] = []
        self._asked = threading.Condition()
        self._over = False

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(ASKING - 1)]
        threads.append(threading.Thread(target=self._ask_async))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over = True
            for thread in threads:
                thread.join()

    def await_more(self) -> None:
        """Until each has gone on for a while."""
        with self._asked:
            wanted = self.answers + 20 * ASKING
            assert self._asked.wait_for(lambda: self.answers >= wanted or self.failed, PATIENCE)

    def _ask(self) -> None:
        with PolicyClient(self.target, timeout=PATIENCE) as policy:
            while not self._over:
                try:
                    self._note(policy.check("mia", "dr-osei", "claim:submit"))
                except PolicyError as failed:
                    self._note(failed)
                time.sleep(PAUSE)

    def _ask_async(self) -> None:
        async def ask() -> None:
            async with AsyncPolicyClient(self.target, timeout=PATIENCE) as policy:
                while not self._over:
                    try:
                        self._note(await policy.check("mia", "dr-osei", "claim:submit"))
                    except PolicyError as failed:
                        self._note(failed)
                    await asyncio.sleep(PAUSE)

        asyncio.run(ask())

    def _note(self, found: Decision | Exception) -> None:
        with self._asked:
            if isinstance(found, Decision) and found:
                self.answers += 1
            else:
                self.failed.append(found if isinstance(found, Exception) else AssertionError(found))
            self._asked.notify_all()


class Balancer:
    """One address before several: each connection goes to the next that takes it, as in front of a set of pods."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._next = 0
        self._listening = socket.create_server(("127.0.0.1", free_port()))
        self.target = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._wake, self._woken = socket.socketpair()

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        thread = threading.Thread(target=self._carry)
        thread.start()
        try:
            yield
        finally:
            self._wake.close()
            thread.join()

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector, self._listening, self._woken:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj.fileno() < 0:
                        # Closed with its other half a moment ago.
                        continue
                    if key.fileobj is self._woken:
                        for other in [one.fileobj for one in selector.get_map().values()]:
                            other.close()
                        return
                    if key.fileobj is self._listening:
                        if pair := self._connected(self._listening.accept()[0]):
                            for one, other in (pair, pair[::-1]):
                                selector.register(one, selectors.EVENT_READ, other)
                    elif not self._moved(key.fileobj, key.data):
                        for one in (key.fileobj, key.data):
                            selector.unregister(one)
                            one.close()

    def _connected(self, near: socket.socket) -> tuple[socket.socket, socket.socket] | None:
        for _ in self._ports:
            self._next += 1
            with contextlib.suppress(OSError):
                return near, socket.create_connection(("127.0.0.1", self._ports[self._next % len(self._ports)]))
        near.close()
        return None

    def _moved(self, one: socket.socket, other: socket.socket) -> bool:
        try:
            sent = one.recv(1 << 16)
            other.sendall(sent)
        except OSError:
            return False
        return bool(sent)


def test_no_check_fails_while_three_replicas_are_restarted(replicas):
    """Of who knows all addresses, nor of who knows one, in front of them all."""
    services, restart = replicas
    ports = [service.ports["DECISION"] for service in services]
    balancer = Balancer(ports)
    loads = {
        "several addresses": Load(",".join(f"127.0.0.1:{port}" for port in ports)),
        "one address": Load(balancer.target),
    }
    with balancer.going(), loads["several addresses"].going(), loads["one address"].going():
        for service in (None, *services):
            if service is not None:
                restart(service)
            for load in loads.values():
                load.await_more()
    for behind, load in loads.items():
        print(f"{behind}: {load.answers} answered, {len(load.failed)} failed")
    assert {behind: load.failed for behind, load in loads.items()} == {behind: [] for behind in loads}
