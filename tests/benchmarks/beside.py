"""A good caller beside an attack: how long its calls take, undisturbed and while somebody floods."""

import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import Message

from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.benchmarks import population
from tests.benchmarks.cold import p99
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Server, Workbench
from tests.support.actions import OWNER_ONLY, Action

MOST_TIMES = 5.0
"""How many times as long the 99th percentile may be."""
IN_FLIGHT = 64
OWNER, LARGE = "beside-owner", "beside-large"
_DECISIONS, _USERS = "/policy.v1.DecisionService/", "/policy.v1.ManageUsersService/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What floods, and who is a good caller beside it."""

    name: str
    what: str
    path: str
    bodies: Sequence[Message]
    good_path: str
    good: Message


def measure(bench: Workbench) -> Iterator[Figure]:
    """Each attack and the good caller without it in turn, in one process, so that both meet the same machine."""
    count = bench.sizes.roles
    with bench.serving("service", bench.sizes.small) as server:
        bench.say(f"an account of {count} roles")
        prepare(server, count)
        for attack in attacks(count):
            alone, disturbed = list[float](), list[float]()
            for _ in range(bench.sizes.rounds):
                alone += latencies(server, attack, bench.sizes.changes * 2)
                with flooding(server, attack):
                    disturbed += latencies(server, attack, bench.sizes.changes * 2)
            bench.say(f"{attack.what}: p99 {p99(disturbed):.1f} ms, alone {p99(alone):.1f} ms")
            yield Figure(
                name=f"beside_{attack.name}",
                what=f"{attack.good_path.rpartition('/')[2]} beside {attack.what}, 99th percentile",
                value=p99(disturbed),
                unit="ms",
                beside_what="undisturbed",
                beside=p99(alone),
                within=MOST_TIMES,
            )


def attacks(roles: int) -> Iterator[Attack]:
    """Those on what one caller's work costs the others."""
    check = population.question(0, 0, "claim:view")
    page = mu.ListMembersRequest(actor=OWNER, physician="beside-good")
    stranger = pb.CheckRequest(user="nobody", physician=LARGE, action="user:revoke")
    yield Attack(
        name="explain",
        what=f"{IN_FLIGHT} Explains at once, each of {roles} roles",
        path=_DECISIONS + "Explain",
        bodies=[pb.ExplainRequest(check=stranger)],
        good_path=_DECISIONS + "Check",
        good=check,
    )
    yield Attack(
        name="lists",
        what=f"{IN_FLIGHT} ListUsers at once",
        path=_DECISIONS + "ListUsers",
        bodies=[pb.ListUsersRequest(physician=LARGE, action="claim:view")],
        good_path=_DECISIONS + "Check",
        good=check,
    )
    empties = mu.Permissions(roles=[""] * 400_000)
    yield Attack(
        name="empties",
        what="InviteUser with 400,000 empty texts, 4 at a time",
        path=_USERS + "InviteUser",
        bodies=[
            mu.InviteUserRequest(actor=OWNER, physician=LARGE, username="x", email="x@y.example", permissions=empties)
        ],
        good_path=_USERS + "ListMembers",
        good=page,
    )
    yield Attack(
        name="roles",
        what=f"ListRoles of {roles} roles, 4 at a time",
        path=_USERS + "ListRoles",
        bodies=[mu.ListRolesRequest(actor=OWNER, physician=LARGE)],
        good_path=_USERS + "ListMembers",
        good=page,
    )


def prepare(server: Server, roles: int) -> None:
    """An account with so many roles, and a small one."""
    choice = [action for action in Action if action not in OWNER_ONLY]
    with grpc.insecure_channel(f"127.0.0.1:{server.management_port}") as channel:
        for physician in (LARGE, "beside-good"):
            request: Message = mu.RegisterPhysicianRequest(actor=OWNER, physician=physician, owner=OWNER)
            channel.unary_unary(_USERS + "RegisterPhysician")(request.SerializeToString(), wait_for_ready=True)
        for number in range(roles):
            allow = [action for place, action in enumerate(choice) if (number + 1) >> place & 1]
            definition = mu.RoleDefinition(allow=allow)
            request = mu.CreateRoleRequest(actor=OWNER, physician=LARGE, role=f"r{number}", definition=definition)
            channel.unary_unary(_USERS + "CreateRole")(request.SerializeToString(), timeout=60)


@contextmanager
def flooding(server: Server, attack: Attack) -> Iterator[None]:
    """The attack goes on, from a process of its own, for as long as the block."""
    is_decision = attack.path.startswith(_DECISIONS)
    port, in_flight = (server.port, IN_FLIGHT) if is_decision else (server.management_port, 4)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(pickle.dumps([body.SerializeToString() for body in attack.bodies]))
        command = [sys.executable, "-m", "tests.benchmarks.flood", str(port), attack.path, file.name, str(in_flight)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if process.stdout.readline() != "flooding\n":
            raise RuntimeError(f"the flood of {attack.path} did not begin")
        try:
            yield
        finally:
            process.communicate(timeout=60)


def latencies(server: Server, attack: Attack, count: int) -> list[float]:
    """Milliseconds for each call of the good caller, one after another; raises if one is not answered."""
    port = server.port if attack.good_path.startswith(_DECISIONS) else server.management_port
    body, found = attack.good.SerializeToString(), []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(attack.good_path)
        call(body, wait_for_ready=True, timeout=60)
        for _ in range(count):
            began = time.perf_counter()
            call(body, timeout=60)
            found.append((time.perf_counter() - began) * 1e3)
    return found
