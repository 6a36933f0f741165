"""What waits for the database is told while it waits, also what a killed process left; and that is looked for again."""

import asyncio
import sys

from policy_service import metrics
from policy_service.decision_log import shipping
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.decision_log.test_decision_log import ask, away, killed, quiet, recovered, rows, serving  # noqa: F401
from tests.support.patience import until


def told() -> int:
    (sample,) = metrics.decisions_waiting.collect()[0].samples
    return int(sample.value)


async def test_the_gauge_grows_while_the_database_is_away(quiet, store, seed, database, postgres):  # noqa: F811
    async with serving(quiet, store, seed) as wire:
        await ask(wire, 1)

        async def is_empty() -> bool:
            return told() == 0

        await until(is_empty)
        async with away(postgres, database):
            await ask(wire, 2)

            async def is_full() -> bool:
                # A line is the question's 300 bytes and more.
                return told() > 2_000 * 300

            await until(is_full)
        await until(is_empty)


async def test_the_gauge_has_what_a_killed_process_left(quiet, store, seed, database, monkeypatch):  # noqa: F811
    await install.install_first(store, seed, SHIPPED_MODEL)
    await killed(quiet, store, "aaa")

    async def no(*_: object, **__: object) -> None:
        raise ValueError("cannot be written down")

    with monkeypatch.context() as patched:
        patched.setattr(shipping.Store, "note_replica", no)
        async with serving(quiet, store, seed):

            async def has_one_line() -> bool:
                return 0 < told() < 200

            await until(has_one_line)


async def test_what_was_still_locked_is_looked_for_again(quiet, store, seed, database, monkeypatch):  # noqa: F811
    """Its process is ending, or another one has just been killed on this machine: both are found, and not in an hour."""
    monkeypatch.setattr(shipping, "_LOOK_SECONDS", 0.01)
    await install.install_first(store, seed, SHIPPED_MODEL)
    await killed(quiet, store, "aaa")
    folder = quiet.data_dir / "decisions" / await store.log_name()
    hold = (
        "import fcntl, sys; it = open(sys.argv[1]); fcntl.flock(it, fcntl.LOCK_EX); print('held', flush=True); input()"
    )
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", hold, str(folder / "aaa.state"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert dying.stdout is not None
    assert await dying.stdout.readline() == b"held\n"
    async with serving(quiet, store, seed) as wire:
        answered = await wire.check("mia", "dr-a", "claim:view")
        # This one's own is there, so it has looked: it looks at others' before it waits for its next round.
        await until(lambda: rows(database, "SELECT FROM decisions"))
        dying.kill()
        await dying.wait()
        await recovered(database)
    assert {row["replica"] for row in await rows(database)} == {"aaa", answered.decision_id.partition("-")[0]}
