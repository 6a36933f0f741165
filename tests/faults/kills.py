"""Kill -9 of the service and of PostgreSQL, at any moment, while grants and revokes are written."""

import asyncio
import random
from pathlib import Path

from policy_service.members import read_key
from tests.faults.figures import Figures
from tests.faults.world import chain_is_whole, prepare
from tests.faults.writing import judge, writing
from tests.support.postgres import postgres_servers
from tests.support.processes import processes


def run(rounds: int, seed: int = 1) -> Figures:
    """So many kills of either, and of both at once; between them writes are acknowledged again."""
    chance = random.Random(seed)
    with postgres_servers() as (database,):
        dsn = prepare(database)
        with processes(dsn) as (service,):
            service.start()
            key = read_key(Path(service.env["POLICY_TOKEN_KEY_FILE"]))
            kills = {"service": 0, "postgres": 0}
            with writing([service], key) as (writers, tally):
                for number in range(rounds):
                    what = ("service", "postgres", "both")[number % 3]
                    tally.wait_for(chance.randint(5, 25), lambda: service.said)
                    if what != "service":
                        database.kill()
                        kills["postgres"] += 1
                    if what != "postgres":
                        service.kill()
                        kills["service"] += 1
                    if what != "service":
                        database.start()
                    if what != "postgres":
                        service.start()
                tally.wait_for(20, lambda: service.said)
            found = asyncio.run(judge(database.dsn, writers))
            whole = chain_is_whole(service, database.dsn)
    return Figures(
        name="kill -9 under writes",
        numbers={
            "rounds": rounds,
            "kills of the service": kills["service"],
            "kills of PostgreSQL": kills["postgres"],
            "writes acknowledged": tally.acknowledged,
            "lost": found.lost,
            "half done": found.half_done,
            "done twice": found.doubled,
            "wrong answers": len(tally.wrong),
            "chain whole": whole,
        },
        answers=dict(tally.answers),
        faults=tally.wrong,
        zero=("lost", "half done", "done twice", "wrong answers"),
    )
