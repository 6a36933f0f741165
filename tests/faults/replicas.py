"""What has to be done once is done once among several replicas: letters and checkpoints, also where one is killed."""

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import asyncpg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope, Session

from policy_service.members import read_key
from policy_service.pb import manage_users_pb2 as mu
from tests.faults.figures import Figures
from tests.faults.world import prepare
from tests.faults.writing import Door, judge, writing
from tests.support.patience import PATIENCE
from tests.support.ports import free_port
from tests.support.postgres import postgres_servers
from tests.support.processes import Process, processes


class CountingServer:
    """A mail server that counts letters by Message-ID, and can keep one waiting for its answer."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.holding = ""
        """The address whose next letter is kept waiting."""
        self.held, self.let_go = threading.Event(), threading.Event()
        self.held_from = 0
        """The port at the other end."""

    async def handle_DATA(self, _: object, session: Session, envelope: Envelope) -> str:
        name = str(message_from_bytes(envelope.content or b"")["Message-ID"])
        self.taken[name] += 1
        if self.holding == envelope.rcpt_tos[0]:
            self.holding = ""
            self.held_from = session.peer[1]
            self.held.set()
            await asyncio.to_thread(self.let_go.wait, PATIENCE)
        return "250 taken"

    @contextlib.contextmanager
    def going(self) -> Iterator[str]:
        controller = Controller(self, hostname="127.0.0.1", port=free_port())
        controller.start()
        try:
            yield f"smtp://127.0.0.1:{controller.port}"
        finally:
            self.let_go.set()
            controller.stop()


async def _rows(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


def _until_empty(dsn: str, query: str) -> None:
    until = time.monotonic() + PATIENCE
    while found := asyncio.run(_rows(dsn, query)):
        assert time.monotonic() < until, found
        time.sleep(0.1)  # nobody tells of another process's row


def _seat_holder(dsn: str, replicas: list[Process]) -> Process:
    """Who writes checkpoints: the process whose connection has the lock."""
    until = time.monotonic() + PATIENCE
    while True:
        found = asyncio.run(
            _rows(dsn, "SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)"
                       " WHERE locktype = 'advisory' AND objid = 4019715301 AND client_port IS NOT NULL")
        )  # fmt: skip
        for row in found:
            for replica in replicas:
                if replica.has_connection_from(row["client_port"]):
                    return replica
        assert time.monotonic() < until
        time.sleep(0.05)


def _invitation(number: int, address: str) -> mu.InviteUserRequest:
    return mu.InviteUserRequest(
        actor="ida", physician="dr-held", username=f"held-{number}", email=address,
        permissions=mu.Permissions(roles=["data_entry"]),
    )  # fmt: skip


def run(rounds: int, count: int = 3) -> Figures:
    """Replicas write, send and sign side by side; in each round the one that signs and one that sends are killed."""
    server = CountingServer()
    with server.going() as mail, postgres_servers() as (database,):
        dsn = prepare(database)
        interrupted = takeovers = 0
        with processes(dsn, count, POLICY_SMTP_URL=mail, POLICY_CHECKPOINT_SECONDS="1") as replicas:
            place = replicas[0].folder.parent / "checkpoints.jsonl"
            for replica in replicas:
                replica.env["POLICY_CHECKPOINT_FILE"] = str(place)
                replica.begin()
            for replica in replicas:
                replica.wait_until("readyz", 200)
            key = read_key(Path(replicas[0].env["POLICY_TOKEN_KEY_FILE"]))
            door = Door([replica.management for replica in replicas])
            with writing(replicas, key, writers=3) as (writers, tally):
                door("RegisterPhysician", mu.RegisterPhysicianRequest(actor="ida", physician="dr-held", owner="ida"))
                for number in range(rounds):
                    tally.wait_for(15, lambda: replicas[0].said)
                    holder = _seat_holder(database.dsn, replicas)
                    holder.kill()
                    assert _seat_holder(database.dsn, [one for one in replicas if one is not holder]) is not holder
                    takeovers += 1
                    holder.start()
                    # A letter that its server has and nobody knows of, of an invitation that goes on standing.
                    server.held.clear()
                    server.let_go.clear()
                    server.holding = f"held-{number}@clinic.example"
                    door("InviteUser", _invitation(number, server.holding))
                    assert server.held.wait(PATIENCE)
                    sender = next(one for one in replicas if one.has_connection_from(server.held_from))
                    sender.kill()
                    server.let_go.set()
                    interrupted += 1
                    sender.start()
                tally.wait_for(10, lambda: replicas[0].said)
            # Its lease is two minutes, which pass.
            asyncio.run(
                _rows(database.dsn, "UPDATE outbox SET leased_until = now() WHERE leased_until IS NOT NULL RETURNING 1")
            )
            _until_empty(database.dsn, "SELECT id, state FROM outbox WHERE state IN ('queued', 'delayed')")
            sent = asyncio.run(_rows(database.dsn, "SELECT message_id FROM outbox WHERE state = 'sent'"))
            door.close()
            found = asyncio.run(judge(database.dsn, writers))
            signed = Counter(json.loads(line)["revision"] for line in place.read_text().splitlines())
    again = server.taken.total() - len(server.taken)
    return Figures(
        name=f"{count} replicas, of which the one that signs and one that sends are killed",
        numbers={
            "rounds": rounds,
            "takeovers of the checkpoints": takeovers,
            "letters cut in the middle": interrupted,
            "writes acknowledged": tally.acknowledged,
            "lost": found.lost,
            "half done": found.half_done,
            "letters sent": len(sent),
            "letters that did not arrive": sum(row["message_id"] not in server.taken for row in sent),
            "letters that arrived again": again,
            # Whoever dies has eight in hand at most.
            "more of these than kills account for": max(0, again - 8 * (interrupted + takeovers)),
            "cut letters that came again too few times": max(0, interrupted - again),
            "checkpoints": sum(signed.values()),
            "points with two of them": sum(count > 1 for count in signed.values()),
        },
        answers=dict(tally.answers),
        faults=tally.wrong,
        zero=(
            "lost",
            "half done",
            "letters that did not arrive",
            "more of these than kills account for",
            "cut letters that came again too few times",
            "points with two of them",
        ),
    )
