"""ATTACKS 19, 37, 41: a flood of refusals or of lists is slowed by its own backpressure; a good caller beside it is not.

What is counted is calls, held against the time that went by: a slow machine
answers fewer, and none of these fails on it.
"""

import asyncio
import dataclasses
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from policy_service import metrics
from policy_service.app import open_app
from policy_service.errors import InvalidRequest, Kind, LimitReached, PolicyError
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.replicate.errors import RevisionNotReached
from policy_service.rpc import spending
from policy_service.rpc.errors import RateLimited, TooManyCalls, TooManyQuestions
from policy_service.rpc.room import Room
from policy_service.rpc.share import Share
from policy_service.rpc.slowing import LONGEST_SECONDS, Slowing
from policy_service.rpc.spending import Spending, Turns
from policy_service.rpc.status import refusal
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, Wire

pytestmark = pytest.mark.over_tls

IN_FLIGHT = 16
NOW = datetime(2026, 11, 28, tzinfo=UTC)
GOOD_CALLS = 60


class Clock:
    """A time that is ours."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_refusals_within_the_budget_wait_for_nothing_and_those_beyond_it_for_their_turn():
    slowing = Slowing(16.0, clock := Clock())
    waits = [slowing.wait("billing") for _ in range(20)]
    assert waits == [0, 0, 0, 0, *(number / 16 for number in range(1, 17))]
    assert [slowing.wait("billing") for _ in range(100)] == [LONGEST_SECONDS] * 100
    assert slowing.wait("reports") == 0
    # However long a flood was, two quiet seconds make up for it.
    clock.now += 2
    assert slowing.wait("billing") == 0


def test_one_refusal_comes_at_once_however_small_the_budget():
    slowing = Slowing(0.01, Clock())
    assert [slowing.wait("billing") for _ in range(3)] == [0, LONGEST_SECONDS, LONGEST_SECONDS]


def test_callers_that_owe_nothing_are_forgotten():
    slowing = Slowing(4.0, clock := Clock())
    for number in range(5_000):
        slowing.wait(f"caller-{number}")
        clock.now += 1
    assert len(slowing._paid_until) < 2_000


def test_an_answer_about_the_world_or_the_replica_is_never_held():
    slowing, room = Slowing(0.01, Clock()), Room("calls", most=1, most_of_one=1, patience=5.0)
    for _ in range(50):
        slowing.hold(RevisionNotReached(wanted=2, reached=1), "billing", "here", room)


def test_what_is_held_gives_its_place_to_whoever_wants_it():
    slowing, room = Slowing(0.01), Room("calls", most=2, most_of_one=2, patience=60.0)
    slowing.wait("billing")
    held = [
        threading.Thread(target=slowing.hold, args=(InvalidRequest(violations=()), "billing", "there", room))
        for _ in range(2)
    ]
    for thread in held:
        thread.start()
    entered = 0
    # Of two that are held, one at least stands aside for each that comes from elsewhere, until both have.
    while any(thread.is_alive() for thread in held):
        try:
            with room.enter("reports", "here", lambda: None) as place:
                place.heard()
                entered += 1
        except TooManyCalls:
            time.sleep(0)
    assert entered


def test_time_within_a_part_of_a_core_is_spent_freely_and_then_made_up_for(monkeypatch):
    monkeypatch.setattr(spending, "_CALL_SECONDS", 0.0)
    ours = Spending(0.5, clock := Clock())
    for _ in range(10):
        assert ours.wait("billing") == 0
        ours.charge("billing", spending._SAVED_SECONDS / 10)
    ours.charge("billing", 0.05)
    assert ours.wait("billing") == pytest.approx(0.1)
    assert ours.wait("reports") == 0
    clock.now += 0.05
    assert ours.wait("billing") == pytest.approx(0.05)
    ours.charge("billing", 3_600)
    assert ours.wait("billing") == pytest.approx(spending.LONGEST_SECONDS)


async def test_of_a_call_on_the_loop_its_steps_count_and_its_waiting_does_not():
    seen = list[float]()

    class Told(Spending):
        def charge(self, _who, seconds):
            seen.append(seconds)

    async def waits(request: object, caller: str) -> str:
        await asyncio.sleep(0.05)
        return f"{caller} asked {request}"

    async def works(request: object, caller: str) -> str:
        for _ in range(2):
            until = time.thread_time() + 0.01
            while time.thread_time() < until:
                pass
            await asyncio.sleep(0)
        raise RateLimited(limit="x", most=1)

    turns = Turns(Told(0.5))
    assert await turns.within("ListMembers", waits)("this", "billing") == "billing asked this"
    with pytest.raises(RateLimited):
        await turns.within("ListMembers", works)("this", "billing")
    waited, worked = seen
    assert waited < 0.02 <= worked


async def test_a_call_that_is_given_up_on_the_loop_is_ended_and_its_turn_is_the_next_ones():
    turns, ended, began = Turns(Spending(0.5, Clock())), [], asyncio.Event()

    async def never(_request: object, _caller: str) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("never")

    async def soon(_request: object, _caller: str) -> str:
        return "soon"

    # In debt, so that one goes after the other.
    turns._spending.charge(("billing", "ListMembers"), 0.06)
    first = asyncio.ensure_future(turns.within("ListMembers", never)("", "billing"))
    second = asyncio.ensure_future(turns.within("ListMembers", soon)("", "billing"))
    await began.wait()
    assert not second.done()
    first.cancel()
    assert await second == "soon"
    assert ended == ["never"]


def test_of_the_places_for_lists_one_caller_leaves_some_to_the_others():
    go_on = threading.Event()
    share = Share(4, Spending(0.5), tells_callers_apart=True)
    answer = share.within(lambda _request, caller: go_on.wait(60) and caller)
    answers = list[object]()
    threads = [threading.Thread(target=lambda: answers.append(answer("", "greedy"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while share._in_hand["greedy"] < 3:
        time.sleep(0)
    with pytest.raises(TooManyQuestions, match="limit: explanations and lists of one caller; most: 3"):
        answer("", "greedy")
    threads.append(threading.Thread(target=lambda: answers.append(answer("", "modest"))))
    threads[-1].start()
    while share._in_hand["modest"] < 1:
        time.sleep(0)
    with pytest.raises(TooManyQuestions, match="limit: explanations and lists; most: 4"):
        answer("", "third")
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["greedy", "greedy", "greedy", "modest"]
    assert not share._in_hand
    assert not share._turns


def every_refusal(of: type[PolicyError] = PolicyError) -> list[type[PolicyError]]:
    """All kinds of them, the service's rooms having been imported."""
    return [of, *itertools.chain.from_iterable(every_refusal(one) for one in of.__subclasses__())]


LIMITS = [error for error in every_refusal() if error.kind is Kind.EXHAUSTED and error is not LimitReached]


@pytest.mark.parametrize("error", LIMITS, ids=lambda error: error.reason)
def test_a_refusal_by_a_limit_names_it_and_says_when_to_come_again(error: type[PolicyError]):
    facts = {"physician": "dr-a", "user": "olive", "of": "address", "again_at": NOW, "wait": timedelta(hours=1)}
    taken = {one.name for one in dataclasses.fields(error)}
    made = error(limit="x", most=1, **{name: fact for name, fact in facts.items() if name in taken})
    code, message, status = refusal(made)
    assert code.name == "RESOURCE_EXHAUSTED"
    assert "limit: x; most: 1" in message
    assert b"google.rpc.RetryInfo" in status


async def beside(flood: Callable[[], Awaitable[object]], good: Callable[[], Awaitable[object]]) -> tuple[int, float]:
    """The calls of a flood that came back while a good caller had its own answered, and how long that took."""
    came_back, done = 0, asyncio.Event()

    async def floods() -> None:
        nonlocal came_back
        while not done.is_set():
            try:
                await flood()
            except Refused as error:
                assert error.reason in {"INVALID_REQUEST", "TOO_MANY_QUESTIONS"}
            came_back += 1

    began = asyncio.get_running_loop().time()
    flooding = [asyncio.create_task(floods()) for _ in range(IN_FLIGHT)]
    for _ in range(GOOD_CALLS):
        await good()
    took, found = asyncio.get_running_loop().time() - began, came_back
    done.set()
    await asyncio.gather(*flooding)
    return found, took


PLANES = {
    "decision": ("Check", pb.CheckRequest(user=" ", physician="dr-a", action="claim:view")),
    "management": ("ListMembers", mu.ListMembersRequest(actor=" ", physician="dr-a")),
}
GOOD = {
    "decision": ("Check", pb.CheckRequest(user="olive", physician="dr-a", action="claim:view")),
    "management": ("GetPermissions", mu.GetPermissionsRequest(actor="olive", physician="dr-a", username="olive")),
}
LISTS = {
    "decision": ("ListActions", pb.ListActionsRequest(user="olive", physician="dr-a")),
    "management": ("ListMembers", mu.ListMembersRequest(actor="olive", physician="dr-a")),
}


@pytest.mark.parametrize("plane", PLANES)
async def test_a_flood_of_refusals_is_slowed_and_a_good_caller_is_served(store, database, seed, plane):
    await install.install_first(store, seed, SHIPPED_MODEL)
    rate = 5.0
    async with open_app(settings_for(database, refusals_per_second=rate)) as app:
        await reached(app, await register(app, "dr-a", "olive"))
        port = getattr(app.planes, f"{plane}_port")
        async with Wire(port) as bad, Wire(port) as good:
            held = metrics.refusals_held._value.get
            before = held()
            with pytest.raises(Refused, match="INVALID_REQUEST"):
                await bad(*PLANES[plane])
            assert held() == before, "within the budget"
            count, seconds = await beside(lambda: bad(*PLANES[plane]), lambda: good(*GOOD[plane]))
    assert held() > before
    assert count <= rate * (1 + seconds) + IN_FLIGHT * (1 + seconds / LONGEST_SECONDS)


@pytest.mark.parametrize("plane", PLANES)
async def test_a_flood_of_lists_is_slowed_and_a_good_caller_is_served(store, database, seed, monkeypatch, plane):
    await install.install_first(store, seed, SHIPPED_MODEL)
    # Nothing is saved up, and each takes so long to make up for that it waits as long as any may.
    monkeypatch.setattr(spending, "_SAVED_SECONDS", 0.0)
    monkeypatch.setattr(spending, "_CALL_SECONDS", 1.0)
    rate = 5.0
    async with open_app(settings_for(database, list_threads=1, refusals_per_second=rate)) as app:
        await reached(app, await register(app, "dr-a", "olive"))
        port = getattr(app.planes, f"{plane}_port")
        numbers = itertools.count()

        async def good() -> None:
            if plane == "decision":
                assert (await wire.check("olive", "dr-a", "claim:view")).allowed
            else:
                new = f"dr-{next(numbers)}"
                await wire(
                    "RegisterPhysician", mu.RegisterPhysicianRequest(actor="olive", physician=new, owner="olive")
                )

        async with Wire(port) as bad, Wire(port) as wire:
            count, seconds = await beside(lambda: bad(*LISTS[plane]), good)
    # Those that came together before the first was charged, one in each of the longest waits, and what was refused.
    assert count <= rate * (1 + seconds) + IN_FLIGHT * (1 + seconds / LONGEST_SECONDS)
