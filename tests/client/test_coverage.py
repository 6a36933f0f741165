"""Every call of the contract is in both clients, in the command and in the fake; nobody keeps a list of them.

Methods are really called, with arguments made for their types, and what arrives at a server says which call they are.
"""

import ast
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any, get_type_hints

import grpc
import policy_client
import pytest
import typer
from policy_client import PolicyError, Question, Revision, RoleDefinition, SeedPlan, SeedTarget, WrongAddress
from policy_client.reviews import Point
from policy_client.testing import FakePolicyService

from clients.python.tests.scripted import SERVICES, Scripted, failing
from policy_service.cli.main import app
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
CONTRACT = {
    method.input_type.full_name: f"{service.name}/{method.name}" for service in SERVICES for method in service.methods
}
"""The message that asks, and what for."""
BLOCKING = [
    getattr(policy_client, name) for name in sorted(policy_client.__all__) if re.fullmatch(r"(?!Async)\w+Client", name)
]

NOT_IN_THE_COMMAND = {
    "SeedService/LintSeed": "'seed lint' judges a file by the same rules without a service, so that it works anywhere"
}
NOT_IN_THE_FAKE = {
    "SeedService": "ops' own tools ask it, not the programs that the fake is for; 'seed plan --against' needs no service",
    "AuditService": "what it tells is the store's history, hash chained and signed: a fake one would prove nothing",
}

OF_TYPE: dict[Any, object] = {
    str: "dr-osei",
    Point: 1,
    Iterable[Question]: [Question("mia", "dr-osei", "claim:view")],
    RoleDefinition: RoleDefinition(allow=("claim:view",)),
    SeedTarget: SeedTarget(csv=""),
    SeedPlan: SeedPlan(
        revision=Revision(1), digest="", added=(), removed=(), groups=(), users=0, physicians=0, guarded=()
    ),
}
BESIDES: dict[str, dict[str, object]] = {"period": {"physician": "dr-osei"}}
"""What a method wants that its types do not say."""


def asyncio_twin(client: type) -> type:
    return getattr(policy_client, f"Async{client.__name__}")


def methods(client: type) -> dict[str, Any]:
    """What a service's client adds to its driver."""
    return {name: one for name, one in vars(client).items() if inspect.isfunction(one) and not name.startswith("_")}


def arguments(method: Any) -> dict[str, object]:
    types, wanted = get_type_hints(method), list(inspect.signature(method).parameters.values())[1:]
    made = {one.name: OF_TYPE[types[one.name]] for one in wanted if one.default is inspect.Parameter.empty}
    return made | BESIDES.get(method.__name__, {})


async def outcome(client: Any, name: str) -> Exception | None:
    """What calling a method raised, read to its end."""
    method = getattr(client, name)
    try:
        found = method(**arguments(method.__func__))
        if isinstance(found, Iterator):
            list(found)
        elif isinstance(found, AsyncIterator):
            async for _ in found:
                pass
        elif inspect.isawaitable(found):
            await found
    except (PolicyError, policy_client.AccessDenied) as raised:
        return raised
    return None


@pytest.fixture(scope="module")
def server():
    script = Scripted()
    script.answers = [failing(grpc.StatusCode.INTERNAL)]
    server, port = script.start()
    yield script, f"127.0.0.1:{port}"
    server.stop(None).wait()


async def reached(server: tuple[Scripted, str], client: type) -> dict[str, str]:
    """Method → what it asks."""
    script, target = server
    opened, found = client(target, timeout=PATIENCE), {}
    for name in methods(client):
        script.asked.clear()
        assert isinstance(await outcome(opened, name), PolicyError), name
        (asked,) = script.asked
        found[name] = CONTRACT[asked.DESCRIPTOR.full_name]
    closing = opened.close()
    if inspect.isawaitable(closing):
        await closing
    return found


@pytest.mark.parametrize("client", BLOCKING)
async def test_both_clients_ask_the_same_and_look_the_same(server, client):
    twin = asyncio_twin(client)
    assert await reached(server, client) == await reached(server, twin)
    assert inspect.signature(client) == inspect.signature(twin)
    assert (client.__doc__, client.variable, client.default_target) == (
        twin.__doc__,
        twin.variable,
        twin.default_target,
    )
    for name, method in methods(client).items():
        other = methods(twin)[name]
        plain, awaited = inspect.signature(method), inspect.signature(other)
        assert plain.parameters == awaited.parameters
        assert method.__doc__ == other.__doc__
        many = plain.return_annotation == awaited.return_annotation
        # What an editor shows of an answer: itself to be awaited, or one after the other.
        assert (
            many == inspect.iscoroutinefunction(other) or getattr(plain.return_annotation, "__origin__", 0) is Iterator
        )


@pytest.mark.parametrize("client", BLOCKING)
async def test_a_call_is_tried_again_as_its_request_allows(server, client):
    """A write by its key, a list from its beginning or page by page; the driver's verb is what says so."""
    for name, call in (await reached(server, client)).items():
        (method,) = (one for service in SERVICES for one in service.methods if f"{service.name}/{one.name}" == call)
        fields = method.input_type.fields_by_name
        verbs = {*re.findall(r"self\.(_\w+)\(", inspect.getsource(getattr(client, name)))}
        if method.server_streaming:
            assert verbs == {"_stream"}, name
        elif "page_token" in fields:
            assert verbs in ({"_list"}, {"_items"}), name
        elif "idempotency_key" in fields:
            assert verbs == {"_write"}, name
        else:
            assert verbs <= {"_ask", "_check"}, name


async def test_every_call_of_the_contract_is_in_both_clients(server):
    for clients in (BLOCKING, map(asyncio_twin, BLOCKING)):
        asked = set()
        for client in clients:
            asked |= {*(await reached(server, client)).values()}
        assert asked == {*CONTRACT.values()}


async def test_every_call_of_the_contract_is_reached_by_a_command(server):
    asked = set()
    for client in BLOCKING:
        called = called_by_commands()[client.__name__]
        asked |= {call for name, call in (await reached(server, client)).items() if name in called}
    assert asked.isdisjoint(NOT_IN_THE_COMMAND), "then it need not be excused"
    assert asked | NOT_IN_THE_COMMAND.keys() == {*CONTRACT.values()}


@pytest.mark.parametrize("client", BLOCKING)
async def test_every_call_of_the_contract_is_in_the_fake_or_excused(server, client):
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="dr-osei")
        target = fake.decision_target if client is policy_client.PolicyClient else fake.management_target
        with client(target, timeout=PATIENCE) as opened:
            for name, call in (await reached(server, client)).items():
                answered = not isinstance(await outcome(opened, name), WrongAddress)
                assert answered == (call.partition("/")[0] not in NOT_IN_THE_FAKE), call


def test_the_asyncio_clients_are_what_the_blocking_ones_make():
    check = subprocess.run(
        [sys.executable, ROOT / "clients/python/generate.py", "--check"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stderr


@cache
def called_by_commands() -> dict[str, set[str]]:
    """Client → its methods that a function calls which a command runs, whether itself or through others."""
    found, seen, todo = defaultdict(set), set(), commands(typer.main.get_command(app))
    while todo:
        function = inspect.unwrap(todo.pop())
        if function in seen:
            continue
        seen.add(function)
        tree = ast.parse(dedent(inspect.getsource(function)))
        clients = clients_in(tree)
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=holder), attr=method)) if holder in clients:
                    found[clients[holder]].add(method)
                case ast.Name(id=name):
                    todo += of_the_command(function.__globals__.get(name))
                case ast.ImportFrom(module=str(module), names=imported):  # late, in the function
                    for one in imported:
                        todo += of_the_command(getattr(import_module(module), one.name, None))
    return found


def of_the_command(found: Any) -> list[Any]:
    return [found] if inspect.isfunction(found) and found.__module__.startswith("policy_service.cli") else []


def commands(command: Any) -> list[Any]:
    return [
        *([command.callback] if command.callback else []),
        *(found for one in getattr(command, "commands", {}).values() for found in commands(one)),
    ]


def clients_in(tree: ast.AST) -> dict[str, str]:
    """Names that hold a client: a parameter, ``with client.on(target, Kind) as name``, or another name for either."""
    known, found = {client.__name__ for client in BLOCKING}, {}
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as written):
                kinds = {*re.findall(r"\w+", ast.unparse(written))} & known
                found |= dict.fromkeys([name], *kinds) if kinds else {}
            case ast.withitem(
                context_expr=ast.Call(func=ast.Attribute(attr="on"), args=[_, ast.Name(id=kind)]),
                optional_vars=ast.Name(id=name),
            ):
                found[name] = kind
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=holder)) if holder in found:
                found[name] = found[holder]
    return found
