"""What the two drivers do differently: lists used page by page, streams read, left in the middle, or cut off."""

import asyncio
import threading
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client import (
    AsyncAuditClient,
    AsyncSeedClient,
    AuditClient,
    ProtocolError,
    SeedClient,
    SeedTarget,
    ServiceUnavailable,
)
from policy_client._pb import audit_pb2 as pb
from policy_client._pb import seeds_pb2

from clients.python.tests.scripted import failing
from tests.support.patience import PATIENCE


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request, port):
    """Calls a method by name on either client; an iterator's items come as a list."""

    async def run(method: str, *arguments: Any, **options: Any) -> Any:
        seeds = hasattr(SeedClient, method)
        if request.param == "blocking":
            with (SeedClient if seeds else AuditClient)(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
                found = getattr(client, method)(*arguments, **options)
                return list(found) if hasattr(found, "__next__") else found
        async with (AsyncSeedClient if seeds else AsyncAuditClient)(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
            found = getattr(client, method)(*arguments, **options)
            return [item async for item in found] if hasattr(found, "__anext__") else await found

    return run


def entry(revision: int) -> pb.Change:
    return pb.Change(revision=revision, at=Timestamp(seconds=1))


async def test_pages_are_asked_for_as_they_are_used(script, port):
    script.answers = [
        pb.ListChangesResponse(changes=[entry(9), entry(8)], next_page_token="more"),
        pb.ListChangesResponse(changes=[entry(7)]),
    ]
    async with AsyncAuditClient(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
        found = client.changes(physician="dr-osei")
        assert script.asked == []
        assert [(await anext(found)).revision, (await anext(found)).revision] == [9, 8]
        assert len(script.asked) == 1
        assert [one.revision async for one in found] == [7]
    assert [(one.physician, one.page_token) for one in script.asked] == [("dr-osei", ""), ("dr-osei", "more")]


async def test_a_walk_tells_how_far_it_is_and_then_the_verdict(script, ask):
    progress = [pb.VerifyLogResponse(progress={"done": done, "total": 9}) for done in (5, 9)]
    script.answers = [[*progress, pb.VerifyLogResponse(verdict=pb.Verdict(whole=True, entries=9))]]
    told = []
    verdict = await ask("verify", ["kept"], progress=lambda part: told.append(part.done))
    assert (verdict.whole, verdict.entries, told, list(script.asked[0].against)) == (True, 9, [5, 9], ["kept"])
    script.answers = [progress]
    with pytest.raises(ProtocolError):
        await ask("verify")


async def test_a_plan_is_put_together_from_its_parts(script, ask):
    people = [seeds_pb2.Membership(user=user, physician="dr-osei") for user in "abc"]
    script.answers = [
        [
            seeds_pb2.PlanSeedResponse(progress={"done": 1, "total": 2}),
            seeds_pb2.PlanSeedResponse(plan=seeds_pb2.Plan(digest="d", groups=[seeds_pb2.ImpactGroup(count=2)])),
            seeds_pb2.PlanSeedResponse(plan=seeds_pb2.Plan(groups=[seeds_pb2.ImpactGroup(count=1)])),
            seeds_pb2.PlanSeedResponse(affected={"group": 0, "members": people[:2]}),
            seeds_pb2.PlanSeedResponse(affected={"group": 1, "members": people[2:]}),
        ]
    ]
    told = []
    plan = await ask("plan", SeedTarget(csv=""), list_all=True, progress=told.append)
    assert [[one.user for one in group.members] for group in plan.groups] == [["a", "b"], ["c"]]
    assert (plan.digest, [(part.done, part.total) for part in told]) == ("d", [(1, 2)])
    script.answers = [[]]
    with pytest.raises(ProtocolError):
        await ask("plan", SeedTarget(csv=""))


async def test_an_export_is_its_parts(script, ask):
    script.answers = [[seeds_pb2.ExportPolicyResponse(text=text, progress={"done": 1, "total": 2}) for text in "ab"]]
    assert await ask("seed") == "ab"
    assert [(text, part.total) for text, part in await ask("everything")] == [("a", 2), ("b", 2)]
    assert [one.form for one in script.asked] == [seeds_pb2.POLICY_FORM_SEED, seeds_pb2.POLICY_FORM_EVERYTHING]


@pytest.mark.parametrize("method", ["everything", "changes"])
async def test_what_breaks_on_the_way_is_an_error_of_the_clients(script, ask, method):
    script.answers = [failing(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")]
    with pytest.raises(ServiceUnavailable):
        await ask(method)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_stream_is_not_given_a_time_that_cannot_be(script, ask, seconds):
    with pytest.raises(ValueError, match="timeout"):
        await ask("everything", timeout=seconds)
    assert script.asked == []


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
async def test_who_stops_in_the_middle_leaves_nothing_running(script, port, kind):
    ended = threading.Event()

    def endless(context: grpc.ServicerContext) -> Any:
        context.add_callback(ended.set)
        yield seeds_pb2.ExportPolicyResponse(text="a")
        assert ended.wait(PATIENCE)

    script.answers = [endless]
    if kind == "blocking":
        with SeedClient(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
            parts = client.everything()
            assert next(parts)[0] == "a"
            parts.close()
            assert await asyncio.to_thread(ended.wait, PATIENCE)
    else:
        async with AsyncSeedClient(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
            parts = client.everything()
            assert (await anext(parts))[0] == "a"
            await parts.aclose()
            assert await asyncio.to_thread(ended.wait, PATIENCE)
