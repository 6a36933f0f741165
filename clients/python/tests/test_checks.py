"""What a client of checks does on request: it asks a second time where an answer is late, and remembers a while."""

import asyncio
import os
import threading
from typing import Any

import grpc
import pytest
from policy_client import (
    AsyncPolicyClient,
    DeadlineExceeded,
    Decision,
    PolicyClient,
    PolicyError,
    Question,
    Reason,
    Remember,
    Revision,
    memory,
)
from policy_client._pb import decision_pb2 as pb
from policy_client.memory import Memory
from policy_client.testing import FakePolicyService

from clients.python.tests.scripted import Scripted, failing
from clients.python.tests.test_addresses import ALLOWED, LOCAL, QUESTION, hang
from tests.support.patience import PATIENCE


@pytest.fixture
def servers():
    """Three that answer yes, and their addresses."""
    scripts = [Scripted(), Scripted(), Scripted()]
    started = []
    for script in scripts:
        script.answers = [ALLOWED]
        started.append(script.start())
    yield scripts, [f"127.0.0.1:{port}" for _, port in started]
    for server, _ in started:
        server.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
async def client(request):
    """Opens either client; what is called on it is awaited."""
    opened: list[Any] = []

    class Asked:
        def __init__(self, target: Any, **options: Any) -> None:
            kind = PolicyClient if request.param == "blocking" else AsyncPolicyClient
            self.client = kind(target, **{"timeout": PATIENCE, "options": LOCAL, **options})
            opened.append(self.client)

        async def __call__(self, method: str, *given: Any, **named: Any) -> Any:
            # On a thread, so that the test can go on beside it.
            if request.param == "blocking":
                return await asyncio.to_thread(getattr(self.client, method), *given, **named)
            return await getattr(self.client, method)(*given, **named)

    yield Asked
    for one in opened:
        closing = one.close()
        if request.param == "asyncio":
            await closing


async def test_a_late_check_is_asked_elsewhere_and_the_first_answer_is_taken(servers, client):
    scripts, addresses = servers
    ended = threading.Event()

    def late(context: grpc.ServicerContext) -> Any:
        context.add_callback(ended.set)
        return hang(context)

    scripts[0].answers = [late]
    ask = client(addresses, hedge_after=0.05)
    ask.client._turns.clock = lambda: 0.0
    assert (await ask("check", *QUESTION)).decision_id == "d-1"
    assert [len(script.asked) for script in scripts] == [1, 1, 0]
    assert await asyncio.to_thread(ended.wait, PATIENCE), "the attempt that lost runs on"
    assert all(0 < left <= PATIENCE + 1 for script in scripts for left in script.deadlines)
    for _ in range(4):
        await ask("check", *QUESTION)
    assert len(scripts[0].asked) == 1, "who is late is not asked first for a while"


async def test_a_late_check_is_asked_again_at_the_only_address(servers, client):
    scripts, addresses = servers
    scripts[0].answers = [hang, ALLOWED]
    assert await client(addresses[0], hedge_after=0.05)("check", *QUESTION)
    assert len(scripts[0].asked) == 2


async def test_only_a_late_check_is_asked_twice(servers, client):
    scripts, addresses = servers
    ask = client(addresses, hedge_after=PATIENCE)
    for _ in range(6):
        await ask("check", *QUESTION)
    assert [len(script.asked) for script in scripts] == [2, 2, 2]
    for script in scripts:
        script.answers = [hang]
    for late, more in (("what_can", ("mia", "dr-osei")), ("check_many", ([Question(*QUESTION)],))):
        with pytest.raises(DeadlineExceeded):
            await client(addresses, hedge_after=0.01)(late, *more, timeout=0.4)
    assert sum(len(script.asked) for script in scripts) <= 6 + 2


async def test_an_attempt_that_fails_does_not_take_the_other_one_along(servers, client):
    scripts, addresses = servers
    both, there, answer = threading.Barrier(2, timeout=PATIENCE), threading.Event(), threading.Event()

    def fails(context: grpc.ServicerContext) -> Any:
        both.wait()
        failing(grpc.StatusCode.UNAVAILABLE)(context)

    def answers(_: grpc.ServicerContext) -> Any:
        both.wait()
        there.set()
        assert answer.wait(PATIENCE)
        return ALLOWED

    scripts[0].answers, scripts[1].answers = [fails], [answers]
    asked = asyncio.create_task(client(addresses[:2], hedge_after=0.02)("check", *QUESTION))
    assert await asyncio.to_thread(there.wait, PATIENCE)
    answer.set()
    assert await asked


async def test_where_both_attempts_fail_a_third_is_asked_and_an_end_comes(servers, client):
    scripts, addresses = servers
    for script in scripts[:2]:
        script.answers = [failing(grpc.StatusCode.UNAVAILABLE)]
    assert await client(addresses, hedge_after=0.02)("check", *QUESTION)
    for script in scripts:
        script.answers = [hang]
    with pytest.raises(DeadlineExceeded):
        await client(addresses, hedge_after=0.02)("check", *QUESTION, timeout=0.5)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "soon", True])
def test_when_to_hedge_is_a_time(seconds):
    with pytest.raises((ValueError, TypeError), match="hedge_after"):
        PolicyClient("127.0.0.1:1", hedge_after=seconds)


@pytest.mark.parametrize("given", [{"seconds": 0}, {"seconds": 11}, {"seconds": 1, "most": 0}, {"seconds": "1"}])
def test_what_is_remembered_is_bounded(given):
    with pytest.raises((ValueError, TypeError)):
        Remember(**given)
    with pytest.raises(TypeError, match="remember"):
        PolicyClient("127.0.0.1:1", remember=2)


@pytest.fixture
def clock(monkeypatch):
    at = [100.0]
    monkeypatch.setattr(memory, "now", lambda: at[0])
    for module in ("checks", "checks_async"):
        monkeypatch.setattr(f"policy_client.{module}.now", lambda: at[0])
    return at


@pytest.fixture
def fake():
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        fake.grant("mia", "dr-osei", "data_entry")
        yield fake


async def test_nothing_is_remembered_unless_asked_for(fake, client):
    ask = client(fake.decision_target)
    assert not [found for found in [await ask("check", *QUESTION) for _ in range(3)] if found.cached]
    assert len(fake.decisions) == 3


async def test_an_answer_is_remembered_for_its_time_and_marked(fake, client, clock):
    ask = client(fake.decision_target, remember=Remember(seconds=2))
    first = await ask("check", *QUESTION)
    clock[0] += 1.9
    again = await ask("require", *QUESTION)
    assert (first.cached, again.cached, again.decision_id) == (False, True, first.decision_id)
    assert (again.allowed, again.role, again.token) == (first.allowed, first.role, first.token)
    clock[0] += 0.2
    assert not (await ask("check", *QUESTION)).cached, "its age counts from when it was asked for"
    assert len(fake.decisions) == 2


async def test_another_question_is_another_answer(fake, client, clock):
    """Also where the names would be one when joined."""
    ask = client(fake.decision_target, remember=Remember(seconds=2))
    await ask("check", "mia", "dr-osei", "claim:view")
    for other in (("mi", "adr-osei", "claim:view"), ("ama", "dr-osei", "claim:view"), ("mia", "dr-osei", "claim:save")):
        assert not (await ask("check", *other)).cached
    assert not (await ask("check", *QUESTION, channel="mobile")).cached
    # What is for the decision log is asked, and does not change what is remembered.
    assert not (await ask("check", *QUESTION, resource="claim/c1")).cached
    assert not (await ask("check", *QUESTION, correlation_id="c-1")).cached
    assert (await ask("check", *QUESTION)).cached


async def test_a_newer_revision_in_any_answer_ends_what_was_remembered(fake, client, clock):
    ask = client(fake.decision_target, remember=Remember(seconds=2))
    others = [
        ("check", "ama", "dr-osei", "claim:view"),
        ("check_many", [Question("ama", "dr-osei", "claim:view")]),
        ("what_can", "ama", "dr-osei"),
        ("actions",),
        ("who_can", "claim:view", "dr-osei"),
        ("where_can", "ama"),
        ("explain", "ama", "dr-osei", "claim:view"),
    ]
    for number, (method, *given) in enumerate(others):
        clock[0] += 5
        await ask("check", *QUESTION)
        assert (await ask("check", *QUESTION)).cached
        fake.grant(f"somebody-{number}", "dr-osei", "data_entry")
        await ask(method, *given)
        assert not (await ask("check", *QUESTION)).cached, method


async def test_a_write_is_seen_with_its_revision_at_once(fake, client, clock):
    from policy_client import ManageUsersClient

    ask = client(fake.decision_target, remember=Remember(seconds=2))
    assert await ask("check", *QUESTION)
    with ManageUsersClient(fake.management_target, timeout=PATIENCE) as manage:
        revision = manage.revoke_access("ama", "dr-osei", "mia")
    late = await ask("check", *QUESTION)
    assert (late.allowed, late.cached) == (True, True), "this is what remembering means"
    assert not await ask("check", *QUESTION, min_revision=revision)
    assert not await ask("check", *QUESTION)


async def test_denials_of_unknown_names_are_not_remembered_nor_are_errors(fake, client, clock):
    ask = client(fake.decision_target, remember=Remember(seconds=2))
    for question in (("nobody", "dr-osei", "claim:view"), ("mia", "dr-none", "claim:view"), ("mia", "dr-osei", "a:b")):
        assert not await ask("check", *question)
        found = await ask("check", *question)
        assert not found.cached, found.reason
    assert not await ask("check", "mia", "dr-osei", "invoice:pay")
    found = await ask("check", "mia", "dr-osei", "invoice:pay")
    assert (found.cached, found.reason) == (True, Reason.NOT_GRANTED)
    fake.go_away()
    assert await ask("check", "mia", "dr-osei", "invoice:pay") is not None
    clock[0] += 3
    for _ in range(2):
        with pytest.raises(PolicyError):
            await ask("check", "mia", "dr-osei", "invoice:pay")
    for wrong in ({"timeout": -1}, {"channel": "fax"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            await ask("check", *QUESTION, **wrong)


def decision(revision: int, history: str = "a" * 16) -> Decision:
    return Decision(
        allowed=True, reason=Reason.GRANTED, revision=Revision(revision, history), decision_id="d", role=None
    )


def test_only_so_many_are_kept_and_the_longest_unused_goes(clock):
    kept = Memory(Remember(seconds=2, most=3))
    kept.saw(Revision(7, "a" * 16))
    questions = [Question(f"user-{number}", "dr-osei", "claim:view") for number in range(4)]
    for question in questions[:3]:
        kept.keep(question, decision(7), clock[0])
    assert kept.find(questions[0])
    kept.keep(questions[3], decision(7), clock[0])
    assert [bool(kept.find(question)) for question in questions] == [True, False, True, True]
    for number in range(1_000):
        kept.keep(Question(f"more-{number}", "dr-osei", "claim:view"), decision(7), clock[0])
    assert len(kept) == 3


def test_what_a_replica_behind_or_another_history_answers_is_not_kept(clock):
    kept, question = Memory(Remember(seconds=2)), Question(*QUESTION)
    kept.saw(Revision(7, "a" * 16))
    kept.keep(question, decision(6), clock[0])
    assert kept.find(question) is None
    kept.keep(question, decision(7), clock[0])
    kept.saw(Revision(6, "a" * 16))
    assert kept.find(question), "an older answer says nothing new"
    # Restored from a backup: the numbers begin again lower.
    kept.saw(Revision(3, "b" * 16))
    assert kept.find(question) is None
    kept.keep(question, decision(7), clock[0])
    assert kept.find(question) is None
    kept.keep(question, decision(3, "b" * 16), clock[0])
    asked = [Revision(3, "b" * 16), 3, Revision(2, "a" * 16), 4]
    found = [kept.find(Question(*QUESTION, min_revision=wanted)) is not None for wanted in asked]
    assert found == [True, True, False, False]


def test_a_forked_process_remembers_for_itself(fake):
    with PolicyClient(fake.decision_target, timeout=PATIENCE, remember=Remember(seconds=10)) as policy:
        assert policy.check(*QUESTION)
        kept = policy._memory
        assert kept is not None
        with kept._lock:
            child = os.fork()
            if child == 0:
                # Somebody held the lock, and is not here.
                os._exit(0 if policy._memory is not kept and len(policy._memory or ()) == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert policy.check(*QUESTION).cached


def test_time_also_passes_while_the_machine_sleeps(monkeypatch):
    import time

    monkeypatch.setattr(time, "clock_gettime", lambda clock: (clock, time.CLOCK_BOOTTIME))
    assert memory.now() == (time.CLOCK_BOOTTIME, time.CLOCK_BOOTTIME)
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert isinstance(memory.now(), float)


def test_the_wire_has_what_memory_reads_of_every_answer():
    """What a new answer does not tell could not end what is remembered."""
    service = pb.DESCRIPTOR.services_by_name["DecisionService"]
    for method in service.methods:
        answer = method.output_type
        if method.name == "Explain":
            answer = answer.fields_by_name["decision"].message_type
        assert {"revision", "history"} <= {*answer.fields_by_name}, method.name
