"""One real PostgreSQL for the whole run; each test has a database of its own, cloned from a migrated one."""

import asyncio
import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

# Before grpc is imported: the embedded server is started by fork and exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
# Test processes that run side by side have one of 80, which the command obeys.
os.environ.pop("COLUMNS", None)

import asyncpg
import pytest

from policy_service.app import App, open_app
from policy_service.decide import Model, read_model
from policy_service.policy_text import read_seed
from policy_service.settings import Settings, policies_dir
from policy_service.store import SERVICE_ROLE, Store, allow_service, as_role, connect_store, embedded_postgres, migrate
from policy_service.vocabulary import Row
from tests.support import over_tls
from tests.support.rpc import Wire

# While the embedded server's library makes, starts or stops one server, it keeps everybody waiting who has the same
# folder here. Test processes do not wait for each other, nor for somebody else's.
_RUNTIME = Path(tempfile.mkdtemp(prefix="policy-run-"))
(_RUNTIME / "python_PostgresServer").mkdir()
os.environ["XDG_RUNTIME_DIR"] = str(_RUNTIME)
# Nor does a developer's own file of contexts say whom tests ask.
os.environ["XDG_CONFIG_HOME"] = str(_RUNTIME / "config")
atexit.register(shutil.rmtree, _RUNTIME, ignore_errors=True)
# What a process compiled, the next one that a test starts need not compile again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TEMPLATE = "migrated"
# What services in tests write beside the database; one folder for this user, so that their processes share it.
DATA_DIR = Path(tempfile.gettempdir()) / f"policy-service-tests-{os.getuid()}"
SHIPPED_MODEL = read_model(policies_dir() / "model.conf")
_names = itertools.count()


_LONG = {
    "test_audit_history.py",
    "test_benchmarks.py",
    "test_deployment_document.py",
    "test_differential.py",
    "test_documents.py",
    "test_fake.py",
    "test_faults.py",
    "test_impact.py",
    "test_life_cycle.py",
    "test_manage_users_document.py",
    "test_motion.py",
    "test_rolling_restart.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a minute come first: as the last ones they would keep one process busy while the others wait."""
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_configure() -> None:
    """How long an example takes says something of the machine, not of the code."""
    from hypothesis import HealthCheck
    from hypothesis import settings as examples

    examples.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    examples.load_profile("suite")


@pytest.fixture(scope="session")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> over_tls.Authority:
    return over_tls.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _over_tls(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is marked so has its services behind TLS, and calls them as callers with few rights."""
    if request.node.get_closest_marker("over_tls"):
        over_tls.authority = request.getfixturevalue("_authority")
    yield
    over_tls.authority = None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a running server; the database in it is ``postgres``."""
    folder = Path(tempfile.mkdtemp(prefix="policy-"))
    loop = asyncio.new_event_loop()
    server = embedded_postgres(folder)
    dsn = loop.run_until_complete(server.__aenter__())
    loop.run_until_complete(_make_template(dsn))
    yield dsn
    loop.run_until_complete(server.__aexit__(None, None, None))
    loop.close()
    shutil.rmtree(folder)


async def _make_template(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    # This server outlives no power cut. What must is tested on the service's own (tests/acceptance).
    await connection.execute("ALTER SYSTEM SET fsync = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    await migrate(in_database(dsn, TEMPLATE))
    # Rights on the template's tables are cloned with them.
    await allow_service(in_database(dsn, TEMPLATE), SERVICE_ROLE, make=True)


def in_database(dsn: str, name: str) -> str:
    """The same server's address for another database."""
    return dsn.replace("/postgres?", f"/{name}?")


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """The address of a migrated database without policy."""
    name = f"test_{os.getpid()}_{next(_names)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield in_database(postgres, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """A store on that database."""
    async with connect_store(database) as opened:
        yield opened


@pytest.fixture
def settings(database: str) -> Settings:
    """Settings for a service on that database, on free ports, with the rights of a service and no more."""
    return settings_for(as_role(database, SERVICE_ROLE))


def settings_for(dsn: str, **more: object) -> Settings:
    """Settings for a service on free loopback ports."""
    fields = {
        "database_url": dsn,
        "decision_address": "127.0.0.1:0",
        "management_address": "127.0.0.1:0",
        "metrics_address": "",
        "data_dir": DATA_DIR,
        "log_level": "error",
        # How long a write takes on a busy machine is not what is tested.
        "write_seconds": 60,
        # Nobody has to hear of a test's stop.
        "drain_seconds": 0,
    }
    tls = over_tls.authority.files if over_tls.authority else {}
    return Settings(**{**fields, **tls, **more})


@pytest.fixture
async def app(store: Store, settings: Settings, seed: tuple[Row, ...]) -> AsyncIterator[App]:
    """A service with the shipped seed, listening."""
    from policy_service.seed import install

    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings) as opened:
        yield opened


@pytest.fixture
async def wire(app: App) -> AsyncIterator[Wire]:
    """The decision plane."""
    async with Wire(app.planes.decision_port) as opened:
        yield opened


@pytest.fixture
async def management(app: App) -> AsyncIterator[Wire]:
    """The management plane."""
    async with Wire(app.planes.management_port) as opened:
        yield opened


@pytest.fixture(scope="session")
def model() -> Model:
    """The shipped model."""
    return SHIPPED_MODEL


@pytest.fixture(scope="session")
def seed() -> tuple[Row, ...]:
    """The shipped seed."""
    return read_seed(policies_dir() / "seed.csv")
