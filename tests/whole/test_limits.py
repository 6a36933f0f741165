"""Limits as callers meet them: over the wire, with the field or the thing named, and the number."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor

from policy_service.app import App, open_app
from policy_service.decide import Snapshot
from policy_service.members import RoleDefinition, custom_roles, manage_users
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc.bounds import ITEMS, TEXTS
from policy_service.seed import install
from policy_service.store import Caps, Store, connect_store
from policy_service.store.errors import AccountFull
from policy_service.vocabulary import Physician, Role, User
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import grant, reached, register
from tests.support.actions import Action
from tests.support.people import Page
from tests.support.rpc import METHODS, Refused, Wire

pytestmark = pytest.mark.over_tls


def overfull(kind, path=()):
    """For each text and list within a message: its path, and a way to make it hold one too many."""
    for field in kind.fields:
        here = (*path, field.name)
        if field.is_repeated:
            most = ITEMS[f"{kind.name}.{field.name}"] + 1
            yield here, lambda message, field=field, most=most: getattr(message, field.name).extend(items(field, most))
        elif field.type == FieldDescriptor.TYPE_STRING:
            text = "x" * (TEXTS[field.name] + 1)
            yield here, lambda message, field=field, text=text: setattr(message, field.name, text)
        elif field.message_type is not None:
            for inner, spoil in overfull(field.message_type, here):
                yield inner, lambda message, field=field, spoil=spoil: spoil(getattr(message, field.name))


def items(field, count):
    if field.message_type is not None:
        return [message_factory.GetMessageClass(field.message_type)()] * count
    return ["x" if field.type == FieldDescriptor.TYPE_STRING else 1] * count


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_one_too_many_is_refused_by_the_fields_name(app, method):
    service, descriptor = METHODS[method]
    port = app.planes.decision_port if service.name == "DecisionService" else app.planes.management_port
    async with Wire(port) as wire:
        call = wire.parts if descriptor.server_streaming else wire
        for path, spoil in overfull(descriptor.input_type):
            request = message_factory.GetMessageClass(descriptor.input_type)()
            spoil(request)
            with pytest.raises(Refused) as refused:
                await call(method, request)
            assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
            # A question is named by its own words, in whatever message it is.
            assert ".".join(path).removeprefix("check.") in refused.value.fields


async def test_a_batch_with_a_thousand_faults_says_the_first_and_their_number(wire):
    with pytest.raises(Refused) as refused:
        await wire("BatchCheck", pb.BatchCheckRequest(checks=[pb.CheckRequest()] * 1_000))
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details.startswith("3,000 faults, of which the first: checks[0].user is empty")
    assert list(refused.value.fields)[:4] == [
        *(f"checks[0].{name}" for name in ("user", "physician", "action")),
        "checks[1].user",
    ]
    assert len(refused.value.fields) == 20


async def test_what_is_overfull_is_refused_to_whoever_may_call_and_others_learn_nothing_new(app, management):
    revision = await register(app, "dr-a", "olive")
    roles = mu.Permissions(roles=[""] * 400_000)
    request = mu.InviteUserRequest(
        actor="olive", physician="dr-a", username="ben", email="ben@example.org", permissions=roles
    )
    with pytest.raises(Refused) as refused:
        await management("InviteUser", request, timeout=60)
    assert refused.value.fields == {"permissions.roles": "permissions.roles has more than 16 items"}
    assert await app.store.revision() == revision


@asynccontextmanager
async def limited(database: str, seed, **settings: object) -> AsyncIterator[App]:
    """A service with limits of its own."""
    async with connect_store(database) as store:
        await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings_for(database, **settings)) as opened:
        yield opened


async def full(call) -> str:
    """The words of a refusal for want of room."""
    with pytest.raises(Refused) as refused:
        await call
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_FULL")
    return refused.value.details


async def test_an_account_takes_as_many_roles_as_are_set_and_says_the_number(database, seed):
    async with limited(database, seed, max_roles_per_account=2) as app, Wire(app.planes.management_port) as wire:
        await register(app, "dr-a", "olive")
        page = Page(wire, "olive", "dr-a")
        await page.create_role("one", "claim:view")
        await page.create_role("two", "claim:save")
        revision = await app.store.revision()
        assert "of: roles; most: 2; wanted: 3" in await full(page.create_role("three", "claim:view"))
        assert await app.store.revision() == revision
        # What there is can be changed, given up, and replaced; another account has room of its own.
        await page.update_role("two", "claim:view")
        await page.delete_role("one")
        await page.create_role("three", "claim:view")
        await register(app, "dr-b", "olive")
        await Page(wire, "olive", "dr-b").create_role("one", "claim:view")


async def test_writers_side_by_side_do_not_pass_a_cap(database, seed):
    async with limited(database, seed, max_roles_per_account=3) as app, Wire(app.planes.management_port) as wire:
        await register(app, "dr-a", "olive")
        page = Page(wire, "olive", "dr-a")
        calls = [page.create_role(f"role{n}", "claim:view") for n in range(12)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        refusals = [answer for answer in found if isinstance(answer, Refused)]
        assert {refused.reason for refused in refusals} == {"ACCOUNT_FULL"}
        assert len(found) - len(refusals) == 3
        assert sum(not info.built_in for info in (await page.roles()).values()) == 3


async def test_rules_and_members_are_capped_by_whatever_way_they_come(database, seed):
    async with limited(database, seed, max_rules_per_account=5, max_members_per_account=3) as app:
        await register(app, "dr-a", "olive")
        await grant(app, "dr-a", "ben", "data_entry")
        await grant(app, "dr-a", "mia", "data_entry")
        async with Wire(app.planes.management_port) as wire:
            page = Page(wire, "olive", "dr-a")
            await page.create_role("desk", "claim:view", "claim:save", "claim:submit")
            assert "of: rules; most: 5; wanted: 6" in await full(
                page.edit("ben", actions=("claim:view", "claim:save", "claim:delete"))
            )
            assert "of: rules" in await full(
                page.update_role("desk", *(action for action in Action if action.startswith(("claim", "report"))))
            )
        with pytest.raises(AccountFull) as refused:
            await grant(app, "dr-a", "leo", "data_entry")
        assert (refused.value.of, refused.value.most, refused.value.wanted) == ("members", 3, 4)
        # Another role of somebody who is there is no other person.
        await grant(app, "dr-a", "mia", "financial_viewer")


async def test_an_account_that_holds_more_keeps_it_and_may_give_it_up(store: Store, database, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    account, by = Physician("dr-a"), {"caller": "test", "actor": "test"}
    await manage_users.register_physician(store, account, User("olive"), "", caller="t", actor=User("olive"))
    definition = RoleDefinition(allow=frozenset({Action.CLAIM_VIEW, Action.CLAIM_SAVE}))
    for name in ("one", "two", "three"):
        await custom_roles.define(store, account, Role(name), definition, **by)
    async with connect_store(database, caps=Caps(roles=1, rules=2)) as narrow:
        await custom_roles.define(narrow, account, Role("one"), RoleDefinition(deny=definition.allow), **by)
        await custom_roles.delete(narrow, account, Role("two"), **by)
        with pytest.raises(AccountFull):
            await custom_roles.define(narrow, account, Role("four"), definition, **by)


def test_the_largest_account_fits_into_one_answer():
    """Of the caps as they are unless set, with the longest names and addresses: gRPC sends 4 MB."""
    caps, name = Caps(), "n" * 64
    member = mu.Member(username=name, email="e" * 254, roles=[name] * ITEMS["Permissions.roles"])
    assert mu.ListMembersResponse(members=[member] * caps.members).ByteSize() < 4 << 20
    every = list(Action)
    own = mu.RoleInfo(role="custom." + name, definition=mu.RoleDefinition(allow=every), allowed=every, holders=1)
    definition = mu.RoleDefinition(allow=every, deny=every, includes=[name] * ITEMS["RoleDefinition.includes"])
    named = mu.RoleInfo(role=name, definition=definition, allowed=every, holders=caps.members)
    roles = [*[own] * caps.members, *[named] * caps.roles]
    assert mu.ListRolesResponse(roles=roles).ByteSize() < 4 << 20


LISTS = {
    "explain": ("Explain", pb.ExplainRequest(check=pb.CheckRequest(user="ben", physician="dr-a", action="claim:view"))),
    "actions": ("ListActions", pb.ListActionsRequest(user="ben", physician="dr-a")),
    "users": ("ListUsers", pb.ListUsersRequest(physician="dr-a", action="claim:view")),
    "places": ("ListPhysicians", pb.ListPhysiciansRequest(user="ben")),
}


@pytest.mark.parametrize("asked", LISTS)
async def test_checks_are_answered_while_the_others_share_is_full(database, seed, monkeypatch, asked):
    method, request = LISTS[asked]
    go_on, answer = threading.Event(), getattr(Snapshot, asked)

    def held(self, *question):
        go_on.wait(60)
        return answer(self, *question)

    async with (
        limited(database, seed, decision_threads=8, list_threads=4) as app,
        Wire(app.planes.decision_port) as wire,
    ):
        await register(app, "dr-a", "olive")
        await reached(app, await grant(app, "dr-a", "ben", "data_entry"))
        assert (await wire.check("ben", "dr-a", "claim:view")).allowed
        monkeypatch.setattr(Snapshot, asked, held)
        flood = [asyncio.ensure_future(wire(method, request, timeout=60)) for _ in range(24)]
        try:
            # All but those in hand are refused at once, while these still wait.
            waiting = set(flood)
            while len(waiting) > 3:
                done, waiting = await asyncio.wait(waiting, timeout=30, return_when=asyncio.FIRST_COMPLETED)
                assert done, "nobody is refused"
                for call in done:
                    refused = call.exception()
                    assert isinstance(refused, Refused)
                    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_QUESTIONS")
                    assert "most: 3" in refused.details
            assert (
                await wire("Check", pb.CheckRequest(user="ben", physician="dr-a", action="claim:view"), timeout=30)
            ).allowed
            batch = pb.BatchCheckRequest(checks=[pb.CheckRequest(user="ben", physician="dr-a", action="claim:save")])
            assert (await wire("BatchCheck", batch, timeout=30)).answers[0].allowed
        finally:
            go_on.set()
        await asyncio.wait(waiting)
        assert all(call.exception() is None for call in waiting)
        # The share is given back.
        await wire(method, request)
