"""ATTACKS 25 and 43, over TLS: every method of the contract for every kind of caller; what is not allowed is refused."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
import trustme
from google.protobuf import message_factory
from google.protobuf.message import Message

from policy_service import callers
from policy_service.app import App, open_app
from policy_service.rpc.methods import contract_methods, contract_services, method_groups
from policy_service.rpc.reach import HANDLED, limits_of
from policy_service.seed import install
from policy_service.vocabulary import OwnRights
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.callers import Authority, added, bearer
from tests.support.patience import PATIENCE
from tests.support.rpc import METHODS, Refused, Wire, refused

RIGHTS = {f"{service.name}/{name}": name for name, (service, _) in METHODS.items()}
LIMITS = limits_of(contract_services())
STOPPED = ("CALLER_NOT_ALLOWED", "CALLER_NOT_ALLOWED_THERE", "CALLER_NOT_IDENTIFIED")


def request(method: str, physician: str = "dr-a") -> Message:
    """What a method takes, naming an account wherever it can and nothing else."""
    made = message_factory.GetMessageClass(METHODS[method][1].input_type)()
    fields = made.DESCRIPTOR.fields_by_name
    if "physician" in fields:
        made.physician = physician
    if "check" in fields:
        made.check.physician = physician
    if "checks" in fields:
        made.checks.add(physician="dr-a")
        made.checks.add(physician=physician)
    return made


async def outcome(wire: Wire, method: str, physician: str = "dr-a", metadata=()) -> Refused | None:
    """How a call was refused, if it was."""
    service, descriptor = METHODS[method]
    call = wire.channel.unary_stream(
        f"/{service.full_name}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
    )
    try:
        async for _ in call(request(method, physician), timeout=PATIENCE, metadata=metadata):
            pass
    except grpc.aio.AioRpcError as error:
        return refused(error)
    return None


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def app(store, database, seed, authority):
    await install.install_first(store, seed, SHIPPED_MODEL)
    addresses = dict.fromkeys(("decision_token_address", "management_token_address"), "127.0.0.1:0")
    async with open_app(authority.settings(database, refusals_per_second=10_000.0, **addresses)) as opened:
        for physician in ("dr-a", "dr-b"):
            await reached(opened, await register(opened, physician, "olive"))
        yield opened


def port_of(app: App, method: str, *, tokens: bool) -> int:
    planes = app.planes
    on_decision = METHODS[method][0].name == "DecisionService"
    if tokens:
        return planes.decision_token_port if on_decision else planes.management_token_port
    return planes.decision_port if on_decision else planes.management_port


class Doors:
    """Both planes as one caller comes to them."""

    def __init__(self, app, make, *, tokens: bool) -> None:
        self._app, self._tokens = app, tokens
        self._wires = {port: make(port) for port in {port_of(app, method, tokens=tokens) for method in METHODS}}

    def __getitem__(self, method: str) -> Wire:
        return self._wires[port_of(self._app, method, tokens=self._tokens)]

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for wire in self._wires.values():
            await wire.close()


def test_the_groups_hold_each_right_once():
    held = [method for methods in method_groups().values() for method in methods]
    assert len(held) == len(set(held))
    assert set(held) == contract_methods()
    assert set(RIGHTS) == contract_methods() - {"SeedService/ChangeCallers"}


async def test_nobody_without_one_valid_identity_calls_anything(app, store, authority):
    """Each is refused before its message is looked at, by every method."""
    now = datetime.now(UTC)
    good = await added(store, "good", *method_groups())
    expired = await added(store, "late", *method_groups(), now=now - timedelta(days=2), until=now - timedelta(days=1))
    removed = await added(store, "removed", *method_groups())
    ended = await added(store, "ended", *method_groups())
    rotated = await added(store, "rotated", *method_groups())
    async with store.transaction(caller="test", actor="olga") as tx:
        await callers.remove(tx, "removed")
    async with store.transaction(caller="test", actor="olga") as tx:
        await callers.remove_token(tx, "ended", ended.split("_")[1])
    async with store.transaction(caller="test", actor="olga") as tx:
        await callers.rotate(tx, "rotated", until=now + timedelta(days=1), overlap=timedelta(), at_once=True, now=now)
    await reached(app, await store.revision())
    kinds = {
        "no token": (),
        "an empty one": (("authorization", ""),),
        "no secret": bearer(good[:-43]),
        "another secret": bearer(good[:-43] + "A" * 43),
        "its id with another's secret": bearer(good[:21] + removed[21:]),
        "one that never was": bearer(f"pst_{'0' * 16}_{'A' * 43}"),
        "a longer one": bearer(good + "A"),
        "one in capitals": bearer(good.upper()),
        "what is kept of one": bearer(good.split("_")[1]),
        "another scheme": (("authorization", f"Basic {good}"),),
        "no scheme": (("authorization", good),),
        "two": (*bearer(good), *bearer(good)),
        "two callers": (*bearer(good), *bearer(ended)),
        "in another header": (("x-authorization", f"Bearer {good}"),),
        "expired": bearer(expired),
        "of a removed caller": bearer(removed),
        "ended": bearer(ended),
        "rotated out": bearer(rotated),
    }  # fmt: skip
    async with Doors(app, authority.without_certificate, tokens=True) as doors:
        for method in METHODS:
            found = await outcome(doors[method], method, metadata=bearer(good))
            assert found is None or found.reason not in STOPPED, (method, found)
            for kind, metadata in kinds.items():
                found = await outcome(doors[method], method, metadata=metadata)
                assert found is not None, (method, kind)
                assert (found.code, found.reason) == (
                    grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_IDENTIFIED",
                ), (method, kind)  # fmt: skip
                assert good[-43:] not in str(found.facts) + found.details
    # A certificate beside a token is a second identity, whoever's each is.
    async with Doors(app, lambda port: authority.wire(port, "callers-admin"), tokens=False) as doors:
        for method in METHODS:
            for token in (good, "nonsense"):
                found = await outcome(doors[method], method, metadata=bearer(token))
                assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_IDENTIFIED")
                assert "two identities" in found.details


async def test_without_a_certificate_of_this_authority_no_call_begins(app, store, authority):
    good = await added(store, "good", *method_groups())
    await reached(app, await store.revision())
    other = trustme.CA().issue_cert("billing")

    def stranger(port: int) -> Wire:
        chain = b"".join(blob.bytes() for blob in other.cert_chain_pems)
        credentials = grpc.ssl_channel_credentials(authority.root, other.private_key_pem.bytes(), chain)
        return Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials))

    for make in (authority.without_certificate, stranger):
        async with Doors(app, make, tokens=False) as doors:
            for method in METHODS:
                found = await outcome(doors[method], method, metadata=bearer(good))
                assert found.code is grpc.StatusCode.UNAVAILABLE, method


async def test_a_caller_calls_what_its_groups_hold_and_nothing_else(app, store, authority):
    tokens = {group: await added(store, f"only-{group}", group) for group in method_groups()}
    tokens["nothing"] = await added(store, "nothing")
    await reached(app, await store.revision())
    async with Doors(app, authority.without_certificate, tokens=True) as doors:
        for right, method in RIGHTS.items():
            for group, token in tokens.items():
                found = await outcome(doors[method], method, metadata=bearer(token))
                reason = None if found is None else found.reason
                if right in method_groups().get(group, ()):
                    assert reason not in STOPPED, (group, right, found)
                else:
                    assert (found.code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
                    assert right in found.details


async def test_a_caller_by_certificate_has_the_seeds_rights_and_its_own_and_a_strange_one_none(app, store, authority):
    own = method_groups()["audit"]
    for name in ("certified", "billing"):
        async with store.transaction(caller="test", actor="olga") as tx:
            await callers.add(tx, SHIPPED_MODEL, name, OwnRights(methods=own), token_until=None, now=datetime.now(UTC))
    await reached(app, await store.revision())
    by_seed = method_groups()["check"] | method_groups()["explain"]
    may = {"certified": own, "billing": own | by_seed, "stranger": frozenset(), "auditor": own}
    for name, rights in may.items():
        async with Doors(app, lambda port, name=name: authority.wire(port, name), tokens=False) as doors:
            for right, method in RIGHTS.items():
                found = await outcome(doors[method], method)
                reason = None if found is None else found.reason
                if right in rights:
                    assert reason not in STOPPED, (name, right, found)
                else:
                    assert (found.code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


async def test_a_limited_caller_calls_for_its_physicians_and_for_nobody_else(app, store, authority):
    """Every method: what names an account is held to it; what names none is not called at all."""
    token = await added(store, "clinic", *method_groups(), physicians=("dr-a", "dr-later"))
    await reached(app, await store.revision())
    async with Doors(app, authority.without_certificate, tokens=True) as doors:
        for right, method in RIGHTS.items():
            metadata = bearer(token)
            mine = await outcome(doors[method], method, "dr-a", metadata)
            assert (mine is not None and mine.reason in STOPPED) == (right not in LIMITS), (right, mine)
            for other in ("dr-b", "dr-unknown", "", "*", "dr-a ", "DR-A", "physician:dr-a", "@named", "?"):
                found = await outcome(doors[method], method, other, metadata)
                if right not in LIMITS:
                    assert found.reason == "CALLER_NOT_ALLOWED", (right, other)
                elif right in HANDLED:
                    assert found is None or found.reason not in STOPPED[1:], (right, other)
                elif right == "DecisionService/ListActions" and not other:
                    # What actions there are, and nothing of anybody.
                    assert found is None
                else:
                    assert (found.code, found.reason) == (
                        grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED_THERE",
                    ), (right, other)  # fmt: skip
                    place = "checks[1].physician" if method == "BatchCheck" else "physician"
                    assert found.facts["field"].endswith(place)


def test_every_method_that_can_be_limited_is_one_whose_request_leads_to_an_account():
    """A method that is new and names no account is for no limited caller, until somebody says how it is looked at."""
    by_field = {
        right
        for right, method in RIGHTS.items()
        if not {"physician", "check", "checks"}.isdisjoint(METHODS[method][1].input_type.fields_by_name)
    }
    assert set(LIMITS) == by_field | HANDLED
    assert not by_field & HANDLED
