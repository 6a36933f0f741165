"""Random sequences of all that happens to invitations, members and credentials, each call's outcome as a model says.

Some on the real database and more on the fake in each run; MEMBERSHIP_SEQUENCES=N for longer, as ``make fuzz``
does, from number MEMBERSHIP_FIRST on. A failure names its seed and the calls up to it.
"""

import os
import random
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from policy_client._pb import manage_users_pb2 as client_mu
from policy_client.testing import Refusal, letters
from policy_client.testing.seed import SHIPPED
from policy_client.testing.users import Users

from policy_service.audit import verify
from policy_service.errors import PolicyError
from policy_service.members import AddressChanges, Invitations, Prompts
from policy_service.members.tokens import TokenKey
from policy_service.pb import manage_users_pb2 as service_mu
from policy_service.rpc import ManageUsersService, Reaches
from policy_service.seed import install
from policy_service.store import Store
from policy_service.vocabulary import Physician
from tests.conftest import SHIPPED_MODEL
from tests.support import second_verifier
from tests.support.membership import Membership

ON_THE_SERVICE = int(os.environ.get("MEMBERSHIP_SEQUENCES", "40"))
ON_THE_FAKE = int(os.environ.get("MEMBERSHIP_SEQUENCES", "250"))
FIRST = int(os.environ.get("MEMBERSHIP_FIRST", "0"))
STEPS = 14
USERS = ("nina", "NINA", "nora", "own0", "own1")
ADDRESSES = ("a@one.example", "A@one.example", "b@one.example", "c@one.example")
STATES = ("pending", "accepted", "cancelled", "expired", "withdrawn", "declined")
Answer = Callable[[Any], Awaitable[Any]]


def calls(chance: random.Random, model: Membership) -> tuple:
    """The next call, mostly one that has something to find."""
    account, user, email = chance.randrange(2), chance.choice(USERS), chance.choice(ADDRESSES)
    user = user if user != f"own{account}" else f"own{1 - account}"
    count = len(model.invitations)
    if not count and chance.random() < 0.8:
        return "invite", account, user, email, chance.random() < 0.5
    number = chance.choice((count - 1, count - 1, count - 2, chance.randrange(4))) if count > 1 else 0
    link = chance.choice((0, 0, 0, 1))
    wish = max(len(model.wishes) - 1 - chance.choice((0, 0, 1)), 0)
    return chance.choices(
        (
            ("invite", account, user, email, chance.random() < 0.5),
            ("accept", number, link),
            ("complete", number, link),
            ("look_up", number, link),
            ("resend", account, number, chance.choice(("", "", email))),
            ("cancel", account, number),
            ("decline", number, link),
            ("revoke", account, user),
            ("leave", account, user),
            ("register", user),
            ("change_address", user, email),
            ("confirm_address", wish),
            ("pass_time", chance.choice((1, 3, 7))),
        ),
        weights=(9, 8, 6, 2, 3, 1, 1, 2, 1, 1, 4, 4, 2),
    )[0]


class Anywhere(Reaches):
    """The page calls for every account."""

    def __init__(self) -> None:
        """There is no replica."""

    def refuse_beyond(self, caller: str, method: str, physician: Physician, field: str) -> None:
        """Nothing is."""


class Told:
    """One service, told a sequence; its names carry the sequence's number."""

    def __init__(self, answer: Answer, tokens: Any, mu: Any, clock: Any, number: int) -> None:
        self.answer, self.tokens, self.mu, self.clock, self.number = answer, tokens, mu, clock, number
        self.invitations: list[str] = []
        self.wishes: list[str] = []
        self.used: dict[str, str] = {}
        self.opened = 0

    def user(self, plain: str) -> str:
        return f"{plain}.{self.number}"

    def email(self, plain: str) -> str:
        return plain.replace("@", f"{self.number}@")

    def physician(self, account: int) -> str:
        return f"dr-{self.number}-{account}"

    async def begin(self) -> None:
        for account in (0, 1):
            await self._open(self.physician(account), self.user(f"own{account}"))

    async def _open(self, physician: str, owner: str) -> None:
        await self.answer(self.mu.RegisterPhysicianRequest(actor=owner, physician=physician, owner=owner))

    async def do(self, call: tuple, key: str, links: list[int]) -> str:
        """The outcome of a call; ``links`` are the model's counts of each invitation's links."""
        name, *given = call
        try:
            return await getattr(self, name)(*given, key=f"{key}-{self.number}" if key else "", links=links)
        except (PolicyError, Refusal) as refused:
            return refused.reason

    async def pass_time(self, days: int, **_: Any) -> str:
        self.clock.now += timedelta(days=days)
        return "done"

    def _by(self, account: int, key: str) -> dict[str, str]:
        return {
            "actor": self.user(f"own{account}"), "physician": self.physician(account), "idempotency_key": key,
        }  # fmt: skip

    async def invite(self, account: int, user: str, email: str, reuse: bool, *, key: str, **_: Any) -> str:
        mu = self.mu
        holding = mu.Permissions(roles=["data_entry"])
        made = await self.answer(
            mu.InviteUserRequest(
                **self._by(account, key), username=self.user(user), email=self.email(email), permissions=holding,
                reuse_existing=reuse,
            )
        )  # fmt: skip
        if made.invitation.id in self.invitations:
            return "again"
        self.invitations.append(made.invitation.id)
        return "done"

    def _invitation(self, number: int) -> str:
        return self.invitations[number] if number < len(self.invitations) else "none"

    async def resend(self, account: int, number: int, email: str, *, key: str, **_: Any) -> str:
        request = self.mu.ResendInvitationRequest(**self._by(account, key), invitation_id=self._invitation(number))
        request.email = self.email(email) if email else ""
        return await self._done(request)

    async def cancel(self, account: int, number: int, *, key: str, **_: Any) -> str:
        request = self.mu.CancelInvitationRequest(**self._by(account, key), invitation_id=self._invitation(number))
        return await self._done(request)

    async def _with_link(self, message: str, number: int, link: int, key: str, links: list[int]) -> str:
        generation = (links[number] if number < len(links) else 1) - link
        self.tokens.last = lambda _: links[number] if number < len(links) else 0
        token = self.used.get(key) or await self.tokens.invitation(self._invitation(number), generation)
        more = {"idempotency_key": key} if message != "LookUpInvitationRequest" else {}
        said = await self._done(getattr(self.mu, message)(token=token, **more))
        # The same call once more carries the same link, whatever took its place.
        self.used[key] = token if key else ""
        return said

    async def accept(self, number: int, link: int, *, key: str, links: list[int]) -> str:
        return await self._with_link("AcceptInvitationRequest", number, link, key, links)

    async def decline(self, number: int, link: int, *, key: str, links: list[int]) -> str:
        return await self._with_link("DeclineInvitationRequest", number, link, key, links)

    async def complete(self, number: int, link: int, *, key: str, links: list[int]) -> str:
        return await self._with_link("CompleteSetupRequest", number, link, key, links)

    async def look_up(self, number: int, link: int, *, key: str, links: list[int]) -> str:
        return await self._with_link("LookUpInvitationRequest", number, link, key, links)

    async def revoke(self, account: int, user: str, *, key: str, **_: Any) -> str:
        return await self._done(self.mu.RevokeAccessRequest(**self._by(account, key), username=self.user(user)))

    async def leave(self, account: int, user: str, *, key: str, **_: Any) -> str:
        request = self.mu.LeaveAccountRequest(
            actor=self.user(user), physician=self.physician(account), idempotency_key=key
        )
        return await self._done(request)

    async def register(self, user: str, **_: Any) -> str:
        self.opened += 1
        await self._open(f"new-{self.number}-{self.opened}", self.user(user))
        return "done"

    async def change_address(self, user: str, email: str, *, key: str, **_: Any) -> str:
        request = self.mu.ChangeAddressRequest(actor=self.user(user), email=self.email(email), idempotency_key=key)
        said = await self._done(request)
        token = await self.tokens.address(self.user(user))
        if token in self.wishes:
            return "again"
        self.wishes.append(token)
        return said

    async def confirm_address(self, number: int, *, key: str, **_: Any) -> str:
        token = self.wishes[number] if number < len(self.wishes) else "none"
        return await self._done(self.mu.ConfirmAddressRequest(token=token, idempotency_key=key))

    async def _done(self, request: Any) -> str:
        """Done, or answered again from what was kept: then the revision is not a new one."""
        before = await self.tokens.revision()
        response = await self.answer(request)
        return "done" if getattr(response, "revision", before + 1) > before else "again"

    async def seen(self) -> list[Any]:
        """The members and invitations of both accounts."""
        found: list[Any] = []
        for account in (0, 1):
            who = {"actor": self.user(f"own{account}"), "physician": self.physician(account)}
            members = (await self.answer(self.mu.ListMembersRequest(**who))).members
            found.append({(m.username, m.email, m.is_set_up) for m in members})
            states = [getattr(self.mu, f"INVITATION_STATE_{state.upper()}") for state in STATES]
            listed = (await self.answer(self.mu.ListInvitationsRequest(**who, states=states))).invitations
            found.append(
                {(self.invitations.index(i.id), i.email, STATES[_ORDER[i.state]], i.awaits_setup) for i in listed}
            )
        return found

    def wanted(self, model: Membership) -> list[Any]:
        """The same of the model."""
        found: list[Any] = []
        for account in (0, 1):
            users = {user for place, user in model.members if place == account} | {f"own{account}"}
            found.append(
                {(self.user(user), self.email(model.addresses.get(user, "")), model.set_up[user]) for user in users}
            )
            found.append(
                {
                    (
                        number,
                        self.email(one.email),
                        "expired" if one.state == "pending" and not model.is_open(one) else one.state,
                        model.awaits(number),
                    )
                    for number, one in enumerate(model.invitations)
                    if one.account == account
                }
            )
        return found


_ORDER = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def name_of(request: Any) -> str:
    """The method that takes a request: InviteUserRequest → invite_user."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(request).__name__.removesuffix("Request")).lower()


async def run(told: Told, seed: int, seen: dict[str, int]) -> None:
    """One sequence."""
    chance, model = random.Random(seed), Membership(set_up={"own0": True, "own1": True})
    await told.begin()
    done: list[Any] = []
    for step in range(STEPS):
        if done and chance.random() < 0.15:
            call, key = chance.choice([before for before in done if before[1]] or [done[-1]])[:2]
        else:
            call, key = calls(chance, model), f"k{step}" if chance.random() < 0.4 else ""
        key = "" if call[0] in ("pass_time", "look_up", "register") else key
        links = [one.link for one in model.invitations]
        wanted, said = model.do(call, key), await told.do(call, key, links)
        done.append((call, key, wanted, said))
        assert said == wanted, f"seed {seed}: {done}"
        seen[f"{call[0]} {said}"] = seen.get(f"{call[0]} {said}", 0) + 1
    assert await told.seen() == told.wanted(model), f"seed {seed}: {done}"


class ServiceTokens:
    """Links as the service's letters carry them."""

    def __init__(self, store: Store, key: TokenKey) -> None:
        self.store, self.key = store, key

    async def invitation(self, wanted: str, generation: int) -> str:
        return self.key.token(wanted, generation)

    async def address(self, user: str) -> str:
        async with self.store.reading() as look:
            wanted = await look.connection.fetchval(
                "SELECT id FROM address_changes WHERE username = $1 ORDER BY asked_at_revision DESC LIMIT 1", user
            )
        return self.key.token(wanted, 1)

    async def revision(self) -> int:
        return await self.store.revision()


@pytest.mark.timeout(0)
async def test_31_36_the_service_does_what_the_model_says(store, database, seed, capsys):
    await install.install_first(store, seed, SHIPPED_MODEL)
    key, clock, week = TokenKey(b"k" * 32), Clock(), timedelta(days=7)
    invitations = Invitations(SHIPPED_MODEL, key, Prompts(10**9), valid_for=week)
    addresses = AddressChanges(key, invitations, valid_for=week)
    service = ManageUsersService(
        store, SHIPPED_MODEL, invitations, addresses, clock=clock, written=lambda: None, reaches=Anywhere()
    )
    seen: dict[str, int] = {}

    async def answer(request: Any) -> Any:
        return await getattr(service, name_of(request))(request, "page")

    for number in range(FIRST, FIRST + ON_THE_SERVICE):
        await run(Told(answer, ServiceTokens(store, key), service_mu, clock, number), number, seen)
    with capsys.disabled():
        print(f"\n  membership: {ON_THE_SERVICE} sequences of {STEPS} on the service, {len(seen)} kinds of outcomes")
    assert len(seen) > 30
    # Whatever was written on the way, by whichever door, the change log vouches for.
    *_, found = [part async for part in verify(store, [])]
    assert (found.fault, await second_verifier.fault(database)) == ("", "")


FOLLOWED = [
    ("invite", 0, "nina", "a@one.example", False),
    ("accept", 0, 0),
    ("complete", 0, 0),
    ("invite", 1, "nina", "a@one.example", True),
    ("pass_time", 8),
    ("change_address", "nina", "b@one.example"),
    ("confirm_address", 0),
]


async def test_an_expired_invitation_that_follows_its_user_is_vouched_for(store, database, seed):
    """No link is made, and no revision asks for it: a row that changes beside the story."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    key, clock, week = TokenKey(b"k" * 32), Clock(), timedelta(days=7)
    invitations = Invitations(SHIPPED_MODEL, key, Prompts(10**9), valid_for=week)
    addresses = AddressChanges(key, invitations, valid_for=week)
    service = ManageUsersService(
        store, SHIPPED_MODEL, invitations, addresses, clock=clock, written=lambda: None, reaches=Anywhere()
    )

    async def answer(request: Any) -> Any:
        return await getattr(service, name_of(request))(request, "page")

    told = Told(answer, ServiceTokens(store, key), service_mu, clock, 0)
    await told.begin()
    for call in FOLLOWED:
        assert await told.do(call, "", [1, 1]) == "done", call
    async with store.reading() as look:
        assert (
            await look.connection.fetchval("SELECT email FROM invitations WHERE state = 'pending'") == "b0@one.example"
        )
    *_, found = [part async for part in verify(store, [])]
    assert (found.fault, await second_verifier.fault(database)) == ("", "")


class FakeTokens:
    """Links as the fake knows them; a link that was replaced is one that nobody has."""

    def __init__(self, users: Users) -> None:
        self.users = users
        self.last: Callable[[str], int] = lambda _: 1

    async def invitation(self, wanted: str, generation: int) -> str:
        found = self.users.state.invitations.get(wanted)
        return "none" if found is None or generation != self.last(wanted) else found.token

    async def address(self, user: str) -> str:
        return [wish.token for wish in self.users.state.addresses if wish.user == user][-1]

    async def revision(self) -> int:
        return self.users.state.revision


@pytest.mark.timeout(0)
async def test_the_fake_does_what_the_model_says(capsys, monkeypatch):
    # How many letters may go is another matter, and other tests'.
    monkeypatch.setattr(letters, "_MOST", {})
    seen: dict[str, int] = {}
    for number in range(FIRST, FIRST + ON_THE_FAKE):
        clock = Clock()
        users = Users(clock, timedelta(days=7), SHIPPED)

        async def answer(request: Any, users: Users = users) -> Any:
            return getattr(users, name_of(request))(request)

        await run(Told(answer, FakeTokens(users), client_mu, clock, number), number, seen)
    with capsys.disabled():
        print(f"\n  membership: {ON_THE_FAKE} sequences of {STEPS} on the fake, {len(seen)} kinds of outcomes")
    assert len(seen) > 30
