"""Invitations and acceptances by many callers at once, and what they do to checks meanwhile."""

import asyncio
import threading
import time
from collections.abc import Iterator
from statistics import median

from policy_service.members import read_key
from policy_service.members.tokens import TokenKey
from policy_service.pb import decision_pb2 as pb
from tests.benchmarks import population
from tests.benchmarks.cold import latencies, p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench
from tests.conftest import DATA_DIR
from tests.support.people import Page
from tests.support.rpc import Wire

CALLERS = 16


def measure(bench: Workbench) -> Iterator[Figure]:
    """Checks alone, then checks while 16 callers invite and accept; every grant looked at in the end."""
    size, count = bench.sizes.small, bench.sizes.invitations
    warm = [population.question(0, 0, "claim:view")]
    with bench.serving("service", size) as server:
        quiet = latencies(server, warm * bench.sizes.changes * 4)
        bench.say(f"{count:,} invitations and acceptances by {CALLERS} callers")
        busy: list[float] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                busy.extend(latencies(server, warm * 50))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            seconds = asyncio.run(_invite_and_accept(server, count))
        finally:
            done.set()
            asking.join()
    yield Figure(
        name="invite",
        what=f"invitations made and accepted by {CALLERS} callers at once, each two writes",
        value=count / seconds,
        unit="/s",
    )
    for name, what, figure in (("invite_check", "median", median), ("invite_check_p99", "99th percentile", p99)):
        yield Figure(
            name=name,
            what=f"Check meanwhile, {what}",
            value=figure(busy),
            unit="ms",
            beside_what="with nothing written",
            beside=figure(quiet),
        )


async def _invite_and_accept(server: Server, count: int) -> float:
    """Seconds for all; each caller invites and accepts one after another."""
    key = read_key(DATA_DIR / "token.key")
    physician = "bench-manage"
    async with Wire(server.management_port) as wire, Wire(server.port) as checks:
        owner = Page(wire, "bench-owner", physician)
        await owner.register()
        numbers = iter(range(count))
        began = time.perf_counter()
        revisions = await asyncio.gather(*(_work(owner, key, numbers) for _ in range(CALLERS)))
        seconds = time.perf_counter() - began
        questions = [
            pb.CheckRequest(user=f"n{n}", physician=physician, action="claim:submit", min_revision=max(revisions))
            for n in range(count)
        ]
        for start in range(0, count, 1000):
            batch = pb.BatchCheckRequest(checks=questions[start : start + 1000])
            assert all(answer.allowed for answer in (await checks("BatchCheck", batch)).answers)
    return seconds


async def _work(owner: Page, key: TokenKey, numbers: Iterator[int]) -> int:
    revision = 0
    for number in numbers:
        invited = await owner.invite(f"n{number}", "data_entry")
        accepted = await owner.accept(key.token(invited.invitation.id, 1))
        revision = accepted.revision
    return revision
