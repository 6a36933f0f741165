"""A client carried over a fork: both sides go on, or are told at once why not. Each story is a program of its own."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from policy_client._pb import decision_pb2 as pb

COMMON = """
import os, sys, threading, time
from policy_client import *

QUESTION = ("mia", "dr-osei", "claim:view")


def in_child(story):
    "The exit status of a child that runs it; 99 if it is not over in time."
    pid = os.fork()
    if pid == 0:
        try:
            story()
            os._exit(0)
        except BaseException as fault:
            print(type(fault).__name__, fault, file=sys.stderr, flush=True)
            os._exit(3)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (ended := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(ended[1])
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return 99

"""


@pytest.fixture(scope="module")
def target():
    """A service in this process, which never forks while it is asked; the programs under test do."""

    def check(request, context):
        return pb.CheckResponse(allowed=True, reason=pb.REASON_GRANTED, revision=1, decision_id="d")

    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.unary_unary_rpc_method_handler(
        check, request_deserializer=pb.CheckRequest.FromString, response_serializer=pb.CheckResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("policy.v1.DecisionService", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def run(target: str, story: str, **more: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POLICY_", "GRPC_"))}
    done = subprocess.run(
        [sys.executable, "-c", COMMON + story],
        env={**kept, "POLICY_DECISION_ADDRESS": target, "PYTHONPATH": os.pathsep.join(sys.path), **more},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_a_client_that_was_used_before_a_fork_works_on_both_sides(target):
    story = """
client = PolicyClient()
for _ in range(3):
    assert client.check(*QUESTION)
    assert in_child(lambda: client.check(*QUESTION)) == 0
    assert client.check(*QUESTION)
"""
    run(target, story)


def test_a_client_made_at_import_is_used_in_each_worker_and_in_theirs(target):
    story = """
client = PolicyClient()

def worker():
    assert client.check(*QUESTION)
    assert in_child(lambda: client.check(*QUESTION)) == 0
    assert client.check(*QUESTION)

for _ in range(2):
    assert in_child(worker) == 0
"""
    run(target, story)


def test_a_worker_of_multiprocessing_has_its_own_channel_and_ends(target):
    story = """
import multiprocessing
client = PolicyClient()

def ask(_):
    return bool(client.check(*QUESTION))

assert client.check(*QUESTION)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(ask, range(8)) == [True] * 8
    assert client.check(*QUESTION)
"""
    run(target, story)


def test_threads_that_ask_meanwhile_are_not_disturbed(target):
    story = """
client, done, faults, asked = PolicyClient(), threading.Event(), [], [0] * 4

def ask(place):
    while not done.is_set():
        try:
            assert client.check(*QUESTION, timeout=30)
            asked[place] += 1
        except BaseException as fault:
            faults.append(fault)

threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
for thread in threads:
    thread.start()
for _ in range(5):
    assert in_child(lambda: client.check(*QUESTION, timeout=20)) == 0
before = list(asked)
while not faults and any(now == then for now, then in zip(asked, before)):
    time.sleep(0.001)
done.set()
for thread in threads:
    thread.join()
assert not faults, faults
"""
    run(target, story)


def test_a_client_closed_in_the_child_stays_open_in_the_parent(target):
    story = """
with PolicyClient() as client:
    assert client.check(*QUESTION)
    assert in_child(client.close) == 0
    assert client.check(*QUESTION)
"""
    run(target, story)


def test_a_child_whose_parent_has_grpc_at_work_is_told_so_at_once(target):
    """An asyncio client's loop cannot be stopped from outside; the child would wait for ever, past any deadline."""
    story = """
import asyncio
blocking = PolicyClient()

def told(kind):
    try:
        asyncio.run(AsyncPolicyClient().check(*QUESTION)) if kind else blocking.check(*QUESTION)
    except ClientNotUsable as fault:
        assert fault.reason == "FORKED", fault.reason
        assert "GRPC_ENABLE_FORK_SUPPORT" in str(fault)
    else:
        raise AssertionError("answered")

async def main():
    async with AsyncPolicyClient() as client:
        assert await client.check(*QUESTION)
        for kind in (False, True):
            assert in_child(lambda: told(kind)) == 0
        assert await client.check(*QUESTION)

asyncio.run(main())
"""
    run(target, story)


def test_with_grpcs_own_handling_of_forks_a_blocking_client_works_too(target):
    story = """
client = PolicyClient()
for _ in range(3):
    assert client.check(*QUESTION)
    assert in_child(lambda: client.check(*QUESTION)) == 0
"""
    run(target, story, GRPC_ENABLE_FORK_SUPPORT="1")


def test_an_asyncio_client_made_before_the_fork_and_used_after_it_works(target):
    story = """
import asyncio
client = AsyncPolicyClient()
for _ in range(2):
    assert in_child(lambda: asyncio.run(client.check(*QUESTION))) == 0
"""
    run(target, story)
