"""Three replicas are told to stop and begun again, one after the other, while a client of the library asks them."""

import threading
from pathlib import Path

from policy_client import PolicyClient, PolicyError

from policy_service.members import read_key
from tests.acceptance.conftest import BIN
from tests.faults.figures import Figures
from tests.faults.world import prepare
from tests.faults.writing import writing
from tests.support.patience import PATIENCE
from tests.support.postgres import postgres_servers
from tests.support.processes import processes

_REPLICAS = 3


class _Client(threading.Thread):
    """Checks without end."""

    def __init__(self, target: str) -> None:
        super().__init__(daemon=True)
        self._target = target
        self.over = threading.Event()
        self.answered, self.failed = 0, list[str]()

    def run(self) -> None:
        with PolicyClient(self._target, timeout=PATIENCE) as policy:
            while not self.over.wait(0.005):
                try:
                    right = policy.check("mia", "dr-osei", "claim:submit").allowed
                except PolicyError as fault:
                    self.failed.append(repr(fault))
                else:
                    self.answered += 1
                    if not right:
                        self.failed.append("denied")


def run(rounds: int) -> Figures:
    """So many times all of them; writers write meanwhile, through whichever replica is there."""
    with postgres_servers() as (database,):
        dsn = prepare(database)
        # As long as it takes until everybody has heard of a stop.
        with processes(dsn, _REPLICAS, POLICY_DRAIN_SECONDS="0.5") as replicas:
            first = replicas[0]
            first.command = (str(BIN / "policy-service"), "serve", "--demo")
            for replica in replicas:
                replica.start()
            key = read_key(Path(first.env["POLICY_TOKEN_KEY_FILE"]))
            client = _Client(",".join(f"127.0.0.1:{replica.decision}" for replica in replicas))
            stops = []
            with writing(replicas, key, writers=2) as (_, tally):
                client.start()
                for _ in range(rounds):
                    for replica in replicas:
                        tally.wait_for(5, lambda: first.said)
                        stops.append(replica.stop())
                        replica.start()
                tally.wait_for(5, lambda: first.said)
                client.over.set()
                client.join(PATIENCE)
    return Figures(
        name=f"rolling restart of {_REPLICAS} replicas under load",
        numbers={
            "restarts": len(stops),
            "checks answered": client.answered,
            "failed checks": len(client.failed),
            "writes acknowledged": tally.acknowledged,
            "wrong answers": len(tally.wrong),
            "longest stop, s": max(stops),
        },
        answers=dict(tally.answers),
        faults=client.failed + tally.wrong,
        zero=("failed checks", "wrong answers"),
    )
