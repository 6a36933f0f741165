"""What benchmarks share: databases filled once, servers as processes, functions in fresh processes."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from policy_service.store import embedded_postgres
from tests.benchmarks import machine, population
from tests.conftest import in_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    small: int = 100
    large: int = 100_000
    plain: int = 1_000
    rounds: int = 7
    seconds: float = 2.0
    questions: int = 100_000
    colds: int = 2_000
    changes: int = 300
    invitations: int = 1_000
    roles: int = 100
    names: int = 1_000_000
    writers: tuple[int, ...] = (1, 4, 16, 64)


QUICK = Sizes(
    small=20,
    large=200,
    plain=20,
    rounds=1,
    seconds=0.2,
    questions=2_000,
    colds=50,
    changes=10,
    invitations=20,
    roles=5,
    names=10_000,
    writers=(4,),
)


class Server:
    """A running process of ``tests.benchmarks.server``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it listens."""
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the server did not start")
        self.port, self.management_port = json.loads(line)
        self._process = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        used = self._process.cpu_times()
        return float(used.user + used.system)

    def megabytes(self) -> float:
        """Memory of its own: without the files that it maps, which are the kernel's to take back."""
        memory = self._process.memory_info()
        return float(memory.rss - getattr(memory, "shared", 0)) / 1e6


class Workbench:
    """Use ``open_workbench``."""

    def __init__(self, sizes: Sizes, runner: asyncio.Runner, postgres: str, say: Callable[[str], None]) -> None:
        self.sizes = sizes
        self.say = say
        self._runner = runner
        self._postgres = postgres
        self._filled: dict[int, str] = {}

    def database(self, physicians: int) -> str:
        """The address of a database with so many physicians, filled when first wanted."""
        if physicians not in self._filled:
            self.say(f"filling a database: {physicians:,} physicians, {population.rows_in(physicians):,} rows")
            name = f"physicians_{physicians}"
            self._runner.run(_create(self._postgres, name))
            dsn = in_database(self._postgres, name)
            self._runner.run(population.fill(dsn, physicians))
            self._filled[physicians] = dsn
        return self._filled[physicians]

    def empty_database(self, name: str) -> str:
        """The address of a new database without anything in it."""
        self._runner.run(_create(self._postgres, name))
        return in_database(self._postgres, name)

    def run(self, task: Coroutine[Any, Any, Any]) -> Any:
        """Run something asynchronous, off the measured core."""
        return self._runner.run(task)

    @contextmanager
    def serving(self, kind: str, physicians: int | None = None) -> Iterator[Server]:
        """A server process on the measured core."""
        command = [sys.executable, "-m", "tests.benchmarks.server", kind]
        if physicians is not None:
            command.append(self.database(physicians))
            self.say(f"starting the service with {physicians:,} physicians")
        with machine.on_the_measured_core(), _server(command) as server:
            yield server

    @contextmanager
    def serving_unpinned(self, kind: str, dsn: str) -> Iterator[Server]:
        """A server process on a database, wherever this process may run."""
        with _server([sys.executable, "-m", "tests.benchmarks.server", kind, dsn]) as server:
            yield server

    def fresh(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """The answer of a function of a benchmark, run in a new process on the measured core."""
        task = f"{function.__module__}:{function.__name__}"
        command = [sys.executable, "-m", "tests.benchmarks.fresh", task, json.dumps(arguments)]
        with machine.on_the_measured_core():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{task} failed")
        return json.loads(output)

    def postgres_version(self) -> str:
        """The database server's version."""
        return self._runner.run(_version(self._postgres))


@contextmanager
def _server(command: list[str]) -> Iterator[Server]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Server(process)
    finally:
        # The end of its input ends it.
        process.communicate(timeout=60)


@contextmanager
def open_workbench(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Workbench]:
    """A PostgreSQL of its own, off the measured core, gone at the end."""
    machine.leave_the_measured_core()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with asyncio.Runner() as runner:
            server = embedded_postgres(folder)
            postgres = runner.run(server.__aenter__())
            try:
                yield Workbench(sizes, runner, postgres, say)
            finally:
                runner.run(server.__aexit__(None, None, None))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _create(postgres: str, name: str) -> None:
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


async def _version(postgres: str) -> str:
    connection = await asyncpg.connect(postgres)
    found = await connection.fetchval("SHOW server_version")
    await connection.close()
    return str(found)
