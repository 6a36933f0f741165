"""No wrong answer in motion: threads check while grants, roles and built-in rules change.

A log of every revision's rows is kept by the writer; each answer must be what
the model of plain sets says at the revision that the answer names. MOTION_CHANGES=N for more, as in ``make fuzz``.
"""

import asyncio
import os
import random
import threading

import grpc
import pytest

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.vocabulary import Origin, Row
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.decide.test_differential import write
from tests.support.accounts import reached
from tests.support.oracle import ACTIONS, Oracle, lines_of
from tests.support.patience import PATIENCE
from tests.support.rpc import question

USERS = ("ann", "bob", "cy", "dee")
PHYSICIANS = ("dr-x", "dr-y", "dr-z")
CHANGES = int(os.environ.get("MOTION_CHANGES", "100"))
THREADS = 8


def _owner(physician: str) -> Row:
    return Row(ptype="g", values=(f"user:own-{physician}", "role:owner", f"physician:{physician}"))


def _loyal(physician: str) -> Row:
    """Somebody entitled throughout, by a role whose rules change around them."""
    return Row(ptype="g", values=("user:loyal", "role:data_entry", f"physician:{physician}"))


def _random_rows(chance: random.Random) -> set[Row]:
    rows = {_owner(physician) for physician in PHYSICIANS} | {_loyal(physician) for physician in PHYSICIANS}
    for physician in PHYSICIANS:
        for user in USERS:
            if chance.random() < 0.5:
                role = chance.choice(("data_entry", "financial_viewer", "administrator", "desk"))
                rows.add(Row(ptype="g", values=(f"user:{user}", f"role:{role}", f"physician:{physician}")))
        for action in chance.sample(ACTIONS[:9], 3):
            effect = chance.choice(("allow", "deny"))
            rows.add(Row(ptype="p", values=("role:desk", f"physician:{physician}", action, effect)))
    return rows


class Asker(threading.Thread):
    """Checks and batches in a closed loop on a channel of its own, keeping every answer."""

    def __init__(self, port: int, number: int, stop: threading.Event) -> None:
        super().__init__()
        self.port, self.stop = port, stop
        self.chance = random.Random(number)
        self.answers: list[tuple[pb.CheckRequest, pb.CheckResponse]] = []
        self.failures: list[str] = []

    def run(self) -> None:
        with grpc.insecure_channel(
            f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            check = channel.unary_unary(
                "/policy.v1.DecisionService/Check",
                request_serializer=pb.CheckRequest.SerializeToString,
                response_deserializer=pb.CheckResponse.FromString,
            )
            batch = channel.unary_unary(
                "/policy.v1.DecisionService/BatchCheck",
                request_serializer=pb.BatchCheckRequest.SerializeToString,
                response_deserializer=pb.BatchCheckResponse.FromString,
            )
            seen = 0
            while not self.stop.is_set():
                try:
                    if self.chance.random() < 0.8:
                        asked = self._question(seen)
                        answers = [(asked, check(asked, timeout=PATIENCE))]
                    else:
                        many = [self._question(seen) for _ in range(40)]
                        response = batch(pb.BatchCheckRequest(checks=many), timeout=PATIENCE)
                        answers = list(zip(many, response.answers, strict=True))
                        if {answer.revision for answer in response.answers} != {response.revision}:
                            self.failures.append("one batch, two revisions")
                except grpc.RpcError as error:
                    self.failures.append(str(error))
                    continue
                for _, answer in answers:
                    if answer.revision < seen:
                        self.failures.append(f"went back from {seen} to {answer.revision}")
                    seen = max(seen, answer.revision)
                self.answers += answers

    def _question(self, seen: int) -> pb.CheckRequest:
        user = self.chance.choice((*USERS, "loyal", "stranger"))
        return question(
            user, self.chance.choice(PHYSICIANS), self.chance.choice(ACTIONS), self.chance.choice((1, 2)),
            min_revision=seen if self.chance.random() < 0.2 else 0,
        )  # fmt: skip


@pytest.mark.parametrize("warm_physicians", [2_000, 1], ids=["warm", "always cold"])
async def test_every_answer_is_the_models_at_the_revision_it_names(store, database, seed, warm_physicians):
    await install.install_first(store, seed, SHIPPED_MODEL)
    chance = random.Random(7)
    history: dict[int, set[Row]] = {}
    rows, built_in = set[Row](), set(seed)
    removable = [row for row in seed if row.values[0] in ("role:financial_viewer", "role:administrator")]

    async def become(new_rows: set[Row], new_built_in: set[Row]) -> None:
        nonlocal rows, built_in
        for held, wanted, origin in ((built_in, new_built_in, Origin.SEED), (rows, new_rows, Origin.API)):
            written = await write(store, held, wanted, origin)
            rows, built_in = (rows, wanted) if origin is Origin.SEED else (wanted, built_in)
            history[written.revision] = rows | built_in

    await become(_random_rows(chance), built_in)
    stop = threading.Event()
    async with open_app(settings_for(database, max_warm_physicians=warm_physicians)) as app:
        askers = [Asker(app.planes.decision_port, number, stop) for number in range(THREADS)]
        for asker in askers:
            asker.start()
        changes = 0
        # On a slow machine until the answers have seen the policy move, however few they are.
        while changes < CHANGES or len({answer.revision for asker in askers for _, answer in [*asker.answers]}) <= 20:
            changes += 1
            changed = set(seed) - {chance.choice(removable)} if chance.random() < 0.3 else set(seed)
            await become(_random_rows(chance), changed)
        last = max(history)
        await reached(app, last)
        stop.set()
        for asker in askers:
            await asyncio.to_thread(asker.join)

    assert [failure for asker in askers for failure in asker.failures] == []
    oracles = {revision: Oracle(lines_of(held)) for revision, held in history.items()}
    known: dict[tuple, str] = {}
    answers = [answer for asker in askers for answer in asker.answers]
    for asked, answer in answers:
        key = (answer.revision, asked.user, asked.physician, asked.action, asked.channel)
        if key not in known:
            known[key] = oracles[answer.revision].reason(*key[1:4], mobile=asked.channel == pb.CHANNEL_MOBILE)
        assert pb.Reason.Name(answer.reason) == f"REASON_{known[key]}", key
        if asked.user == "loyal" and asked.channel == pb.CHANNEL_WEB and asked.action in ("claim:view", "claim:save"):
            assert answer.allowed  # nobody entitled is denied during a reload
    revisions = {answer.revision for _, answer in answers}
    assert len(revisions) > 20, "the answers did not see the policy move"
    print(f"{len(answers)} answers at {len(revisions)} revisions")
