"""Writes acknowledged a second: edits in accounts apart and in one, invitations in one growing account.

Real processes, on all cores together: one replica or three, and a PostgreSQL that keeps what it acknowledged. Beside
each stands what the same database does of bare transactions of the same pattern, by as many writers, in the same run.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg
import psutil

from policy_service.members import manage_users
from policy_service.store import connect_store, embedded_postgres
from policy_service.vocabulary import Physician, Role, User
from tests.benchmarks import floor, machine, population
from tests.benchmarks.cold import p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench
from tests.conftest import in_database
from tests.support.people import Page
from tests.support.rpc import Wire

REPLICAS: Final = (1, 3)
_OWNER: Final = "writes-owner"
_ONE: Final = "writes-one"

Write = Callable[[int], Awaitable[object]]
"""A writer's next write, by its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What writers side by side came to."""

    per_second: float
    millis: Sequence[float]
    cpu_millis: float
    """Of services and database, for one write."""

    def what(self, kind: str, writers: int, replicas: int) -> str:
        """In words, with what one write took."""
        return (
            f"{kind}, {writers} at once, {_number(replicas, 'replica')}: "
            f"p50 {median(self.millis):.3g} ms, p99 {p99(self.millis):.3g} ms, {self.cpu_millis:.3g} ms CPU each"
        )


def measure(bench: Workbench) -> Iterator[Figure]:
    """The floor, then each kind with each number of writers; with one replica, then with three."""
    most = max(bench.sizes.writers)
    with machine.on_every_core(), _own_postgres(bench) as (dsn, postmaster):
        bench.run(_prepare(dsn, bench.sizes.small, most))
        beside = {writers: _floor(dsn, writers, bench.sizes.seconds) for writers in bench.sizes.writers}
        for replicas in REPLICAS:
            bench.say(f"writes with {_number(replicas, 'replica')}")
            with ExitStack() as stack:
                servers = [stack.enter_context(bench.serving_unpinned("writes", dsn)) for _ in range(replicas)]
                for kind, sentence in _KINDS.items():
                    for writers in bench.sizes.writers:
                        found = bench.run(_round(servers, postmaster, kind, writers, bench.sizes.seconds))
                        yield Figure(
                            name=f"writes_{kind}_{writers}_on_{replicas}",
                            what=found.what(sentence, writers, replicas),
                            value=found.per_second,
                            unit="/s",
                            beside_what="bare transactions of as many writers",
                            beside=beside[writers],
                        )


_KINDS: Final = {
    "apart": "edits in accounts of their own",
    "one": "edits in one account",
    "invite": "invitations in one growing account",
}


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


@contextmanager
def _own_postgres(bench: Workbench) -> Iterator[tuple[str, psutil.Process]]:
    """A server on every core: the workbench's own may not use the measured one."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        server = embedded_postgres(folder)
        dsn = bench.run(server.__aenter__())
        try:
            pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            yield in_database(dsn, "writes"), psutil.Process(pid)
        finally:
            bench.run(server.__aexit__(None, None, None))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(dsn: str, physicians: int, writers: int) -> None:
    """Other people's accounts, one of its own for each writer, and one with a member for each."""
    connection = await asyncpg.connect(dsn.replace("/writes?", "/postgres?"))
    await connection.execute("CREATE DATABASE writes")
    await connection.close()
    await population.fill(dsn, physicians)
    owner = User(_OWNER)
    async with connect_store(dsn) as store:
        for physician, members in [(_ONE, writers), *((f"writes-{number}", 1) for number in range(writers))]:
            account = Physician(physician)
            await manage_users.register_physician(store, account, owner, "", caller="bench", actor=owner)
            for number in range(members):
                user = User(f"member-{number}")
                await manage_users.grant(store, account, user, Role("data_entry"), caller="bench", actor=owner)
    connection = await asyncpg.connect(dsn)
    await connection.execute(floor.TABLES)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _floor(dsn: str, writers: int, seconds: float) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.floor", dsn, str(writers), str(seconds)]
    began = time.perf_counter()
    took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return len(took) / min(seconds, time.perf_counter() - began)


async def _round(
    servers: Sequence[Server], postmaster: psutil.Process, kind: str, writers: int, seconds: float
) -> Round:
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(server.management_port)) for server in servers]
        growing = f"growing-{time.monotonic_ns()}"
        await Page(wires[0], _OWNER, growing).register()
        work = [_writer(wires[number % len(wires)], kind, number, growing) for number in range(writers)]
        # The first of each is not measured: connections are opened, statements prepared.
        await asyncio.gather(*(write(0) for write in work))
        async with _cpu(servers, postmaster) as used:
            began = time.perf_counter()
            millis = await asyncio.gather(*(_over_and_over(write, began + seconds) for write in work))
            took = time.perf_counter() - began
        flat = [one for each in millis for one in each]
    return Round(per_second=len(flat) / took, millis=flat, cpu_millis=used[0] * 1e3 / len(flat))


def _writer(wire: Wire, kind: str, number: int, growing: str) -> Write:
    roles = ("financial_viewer", "data_entry")
    match kind:
        case "apart":
            page = Page(wire, _OWNER, f"writes-{number}")
            return lambda turn: page.edit("member-0", roles[turn % 2], idempotency_key=_key())
        case "one":
            page = Page(wire, _OWNER, _ONE)
            return lambda turn: page.edit(f"member-{number}", roles[turn % 2], idempotency_key=_key())
        case _:
            page = Page(wire, _OWNER, growing)
            return lambda turn: page.invite(f"{growing}-{number}-{turn}", "data_entry", idempotency_key=_key())


def _key() -> str:
    return f"key-{time.monotonic_ns()}"


async def _over_and_over(write: Write, until: float) -> list[float]:
    took, turn = list[float](), 1
    while (began := time.perf_counter()) < until:
        await write(turn)
        took.append((time.perf_counter() - began) * 1e3)
        turn += 1
    return took


@asynccontextmanager
async def _cpu(servers: Sequence[Server], postmaster: psutil.Process) -> AsyncIterator[list[float]]:
    """CPU seconds of services and database in the block."""

    def used() -> float:
        times = postmaster.cpu_times()
        total = sum(server.cpu_seconds() for server in servers)
        total += times.user + times.system + times.children_user + times.children_system
        for child in postmaster.children():
            of_child = child.cpu_times()
            total += of_child.user + of_child.system
        return float(total)

    found, before = [0.0], used()
    yield found
    found[0] = used() - before
