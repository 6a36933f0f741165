"""Every answer that a client got is in the decision log once, whatever was killed meanwhile."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import pytest

from policy_service.pb import decision_pb2 as pb
from policy_service.store import SERVICE_ROLE, allow_service, as_role, embedded_postgres, migrate
from tests.acceptance.conftest import BIN, Service
from tests.support.patience import PATIENCE, until

USERS = [f"user-{number}" for number in range(20)]


class Asker(threading.Thread):
    """A client that asks without end, and keeps the id of every answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.answered: list[str] = []
        self.asked = 0
        self.stopped = threading.Event()
        self.moved = threading.Condition()

    def run(self) -> None:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200))
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            single = channel.unary_unary(
                "/policy.v1.DecisionService/Check", pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
            )
            batch = channel.unary_unary(
                "/policy.v1.DecisionService/BatchCheck",
                pb.BatchCheckRequest.SerializeToString,
                pb.BatchCheckResponse.FromString,
            )
            while not self.stopped.is_set():
                checks = [pb.CheckRequest(user=user, physician="dr-osei", action="claim:view") for user in USERS]
                with contextlib.suppress(grpc.RpcError):
                    self.asked += 1
                    self.answered.append(single(checks[0], timeout=PATIENCE, wait_for_ready=True).decision_id)
                    self.asked += len(checks)
                    request = pb.BatchCheckRequest(checks=checks)
                    answers = batch(request, timeout=PATIENCE, wait_for_ready=True).answers
                    self.answered += [answer.decision_id for answer in answers]
                with self.moved:
                    self.moved.notify_all()

    def wait_for(self, more: int, running: "Running") -> None:
        """Until so many further answers came; a service that ended by itself gives none."""
        wanted, until = len(self.answered) + more, time.monotonic() + PATIENCE
        with self.moved:
            while not self.moved.wait_for(lambda: len(self.answered) >= wanted, 1):
                assert running.process.poll() is None, running.log.read_text()
                assert time.monotonic() < until, running.log.read_text()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT])
async def test_across_kills_of_the_service_and_of_the_database(short_folder: Path, stack: ExitStack, how: int):
    database = contextlib.AsyncExitStack()
    dsn = await database.enter_async_context(embedded_postgres(short_folder / "pg"))
    await migrate(dsn)
    await allow_service(dsn, SERVICE_ROLE, make=True)
    command = (str(BIN / "policy-service"), "serve", "--demo")
    owner = Service(short_folder / "data", settings={"POLICY_DATABASE_URL": dsn})
    assert (await asyncio.to_thread(owner.cli, "migrate")).returncode == 0
    settings = {"POLICY_DATABASE_URL": as_role(dsn, SERVICE_ROLE), "POLICY_LOG_LEVEL": "info"}
    service = Service(short_folder / "data", command=command, settings=settings)
    running = await asyncio.to_thread(started, service)
    stack.callback(lambda: running.end())
    asker = Asker(service.ports["DECISION"])
    asker.start()
    stack.callback(asker.stopped.set)
    for fault in ("service", "database", "service", "both", "database"):
        await asyncio.to_thread(asker.wait_for, 500, running)
        if fault in ("database", "both"):
            postmaster = int((short_folder / "pg/postgres/postmaster.pid").read_text().split()[0])
            os.kill(postmaster, how)
            # Checks go on without it.
            await asyncio.to_thread(asker.wait_for, 500, running)
        if fault in ("service", "both"):
            running.end()
        if fault in ("database", "both"):
            await database.aclose()
            await database.enter_async_context(embedded_postgres(short_folder / "pg"))
        if fault in ("service", "both"):
            running = await asyncio.to_thread(started, service)
    await asyncio.to_thread(asker.wait_for, 500, running)
    asker.stopped.set()
    await asyncio.to_thread(asker.join)
    connection = await asyncpg.connect(dsn)
    try:
        await until(lambda: connection.fetch("SELECT FROM decision_replicas WHERE event = 'recovered' OFFSET 2"))
    except TimeoutError:
        pytest.fail("what was left behind is not recorded:\n" + running.log.read_text()[-20_000:])
    running.process.send_signal(signal.SIGINT)
    await asyncio.to_thread(running.process.wait, PATIENCE)
    found = await connection.fetch("SELECT replica, sequence FROM decisions ORDER BY replica, sequence")
    await connection.close()
    await database.aclose()
    recorded = [f"{row['replica']}-{row['sequence']}" for row in found]
    assert len(set(recorded)) == len(recorded)
    assert set(asker.answered) <= set(recorded)
    assert len(recorded) <= asker.asked
    print(f"{len(asker.answered):,} answers had, {len(recorded):,} recorded, {asker.asked:,} asked")
    for replica in {row["replica"] for row in found}:
        sequences = [row["sequence"] for row in found if row["replica"] == replica]
        assert sequences == list(range(1, len(sequences) + 1))


@dataclass
class Running:
    """A service that writes its log into a file: nobody reads it meanwhile, and a pipe would become full."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def end(self) -> None:
        """Kill -9, if it still runs."""
        self.process.kill()
        self.process.wait()


def started(service: Service) -> Running:
    log = service.data_dir.with_name("service.log")
    with log.open("ab") as file:
        process = subprocess.Popen(service.command, env=service.env, stdout=file, stderr=file, start_new_session=True)
    # With warnings only, the first sign of life is the port.
    with grpc.insecure_channel(f"127.0.0.1:{service.ports['DECISION']}") as channel:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
    return Running(process, log)
