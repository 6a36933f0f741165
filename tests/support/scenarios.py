"""Stories of the two planes, to be told of any service that answers by the contract: the real one and the fake."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc

from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.support.oracle import ACTIONS, TABLE
from tests.support.people import Page
from tests.support.rpc import Refused, Wire, question

WEEK = timedelta(days=7)
OWNER_ONLY = ("user:invite", "user:edit", "user:revoke", "app:mobile")
REASONS = {number: name.removeprefix("REASON_") for name, number in pb.Reason.items()}


@dataclass(frozen=True, kw_only=True)
class World:
    """A service without accounts, and what a test may do to it."""

    decisions: Wire
    users: Wire
    token: Callable[[str], Awaitable[str]]
    """The token of an invitation's last link."""
    pass_time: Callable[[timedelta], None]
    grant: Callable[[str, str, str], Awaitable[int]]
    """Give a user, for a physician, a role: without invitation and without asking."""

    async def open(self, physician: str = "dr-a", owner: str = "olive") -> Page:
        page = Page(self.users, owner, physician)
        await page.register()
        return page

    async def join(self, page: Page, user: str, *roles: str, **more: Any) -> int:
        invited = await page.invite(user, *roles, **more)
        return (await page.accept(await self.token(invited.invitation.id))).revision

    async def check(self, user: str, action: str, revision: int, channel: int = 0, physician: str = "dr-a") -> str:
        answer = await self.decisions.check(user, physician, action, channel, min_revision=revision)
        assert answer.allowed == (answer.reason == pb.REASON_GRANTED)
        return REASONS[answer.reason]

    async def allowed(self, user: str, revision: int, physician: str = "dr-a", channel: int = 0) -> set[str]:
        request = pb.ListActionsRequest(user=user, physician=physician, channel=channel, min_revision=revision)
        return {access.action for access in (await self.decisions("ListActions", request)).actions if access.shown}


async def refusal(call: Awaitable[Any]) -> str:
    try:
        await call
    except Refused as refused:
        return f"{refused.code.name} {refused.reason}"
    return "OK"


async def told(call: Awaitable[Any]) -> tuple[str, list[str]]:
    """The reason of a refusal and the fields named in it."""
    try:
        await call
    except Refused as refused:
        return refused.reason, sorted(refused.fields)
    return "OK", []


async def each_role_allows_what_the_table_says(world: World) -> None:
    page = await world.open()
    for role in ("financial_viewer", "data_entry", "administrator"):
        await world.join(page, f"in-{role}", role)
    revision = await world.join(page, "both", "financial_viewer", "data_entry")
    for role, wanted in TABLE.items():
        user = "olive" if role == "owner" else f"in-{role}"
        assert await world.allowed(user, revision) == wanted
        assert await world.allowed(user, revision, channel=pb.CHANNEL_MOBILE) == (wanted if role == "owner" else set())
    assert await world.allowed("both", revision) == TABLE["financial_viewer"] | TABLE["data_entry"]
    assert await world.check("in-data_entry", "claim:save", revision, pb.CHANNEL_MOBILE) == "CHANNEL_NOT_ALLOWED"
    assert await world.check("in-data_entry", "invoice:pay", revision, pb.CHANNEL_MOBILE) == "NOT_GRANTED"
    assert await page.members() == {
        "olive": ["owner"], "in-administrator": ["administrator"], "in-data_entry": ["data_entry"],
        "in-financial_viewer": ["financial_viewer"], "both": ["data_entry", "financial_viewer"],
    }  # fmt: skip


async def what_is_unknown_is_denied_with_its_reason(world: World) -> None:
    revision = await world.join(await world.open(), "nina", "data_entry")
    assert await world.check("nobody", "claim:view", revision) == "NOT_A_MEMBER"
    assert await world.check("nina", "invoice:pay", revision) == "NOT_GRANTED"
    assert await world.check("olive", "claim:frame", revision) == "UNKNOWN_ACTION"
    assert await world.check("olive", "claim:view", revision, physician="dr-none") == "UNKNOWN_PHYSICIAN"
    assert await world.check("olive", "claim:frame", revision, physician="dr-none") == "UNKNOWN_PHYSICIAN"
    users = pb.ListUsersRequest(physician="dr-none", action="claim:view")
    assert await refusal(world.decisions("ListUsers", users)) == "NOT_FOUND UNKNOWN_PHYSICIAN"
    users = pb.ListUsersRequest(physician="dr-a", action="claim:frame")
    assert await refusal(world.decisions("ListUsers", users)) == "NOT_FOUND UNKNOWN_ACTION"
    places = pb.ListPhysiciansRequest(user="nina", action="claim:frame")
    assert await refusal(world.decisions("ListPhysicians", places)) == "NOT_FOUND UNKNOWN_ACTION"
    ahead = world.decisions.check("nina", "dr-a", "claim:view", patient=False, min_revision=revision + 1)
    assert await refusal(ahead) == "UNAVAILABLE REVISION_NOT_REACHED"


async def a_batch_is_answered_in_order_at_one_revision(world: World) -> None:
    revision = await world.join(await world.open(), "nina", "data_entry")
    asked = [question("nina", "dr-a", action, min_revision=revision) for action in (*ACTIONS, "claim:view")]
    response = await world.decisions("BatchCheck", pb.BatchCheckRequest(checks=asked))
    assert [answer.allowed for answer in response.answers] == [q.action in TABLE["data_entry"] for q in asked]
    assert {answer.revision for answer in response.answers} == {response.revision} == {revision}
    assert len({answer.decision_id for answer in response.answers}) == len(asked)
    ahead = [*asked, question("nina", "dr-a", "claim:view", min_revision=revision + 1)]
    late = world.decisions("BatchCheck", pb.BatchCheckRequest(checks=ahead), patient=False)
    assert await refusal(late) == "UNAVAILABLE REVISION_NOT_REACHED"


async def an_open_invitation_grants_nothing_and_its_token_works_once(world: World) -> None:
    page = await world.open()
    invited = await page.invite("nina", "data_entry", email="Nina@Clinic.Example")
    assert await world.check("nina", "claim:view", invited.revision) == "NOT_A_MEMBER"
    shown = invited.invitation
    assert (shown.email, shown.state, shown.invited_by) == (
        "Nina@clinic.example", mu.INVITATION_STATE_PENDING, "olive",
    )  # fmt: skip
    assert shown.expires_at.ToDatetime() - shown.invited_at.ToDatetime() == WEEK
    assert [one.id for one in await page.pending()] == [shown.id]
    token = await world.token(shown.id)
    assert await refusal(page.accept(token.swapcase())) == "FAILED_PRECONDITION INVALID_TOKEN"
    accepted = await page.accept(token)
    assert (accepted.username, accepted.physician, accepted.must_set_up_credentials) == ("nina", "dr-a", True)
    assert await world.allowed("nina", accepted.revision) == TABLE["data_entry"]
    assert await told(page.accept(token)) == ("INVALID_TOKEN", [])
    assert await told(page.cancel(shown.id)) == ("INVITATION_CLOSED", [])
    await page.complete(token)
    assert await told(page.resend(shown.id)) == ("INVITATION_CLOSED", [])
    assert await page.pending() == []
    assert [one.state for one in await page.pending("ACCEPTED")] == [mu.INVITATION_STATE_ACCEPTED]


async def a_token_ends_with_its_invitation(world: World) -> None:
    page = await world.open()
    for number, end in enumerate(("cancel", "resend", "revoke", "expire")):
        invitation = (await page.invite(f"n{number}", "data_entry")).invitation.id
        token = await world.token(invitation)
        if end == "cancel":
            await page.cancel(invitation)
        elif end == "resend":
            await page.resend(invitation)
            assert await world.token(invitation) != token
        elif end == "revoke":
            await page.revoke(f"n{number}")
        else:
            world.pass_time(WEEK)
        assert await told(page.accept(token)) == ("INVALID_TOKEN", []), end
    states = {one.username: mu.InvitationState.Name(one.state)[17:] for one in await page.pending(*_STATES)}
    assert states == {"n0": "CANCELLED", "n1": "EXPIRED", "n2": "WITHDRAWN", "n3": "EXPIRED"}


_STATES = ("PENDING", "ACCEPTED", "CANCELLED", "EXPIRED", "WITHDRAWN")


async def an_expired_invitation_is_sent_again_or_made_anew(world: World) -> None:
    page = await world.open()
    invitation = (await page.invite("nina", "data_entry")).invitation.id
    world.pass_time(WEEK)
    assert await told(page.cancel(invitation)) == ("INVITATION_CLOSED", [])
    again = (await page.resend(invitation)).invitation
    assert (again.id, again.state) == (invitation, mu.INVITATION_STATE_PENDING)
    world.pass_time(WEEK)
    # Nobody used the name, so even another address will do.
    await world.join(page, "nina", "financial_viewer", email="other@clinic.example")
    assert await told(page.resend(invitation)) == ("INVITATION_CLOSED", [])
    assert await page.members() == {"olive": ["owner"], "nina": ["financial_viewer"]}


async def an_existing_user_is_invited_only_on_purpose(world: World) -> None:
    page, other = await world.open(), await world.open("dr-b", "oscar")
    await world.join(page, "nina", "data_entry")
    (first,) = await page.pending("ACCEPTED")
    await page.complete(await world.token(first.id))
    assert await told(other.invite("nina", "financial_viewer")) == ("USER_EXISTS", [])
    assert await told(other.invite("nina", "financial_viewer", email="else@clinic.example")) == ("USER_MISMATCH", [])
    assert await told(other.invite("nora", "financial_viewer", email="NINA@clinic.example")) == ("USER_EXISTS", [])
    assert await told(other.invite("olive", "financial_viewer")) == ("USER_EXISTS", [])
    invited = await other.invite("nina", "financial_viewer", reuse_existing=True)
    assert await told(other.invite("nina", "data_entry", reuse_existing=True)) == ("ALREADY_INVITED", [])
    accepted = await other.accept(await world.token(invited.invitation.id))
    assert not accepted.must_set_up_credentials
    assert await told(other.invite("nina", "data_entry", reuse_existing=True)) == ("ALREADY_A_MEMBER", [])
    assert await world.allowed("nina", accepted.revision) == TABLE["data_entry"]
    assert await world.allowed("nina", accepted.revision, "dr-b") == TABLE["financial_viewer"]
    request = pb.ListPhysiciansRequest(user="nina", min_revision=accepted.revision)
    places = (await world.decisions("ListPhysicians", request)).physicians
    assert [(place.physician, list(place.roles)) for place in places] == [
        ("dr-a", ["data_entry"]), ("dr-b", ["financial_viewer"]),
    ]  # fmt: skip


async def a_name_is_free_again_when_its_last_invitation_ends_unused(world: World) -> None:
    page, other = await world.open(), await world.open("dr-b", "oscar")
    first = (await page.invite("nina", "data_entry")).invitation.id
    second = (await other.invite("nina", "data_entry", reuse_existing=True)).invitation.id
    await page.cancel(first)
    assert await told(page.invite("nina", "data_entry", email="new@clinic.example")) == ("USER_MISMATCH", [])
    await other.cancel(second)
    await page.invite("nina", "data_entry", email="new@clinic.example")
    assert await told(other.cancel(first)) == ("UNKNOWN_INVITATION", [])


async def a_new_address_is_taken_and_a_taken_one_refused(world: World) -> None:
    page = await world.open()
    await world.join(page, "nora", "data_entry")
    slip = await page.invite("nina", "data_entry", email="nina@gmial.com")
    assert slip.suggested_email == "nina@gmail.com"
    assert await told(page.resend(slip.invitation.id, "nora@clinic.example")) == ("USER_EXISTS", [])
    again = await page.resend(slip.invitation.id, "nina@gmail.com")
    assert (again.invitation.email, again.suggested_email) == ("nina@gmail.com", "")
    await page.accept(await world.token(slip.invitation.id))
    members = (await page._call("ListMembers")).members
    assert {(member.username, member.email, member.is_owner) for member in members} == {
        ("olive", "", True), ("nora", "nora@clinic.example", False), ("nina", "nina@gmail.com", False),
    }  # fmt: skip


async def a_free_choice_of_actions_is_a_role_of_that_user_alone(world: World) -> None:
    page = await world.open()
    revision = await world.join(page, "nina", actions=("claim:view", "report:generate"))
    assert await world.allowed("nina", revision) == {"claim:view", "report:generate"}
    shown = await page.permissions("nina")
    assert {(one.action, one.role) for one in shown.permissions if one.shown} == {
        ("claim:view", "custom.nina"), ("report:generate", "custom.nina"),
    }  # fmt: skip
    assert [one.action for one in shown.permissions] == list(ACTIONS)
    roles = await page.roles()
    assert list(roles) == ["administrator", "data_entry", "financial_viewer", "owner", "custom.nina"]
    assert (list(roles["custom.nina"].definition.allow), roles["custom.nina"].holders) == (
        ["claim:view", "report:generate"], 1,
    )  # fmt: skip
    assert await told(page.update_role("custom.nina", "claim:view")) == ("INVALID_REQUEST", ["role"])
    revision = (await page.edit("nina", "data_entry")).revision
    assert await world.allowed("nina", revision) == TABLE["data_entry"]
    assert (await page.edit("nina", "data_entry")).revision == revision, "what changes nothing is no change"
    assert "custom.nina" not in await page.roles()


async def revoking_denies_at_its_revision_and_withdraws_what_is_open(world: World) -> None:
    page = await world.open()
    await world.join(page, "nina", "data_entry")
    revision = (await page.revoke("nina")).revision
    assert await world.allowed("nina", revision) == set()
    assert await refusal(page.revoke("nina")) == "NOT_FOUND NOT_A_MEMBER"
    assert await refusal(page.edit("nina", "data_entry")) == "NOT_FOUND NOT_A_MEMBER"
    await page.invite("nina", "administrator", reuse_existing=True)
    await page.revoke("nina")
    assert [one.username for one in await page.pending("WITHDRAWN")] == ["nina"]
    assert not (await page.permissions("nina")).roles


def writes(page: Page, user: str, invitation: str) -> list[Awaitable[Any]]:
    """Every writing call that needs a right."""
    return [
        page.invite("new", "data_entry"),
        page.resend(invitation),
        page.cancel(invitation),
        page.edit(user, "administrator"),
        page.revoke(user),
        page.create_role("desk2", "claim:view"),
        page.update_role("desk", "claim:save"),
        page.delete_role("desk"),
    ]


async def only_the_owner_writes_and_only_those_who_may_list(world: World) -> None:
    page, _ = await world.open(), await world.open("dr-b", "oscar")
    await page.create_role("desk", "claim:view")
    for user, role in (("adele", "administrator"), ("dan", "data_entry"), ("vic", "desk")):
        await world.join(page, user, role)
    invitation = (await page.invite("waiting", "data_entry")).invitation.id
    for actor in ("adele", "dan", "vic", "oscar", "nobody", "waiting"):
        for call in writes(page.by(actor), "vic", invitation):
            assert await refusal(call) == "PERMISSION_DENIED ACTOR_NOT_ALLOWED"
        for call in (page.by(actor).members(), page.by(actor).roles(), page.by(actor).pending()):
            assert await refusal(call) == ("OK" if actor == "adele" else "PERMISSION_DENIED ACTOR_NOT_ALLOWED")
    for call in writes(Page(world.users, "olive", "dr-none"), "vic", invitation):
        assert await refusal(call) == "NOT_FOUND UNKNOWN_PHYSICIAN"
    assert await refusal(page.register()) == "ALREADY_EXISTS PHYSICIAN_EXISTS"


async def an_account_keeps_its_owner_and_nobody_edits_themselves(world: World) -> None:
    page = await world.open()
    assert await refusal(page.edit("olive", "data_entry")) == "FAILED_PRECONDITION LAST_OWNER"
    assert await refusal(page.revoke("olive")) == "FAILED_PRECONDITION LAST_OWNER"
    assert await refusal(page.invite("olive", "data_entry", reuse_existing=True)) == "PERMISSION_DENIED SELF_EDIT"
    # A role of the owner's own, which takes from what they may.
    await page.create_role("quiet", "claim:view", deny=("invoice:pay",))
    revision = await world.grant("olive", "dr-a", "quiet")
    assert await world.check("olive", "invoice:pay", revision) == "DENIED_BY_RULE"
    assert await refusal(page.update_role("quiet", "claim:view")) == "PERMISSION_DENIED SELF_EDIT"
    assert await refusal(page.delete_role("quiet", "data_entry")) == "PERMISSION_DENIED SELF_EDIT"


async def nobody_gives_what_is_the_owners_alone_or_more_than_they_hold(world: World) -> None:
    page = await world.open()
    await page.create_role("desk", "claim:view")
    await world.join(page, "vic", "desk")
    givings: list[Callable[..., Awaitable[Any]]] = [
        lambda *actions: page.invite("new", actions=actions),
        lambda *actions: page.edit("vic", actions=actions),
        lambda *actions: page.create_role("mine", *actions),
        lambda *actions: page.update_role("desk", *actions),
    ]
    for give in givings:
        for action in OWNER_ONLY:
            assert await refusal(give("claim:view", action)) == "FAILED_PRECONDITION OWNER_ONLY"
    for call in (
        page.invite("new", "owner"),
        page.edit("vic", "owner"),
        page.create_role("mine", "claim:view", includes=("owner",)),
        page.delete_role("desk", "owner"),
    ):
        assert await refusal(call) == "FAILED_PRECONDITION OWNER_ONLY"
    await page.create_role("quiet", "claim:view", deny=("invoice:pay",))
    await world.grant("olive", "dr-a", "quiet")
    for give in givings:
        assert await refusal(give("claim:view", "invoice:pay")) == "PERMISSION_DENIED BEYOND_OWN_RIGHTS"
    for call in (page.invite("new", "administrator"), page.create_role("mine", includes=("financial_viewer",))):
        assert await refusal(call) == "PERMISSION_DENIED BEYOND_OWN_RIGHTS"
    await page.invite("new", "data_entry")


async def what_was_invited_is_looked_at_again_on_accepting(world: World) -> None:
    page = await world.open()
    token = await world.token((await page.invite("nina", "data_entry")).invitation.id)
    await page.create_role("mute", "claim:view", deny=("user:invite",))
    await world.grant("olive", "dr-a", "mute")
    for _ in range(2):
        assert await refusal(page.accept(token)) == "PERMISSION_DENIED ACTOR_NOT_ALLOWED"
    assert "nina" not in await page.members()


async def custom_roles_are_made_included_denied_and_replaced(world: World) -> None:
    page = await world.open()
    await page.create_role("desk", "claim:view", "claim:save")
    assert await refusal(page.create_role("desk", "claim:view")) == "ALREADY_EXISTS ROLE_EXISTS"
    await world.join(page, "nina", "desk")
    await page.create_role("front", includes=("desk",))
    await page.update_role("desk", "claim:view", includes=("financial_viewer",), deny=("invoice:pay",))
    revision = await world.join(page, "fay", "front", "administrator")
    assert await world.allowed("nina", revision) == TABLE["financial_viewer"] - {"invoice:pay"}
    assert await world.check("fay", "invoice:pay", revision) == "DENIED_BY_RULE"
    explained = await world.decisions("Explain", pb.ExplainRequest(check=question("fay", "dr-a", "invoice:pay")))
    assert [(step.subject, step.role) for step in explained.path] == [("user:fay", "front"), ("role:front", "desk")]
    assert (explained.rule.subject, explained.rule.effect, explained.decision.role) == ("role:desk", "deny", "front")
    assert "as front, which includes desk, a rule denies it" in explained.sentence
    roles = await page.roles()
    assert (roles["desk"].holders, roles["front"].holders) == (1, 1)
    assert set(roles["front"].allowed) == TABLE["financial_viewer"] - {"invoice:pay"}
    assert await refusal(page.delete_role("desk")) == "FAILED_PRECONDITION ROLE_IN_USE"
    assert await refusal(page.delete_role("desk", "desk")) == "FAILED_PRECONDITION ROLE_IN_USE"
    revision = (await page.delete_role("desk", "data_entry")).revision
    assert await world.allowed("nina", revision) == TABLE["data_entry"]
    assert list((await page.roles())["front"].definition.includes) == ["data_entry"]
    for call in (page.delete_role("desk"), page.update_role("desk", "claim:view"), page.edit("nina", "desk")):
        assert await refusal(call) == "NOT_FOUND UNKNOWN_ROLE"
    for call in (page.update_role("owner", "claim:view"), page.delete_role("data_entry")):
        assert await refusal(call) == "FAILED_PRECONDITION BUILT_IN_ROLE"
    assert await refusal(page.create_role("data_entry", "claim:view")) == "FAILED_PRECONDITION BUILT_IN_ROLE"


async def a_role_that_an_invitation_names_stays(world: World) -> None:
    page = await world.open()
    await page.create_role("desk", "claim:view")
    invitation = (await page.invite("nina", "desk")).invitation.id
    assert await told(page.delete_role("desk", "data_entry")) == ("ROLE_IN_USE", [])
    await page.cancel(invitation)
    await page.delete_role("desk")


async def roles_include_each_other_neither_in_circles_nor_too_deeply(world: World) -> None:
    page = await world.open()
    await page.create_role("r1", "claim:view")
    for number in range(2, 9):
        await page.create_role(f"r{number}", includes=(f"r{number - 1}",))
    revision = await world.join(page, "nina", "r8")
    assert await world.check("nina", "claim:view", revision) == "GRANTED"
    assert await told(page.update_role("r1", includes=("r8",))) == ("ROLE_CHAIN_TOO_LONG", [])
    assert await told(page.update_role("r1", includes=("r1",))) == ("ROLE_CHAIN_TOO_LONG", [])
    await page.create_role("r9", includes=("r8",))
    assert await told(page.edit("nina", "r9")) == ("ROLE_CHAIN_TOO_LONG", [])
    assert await told(page.create_role("r10", includes=("r10",))) == ("UNKNOWN_ROLE", [])
    token = await world.token((await page.invite("nora", "r9")).invitation.id)
    assert await told(page.accept(token)) == ("ROLE_CHAIN_TOO_LONG", [])


async def a_repeated_key_is_answered_again_and_another_request_under_it_refused(world: World) -> None:
    page = await world.open()
    first = await page.invite("nina", "data_entry", idempotency_key="k1")
    again = await page.invite("nina", "data_entry", idempotency_key="k1")
    assert (again.revision, again.invitation.id) == (first.revision, first.invitation.id)
    assert len(await page.pending()) == 1
    for call in (
        page.invite("nora", "data_entry", idempotency_key="k1"),
        page.cancel(first.invitation.id, idempotency_key="k1"),
    ):
        assert await refusal(call) == "FAILED_PRECONDITION IDEMPOTENCY_KEY_REUSED"
    # What was refused leaves its key free.
    assert await told(page.revoke("nora", idempotency_key="k2")) == ("NOT_A_MEMBER", [])
    await page.cancel(first.invitation.id, idempotency_key="k2")


async def lists_come_in_pages_of_one_list(world: World) -> None:
    page = await world.open()
    for number in range(5):
        revision = await world.join(page, f"n{number}", "data_entry")
    request = pb.ListUsersRequest(physician="dr-a", action="claim:save", page_size=2, min_revision=revision)
    found: list[str] = []
    while True:
        response = await world.decisions("ListUsers", request)
        found += [access.user for access in response.users]
        if not (token := response.next_page_token):
            break
        request.page_token = token
    assert found == [*(f"n{number}" for number in range(5)), "olive"]
    other = pb.ListUsersRequest(physician="dr-a", action="claim:view", page_size=2, page_token=request.page_token)
    assert await refusal(world.decisions("ListUsers", other)) == "INVALID_ARGUMENT INVALID_REQUEST"
    other.page_token = "garbage"
    assert await refusal(world.decisions("ListUsers", other)) == "INVALID_ARGUMENT INVALID_REQUEST"
    request.min_revision = (await page.revoke("n0")).revision
    assert await refusal(world.decisions("ListUsers", request)) == "ABORTED LIST_CHANGED"
    newest = [one.username for one in await page.pending("ACCEPTED")]
    assert newest == [f"n{number}" for number in range(4, -1, -1)]
    asked = mu.ListInvitationsRequest(actor="olive", physician="dr-a", states=[mu.INVITATION_STATE_ACCEPTED])
    asked.page_size, found = 2, []
    while True:
        answer = await world.users("ListInvitations", asked)
        found += [one.username for one in answer.invitations]
        if not (token := answer.next_page_token):
            break
        asked.page_token = token
    assert found == newest


ACCOUNT = {"actor": "olive", "physician": "dr-a"}
NINA = {**ACCOUNT, "username": "nina", "email": "nina@clinic.example", "permissions": mu.Permissions(roles=["desk"])}
BAD_FIELDS = [
    (mu.RegisterPhysicianRequest(actor="*", physician="d r", owner=""), ["actor", "owner", "physician"]),
    (mu.RegisterPhysicianRequest(**ACCOUNT, owner="o", display_name="Dr.\nA"), ["display_name"]),
    (mu.InviteUserRequest(), ["actor", "email", "permissions", "physician", "username"]),
    *((mu.InviteUserRequest(**{**NINA, "email": bad}), ["email"]) for bad in (
        "nobody", "a@b@c.example", "a@b", ".a@b.example", "a..b@c.example", "a@-b.example", "a@b.example\n", "a@b.test",
        "n\u0131na@c.example", "a" * 250 + "@b.example", '"a b"@c.example', "a@[127.0.0.1]", "<a@b.example>",
    )),
    (mu.InviteUserRequest(**{**NINA, "permissions": mu.Permissions(roles=["d"], actions=["claim:view"])}),
     ["permissions"]),
    (mu.InviteUserRequest(**{**NINA, "permissions": mu.Permissions(roles=["a b", "custom.x"])}), ["permissions.roles"]),
    (mu.InviteUserRequest(**{**NINA, "permissions": mu.Permissions(actions=["x:y"])}), ["permissions.actions"]),
    (mu.InviteUserRequest(**NINA, idempotency_key="a b"), ["idempotency_key"]),
    (mu.ListInvitationsRequest(**ACCOUNT, states=[0]), ["states"]),
    (mu.ListInvitationsRequest(**ACCOUNT, page_token="?"), ["page_token"]),
    (mu.ResendInvitationRequest(**ACCOUNT, invitation_id="\n", email="x"), ["email", "invitation_id"]),
    (mu.CancelInvitationRequest(**ACCOUNT, invitation_id="i" * 65), ["invitation_id"]),
    (mu.AcceptInvitationRequest(token="t", idempotency_key="*"), ["idempotency_key"]),
    (mu.ListMembersRequest(), ["actor", "physician"]),
    (mu.GetPermissionsRequest(**ACCOUNT), ["username"]),
    (mu.UpdatePermissionsRequest(**ACCOUNT, username="nina"), ["permissions"]),
    (mu.RevokeAccessRequest(**ACCOUNT, username="n*"), ["username"]),
    (mu.CreateRoleRequest(**ACCOUNT, role="desk"), ["definition"]),
    (mu.CreateRoleRequest(**ACCOUNT, role="desk", definition={"deny": ["claim:view"]}), ["definition"]),
    (mu.UpdateRoleRequest(**ACCOUNT, role="desk", definition={"allow": ["x"], "deny": ["x"], "includes": ["X"]}),
     ["definition.allow", "definition.deny", "definition.includes"]),
    (mu.DeleteRoleRequest(**ACCOUNT, role="Desk"), ["role"]),
    (mu.DeleteRoleRequest(**ACCOUNT, role="desk", replacement="Desk"), ["replacement"]),
    (mu.ListRolesRequest(actor="olive"), ["physician"]),
    (pb.CheckRequest(user="*", physician="", action="x", channel=7, resource="\n", correlation_id="\xe9"),
     ["action", "channel", "correlation_id", "physician", "resource", "user"]),
    (pb.BatchCheckRequest(), ["checks"]),
    (pb.BatchCheckRequest(checks=[question("a", "d", "claim:view"), question("", "d", "x")]),
     ["checks[1].action", "checks[1].user"]),
    (pb.ExplainRequest(check=question("user:ann", "dr-a", "claim:view")), ["user"]),
    (pb.ListActionsRequest(user="a b", physician="d@", channel=-1), ["channel", "physician", "user"]),
    (pb.ListUsersRequest(physician="dr-a", action="claim"), ["action"]),
    (pb.ListPhysiciansRequest(user="", action="*"), ["action", "user"]),
]  # fmt: skip


async def bad_input_is_named_by_field(world: World) -> None:
    await world.open()
    for request, fields in BAD_FIELDS:
        wire = world.decisions if type(request).__module__.endswith("decision_pb2") else world.users
        try:
            await wire(type(request).__name__.removesuffix("Request"), request)
        except Refused as refused:
            found = (refused.code, refused.reason, sorted(refused.fields))
            assert found == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", fields), request
        else:
            raise AssertionError(f"not refused: {request}")


SCENARIOS = [
    each_role_allows_what_the_table_says,
    what_is_unknown_is_denied_with_its_reason,
    a_batch_is_answered_in_order_at_one_revision,
    an_open_invitation_grants_nothing_and_its_token_works_once,
    a_token_ends_with_its_invitation,
    an_expired_invitation_is_sent_again_or_made_anew,
    an_existing_user_is_invited_only_on_purpose,
    a_name_is_free_again_when_its_last_invitation_ends_unused,
    a_new_address_is_taken_and_a_taken_one_refused,
    a_free_choice_of_actions_is_a_role_of_that_user_alone,
    revoking_denies_at_its_revision_and_withdraws_what_is_open,
    only_the_owner_writes_and_only_those_who_may_list,
    an_account_keeps_its_owner_and_nobody_edits_themselves,
    nobody_gives_what_is_the_owners_alone_or_more_than_they_hold,
    what_was_invited_is_looked_at_again_on_accepting,
    custom_roles_are_made_included_denied_and_replaced,
    a_role_that_an_invitation_names_stays,
    roles_include_each_other_neither_in_circles_nor_too_deeply,
    a_repeated_key_is_answered_again_and_another_request_under_it_refused,
    lists_come_in_pages_of_one_list,
    bad_input_is_named_by_field,
]
