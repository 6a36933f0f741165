"""A primary dies under writes, and its synchronous standby is promoted: the service finds it by itself."""

import asyncio
import time
from pathlib import Path

import asyncpg

from policy_service.members import read_key
from policy_service.store import SERVICE_ROLE
from tests.faults.figures import Figures
from tests.faults.world import chain_is_whole, prepare
from tests.faults.writing import judge, writing
from tests.support.patience import until
from tests.support.postgres import Postgres, postgres_servers
from tests.support.processes import processes


async def _wait_for_the_standby(primary: Postgres) -> None:
    """From here on nothing is acknowledged that the standby does not have."""
    connection = await asyncpg.connect(primary.dsn)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await connection.execute("SELECT pg_reload_conf()")
    await until(lambda: connection.fetch("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"))
    await connection.close()


def run(rounds: int) -> Figures:
    """So many failovers; each makes a new standby of the one that serves, and kills that."""
    seconds, acknowledged = [], 0
    with postgres_servers(rounds + 1) as servers:
        primary = servers[0]
        prepare(primary)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        dsn = f"postgresql://{SERVICE_ROLE}@{hosts}/postgres"
        with processes(dsn) as (service,):
            service.start()
            key = read_key(Path(service.env["POLICY_TOKEN_KEY_FILE"]))
            with writing([service], key) as (writers, tally):
                tally.wait_for(5, lambda: service.said)
                for standby in servers[1:]:
                    standby.make_standby_of(primary)
                    standby.start()
                    asyncio.run(_wait_for_the_standby(primary))
                    tally.wait_for(25, lambda: service.said)
                    primary.kill()
                    began = time.monotonic()
                    standby.promote()
                    tally.wait_for(1, lambda: service.said)
                    seconds.append(time.monotonic() - began)
                    primary = standby
                tally.wait_for(25, lambda: service.said)
                acknowledged = tally.acknowledged
            found = asyncio.run(judge(primary.dsn, writers))
            whole = chain_is_whole(service, primary.dsn)
    return Figures(
        name="failover to a synchronous standby under writes",
        numbers={
            "failovers": rounds,
            "writes acknowledged": acknowledged,
            "lost": found.lost,
            "half done": found.half_done,
            "done twice": found.doubled,
            "wrong answers": len(tally.wrong),
            "chain whole": whole,
            "longest until writes go on, s": max(seconds),
        },
        answers=dict(tally.answers),
        faults=tally.wrong,
        zero=("lost", "half done", "done twice", "wrong answers"),
    )
