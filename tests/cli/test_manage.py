"""The users and roles commands against a real gRPC server that says what the test tells it to."""

import json
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client._pb import manage_users_pb2 as mu
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted, failing
from policy_service.cli import links, output
from policy_service.cli.main import app

BY_LINK = ("accept", "decline", "look-up", "complete", "confirm-address")
"""Commands of whoever holds a link, whom it names."""
USER_EXISTS = failing(
    grpc.StatusCode.FAILED_PRECONDITION, "USER_EXISTS", words="This username or address exists already."
)


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def run(script, monkeypatch):
    """Runs a command, as ama unless it says otherwise; the result."""
    server, port = script.start()
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.delenv("MANAGE_USERS_ACTOR", raising=False)
    monkeypatch.setattr(output.out, "_width", 200)

    def command(*words: str, typed: str | None = None, actor: str | None = "ama") -> Any:
        who = ["--as", actor] if actor and words[1] not in BY_LINK else []
        return CliRunner().invoke(app, [*words, *who], input=typed)

    yield command
    server.stop(None).wait()


@pytest.fixture
def terminal(monkeypatch):
    """Somebody is there to answer."""
    monkeypatch.setattr(output, "somebody_there", lambda: True)
    monkeypatch.setattr(links, "somebody_there", lambda: True)


def stamp(day: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2030, 1, day, 9, 30, tzinfo=UTC))
    return moment


def invitation(username: str = "ellie", state: Any = mu.DELIVERY_STATE_QUEUED, **delivery: Any) -> mu.Invitation:
    return mu.Invitation(
        id=f"i-{username}",
        physician="dr-osei",
        username=username,
        email=f"{username}@example.org",
        permissions=mu.Permissions(roles=["data_entry"]),
        state=mu.INVITATION_STATE_PENDING,
        invited_by="ama",
        invited_at=stamp(1),
        expires_at=stamp(8),
        delivery=mu.Delivery(state=state, **delivery),
    )


WRITES = [
    (("users", "register", "dr-new", "zoe"), mu.RegisterPhysicianResponse(revision=7)),
    (("users", "cancel", "dr-osei", "i-1"), mu.CancelInvitationResponse(revision=7)),
    (("users", "edit", "dr-osei", "mia", "--role", "data_entry"), mu.UpdatePermissionsResponse(revision=7)),
    (("users", "revoke", "dr-osei", "mia", "--yes"), mu.RevokeAccessResponse(revision=7)),
    (("users", "leave", "dr-osei", "--yes"), mu.LeaveAccountResponse(revision=7)),
    (("roles", "create", "dr-osei", "desk", "--allow", "claim:view"), mu.CreateRoleResponse(revision=7)),
    (("roles", "edit", "dr-osei", "desk", "--allow", "claim:view"), mu.UpdateRoleResponse(revision=7)),
    (("roles", "delete", "dr-osei", "desk"), mu.DeleteRoleResponse(revision=7)),
]
OTHERS = [
    (("users", "address", "mia@example.org"), mu.ChangeAddressResponse(revision=7, expires_at=stamp(8))),
    (("users", "decline", "t0ken"), mu.DeclineInvitationResponse(revision=7, username="ellie", physician="dr-osei")),
    (("users", "complete", "t0ken"), mu.CompleteSetupResponse(revision=7, username="ellie", physician="dr-osei")),
    (("users", "confirm-address", "t0ken"), mu.ConfirmAddressResponse(revision=7, username="e", email="e@b.example")),
    (
        ("users", "invite", "dr-osei", "e@example.org", "ellie", "--role", "data_entry"),
        mu.InviteUserResponse(revision=7, invitation=invitation()),
    ),
    (("users", "resend", "dr-osei", "i-1"), mu.ResendInvitationResponse(revision=7, invitation=invitation())),
    (("users", "accept", "t0ken"), mu.AcceptInvitationResponse(revision=7, username="ellie", physician="dr-osei")),
    (("users", "look-up", "t0ken"), mu.LookUpInvitationResponse(username="ellie", state=1, expires_at=stamp(8))),
    (("users", "pending", "dr-osei"), mu.ListInvitationsResponse(invitations=[invitation()])),
    (("users", "list", "dr-osei"), mu.ListMembersResponse(revision=7)),
    (("users", "show", "dr-osei", "mia"), mu.GetPermissionsResponse(revision=7, roles=["data_entry"])),
    (("roles", "list", "dr-osei"), mu.ListRolesResponse(revision=7)),
]


@pytest.mark.parametrize(("words", "response"), WRITES)
def test_a_write_says_what_was_done_and_its_revision(script, run, words, response):
    script.answers = [response]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("done: ")
    assert result.stdout.endswith("(revision 7)\n")
    assert json.loads(run(*words, "--json").stdout) == {"revision": 7, "token": "7"}
    assert [asked.actor for asked in script.asked] == ["ama", "ama"]
    assert len({asked.idempotency_key for asked in script.asked} - {""}) == 2


@pytest.mark.parametrize(("words", "response"), WRITES + OTHERS)
@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "LAST_OWNER", 1),
        (grpc.StatusCode.PERMISSION_DENIED, "ACTOR_NOT_ALLOWED", 1),
        (grpc.StatusCode.ALREADY_EXISTS, "ROLE_EXISTS", 1),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", 2),
        (grpc.StatusCode.NOT_FOUND, "NOT_A_MEMBER", 2),
        (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED", 2),
        (grpc.StatusCode.INTERNAL, "INTERNAL", 2),
    ],
)
def test_a_refusal_exits_with_1_and_an_error_with_2(script, run, words, response, code, reason, exit_code):
    script.answers = [failing(code, reason, words="physician is empty")]
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", "error: physician is empty\n")


@pytest.mark.parametrize(("words", "response"), [call for call in WRITES + OTHERS if call[0][1] not in BY_LINK])
def test_the_acting_person_must_be_named(script, run, words, response, monkeypatch):
    script.answers = [response]
    result = run(*words, actor=None)
    assert (result.exit_code, script.asked) == (2, [])
    assert "--as" in result.stderr
    monkeypatch.setenv("MANAGE_USERS_ACTOR", "priya")
    assert run(*words, actor=None).exit_code == 0
    assert script.asked[0].actor == "priya"


@pytest.mark.parametrize("words", [words for words, _ in WRITES + OTHERS])
def test_a_service_that_is_not_there_is_an_error(run, words):
    result = run(*words, "--address", "127.0.0.1:1")
    assert result.exit_code == 2
    assert "Is the service running at 127.0.0.1:1?" in result.stderr


def test_plain_text_beyond_this_machine_and_a_missing_file_are_errors(run):
    abroad = run("users", "list", "dr-osei", "--address", "policy.example:1")
    assert (abroad.exit_code, abroad.stdout) == (2, "")
    assert "--tls-ca" in abroad.stderr
    assert run("users", "list", "dr-osei", "--tls-ca", "/nowhere").exit_code == 2


def test_an_invitation_is_sent_and_told(script, run):
    script.answers = [mu.InviteUserResponse(revision=7, invitation=invitation(), suggested_email="ellie@example.com")]
    words = ("users", "invite", "dr-osei", "ellie@example.org", "ellie", "--role", "data_entry", "--role", "desk")
    result = run(*words)
    assert result.exit_code == 0
    assert "invited ellie at ellie@example.org, to hold data_entry; open until 2030-01-08 09:30 UTC" in result.stdout
    assert "resend dr-osei i-ellie --email ellie@example.com" in result.stdout
    (asked,) = script.asked
    assert (asked.physician, asked.email, asked.username) == ("dr-osei", "ellie@example.org", "ellie")
    assert list(asked.permissions.roles) == ["data_entry", "desk"]
    assert not asked.reuse_existing
    found = json.loads(run(*words, "--json").stdout)
    assert (found["revision"], found["suggested_email"]) == (7, "ellie@example.com")
    assert found["invitation"]["expires_at"] == "2030-01-08T09:30:00+00:00"
    assert found["invitation"]["delivery"] == {
        "state": "queued",
        "next_try": None,
        "words": "",
        "advice": [],
        "our_fault": False,
    }


def test_actions_can_be_chosen_freely(script, run):
    script.answers = [mu.InviteUserResponse(revision=7, invitation=invitation())]
    run("users", "invite", "dr-osei", "e@example.org", "ellie", "--action", "claim:view", "--action", "claim:save")
    assert list(script.asked[0].permissions.actions) == ["claim:view", "claim:save"]
    script.answers = [mu.UpdatePermissionsResponse(revision=7)]
    run("users", "edit", "dr-osei", "mia", "--action", "claim:view")
    assert list(script.asked[1].permissions.actions) == ["claim:view"]
    assert not script.asked[1].permissions.roles


INVITE = ("users", "invite", "dr-osei", "mia@example.org", "mia", "--role", "data_entry")


def test_nobody_is_reused_without_being_asked_about(script, run):
    script.answers = [USER_EXISTS]
    result = run(*INVITE)
    assert (result.exit_code, result.stdout, len(script.asked)) == (2, "", 1)
    assert "exists already" in result.stderr
    assert "--reuse-existing" in result.stderr


@pytest.mark.parametrize("typed", ["n\n", "\n"])
def test_no_means_nobody_is_invited(script, run, terminal, typed):
    script.answers = [USER_EXISTS]
    result = run(*INVITE, typed=typed)
    assert (result.exit_code, len(script.asked)) == (1, 1)
    assert "mia or mia@example.org exists already. Invite mia, who keeps their credentials? [y/N]" in result.stderr


def test_yes_invites_the_existing_user(script, run, terminal):
    script.answers = [USER_EXISTS, mu.InviteUserResponse(revision=7, invitation=invitation("mia"))]
    result = run(*INVITE, "--json", typed="y\n")
    assert result.exit_code == 0
    assert json.loads(result.stdout.partition("y\n")[2])["revision"] == 7  # what is typed is echoed there by the runner
    assert [asked.reuse_existing for asked in script.asked] == [False, True]
    script.answers = [mu.InviteUserResponse(revision=7, invitation=invitation("mia"))]
    assert run(*INVITE, "--reuse-existing").exit_code == 0
    assert script.asked[-1].reuse_existing


def test_a_refusal_after_yes_is_told(script, run, terminal):
    script.answers = [USER_EXISTS, failing(grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_A_MEMBER", words="works here")]
    result = run(*INVITE, typed="y\n")
    assert result.exit_code == 1
    assert result.stderr.endswith("error: works here\n")


def test_pending_invitations_are_shown_with_what_to_do(script, run):
    script.answers = [
        mu.ListInvitationsResponse(
            invitations=[
                invitation("ellie", mu.DELIVERY_STATE_SENT, advice=["Look in the spam folder."]),
                invitation(
                    "omar",
                    mu.DELIVERY_STATE_DELAYED,
                    next_try=stamp(2),
                    words="451 [try] later",
                    advice=["Wait an hour."],
                ),
            ],
            next_page_token="t",
        ),
        mu.ListInvitationsResponse(
            invitations=[
                invitation("zoe", mu.DELIVERY_STATE_BOUNCED, words="550 no", advice=["Check the address.", "Resend."])
            ]
        ),
    ]
    result = run("users", "pending", "dr-osei")
    assert result.exit_code == 0
    assert "3 pending for dr-osei" in result.stdout
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    start = next(at for at, line in enumerate(lines) if line[0].strip() == "i-omar")
    assert [[cell.strip() for cell in line if cell] for line in lines[start : start + 3]] == [
        ["i-omar", "omar", "data_entry", "pending", "2030-01-08 09:30 UTC"],
        ["omar@example.org", "delayed"],
        ["next try 2030-01-02 09:30 UTC"],
    ]
    assert "omar's e-mail is delayed: 451 [try] later\n  - Wait an hour.\n" in result.stdout
    assert "zoe's e-mail is bounced: 550 no\n  - Check the address.\n  - Resend.\n" in result.stdout
    assert "spam" not in result.stdout
    assert [list(asked.states) for asked in script.asked] == [[], []]
    assert [asked.page_token for asked in script.asked] == ["", "t"]


def test_all_asks_for_every_state(script, run):
    closed = invitation("ellie", mu.DELIVERY_STATE_BOUNCED, advice=["Too late."])
    closed.state = mu.INVITATION_STATE_CANCELLED
    script.answers = [mu.ListInvitationsResponse(invitations=[closed])]
    result = run("users", "pending", "dr-osei", "--all")
    assert sorted(script.asked[0].states) == sorted(set(mu.InvitationState.values()) - {0})
    assert "cancelled" in result.stdout
    assert "Too late" not in result.stdout
    (found,) = json.loads(run("users", "pending", "dr-osei", "--all", "--json").stdout)
    assert (found["state"], found["holding"]) == ("cancelled", {"roles": ["data_entry"], "actions": []})


def test_states_newer_than_the_command_are_shown_as_other(script, run):
    newer = invitation("ellie", 99)
    newer.state = 98
    script.answers = [mu.ListInvitationsResponse(invitations=[newer])]
    assert run("users", "pending", "dr-osei").stdout.count("other") == 2


def test_resending_can_take_another_address(script, run):
    script.answers = [mu.ResendInvitationResponse(revision=7, invitation=invitation())]
    assert run("users", "resend", "dr-osei", "i-1").exit_code == 0
    assert run("users", "resend", "dr-osei", "i-1", "--email", "e@example.com").exit_code == 0
    assert [(asked.invitation_id, asked.email) for asked in script.asked] == [("i-1", ""), ("i-1", "e@example.com")]


@pytest.mark.parametrize(("new", "words"), [(True, "must set up credentials"), (False, "keeps their credentials")])
def test_accepting_tells_about_credentials(script, run, new, words):
    script.answers = [
        mu.AcceptInvitationResponse(revision=7, username="ellie", physician="dr-osei", must_set_up_credentials=new)
    ]
    result = run("users", "accept", "t0ken")
    assert (result.exit_code, result.stdout) == (0, f"done: ellie works on dr-osei, and {words} (revision 7)\n")
    assert json.loads(run("users", "accept", "t0ken", "--json").stdout)["must_set_up_credentials"] is new


def test_a_token_can_come_by_standard_input(script, run):
    script.answers = [mu.AcceptInvitationResponse(revision=7)]
    assert run("users", "accept", typed="t0ken\n").exit_code == 0
    assert script.asked[0].token == "t0ken"


def test_a_token_is_asked_for_and_not_shown(script, run, terminal):
    script.answers = [mu.AcceptInvitationResponse(revision=7)]
    result = run("users", "accept", typed="t0ken\n")
    assert (result.exit_code, script.asked[0].token) == (0, "t0ken")
    assert "t0ken" not in result.output


def test_members_are_listed(script, run):
    members = mu.ListMembersResponse(
        revision=7,
        members=[
            mu.Member(username="ama", roles=["owner"], is_owner=True, may_act=True, is_set_up=True),
            mu.Member(username="mia", email="mia@example.org", roles=["data_entry", "desk"], may_act=True),
        ],
    )
    script.answers = [
        members,
        mu.ListInvitationsResponse(
            invitations=[
                invitation(state=mu.DELIVERY_STATE_FAILED, words="cannot be written"),
                invitation("zoe", mu.DELIVERY_STATE_SENT),
            ]
        ),
    ]
    lines = run("users", "list", "dr-osei").stdout.splitlines()
    assert any(line.split() == ["ama", "owner", "yes", "yes", "yes"] for line in lines)
    assert any(line.split() == ["mia", "mia@example.org", "data_entry,", "desk", "yes", "no"] for line in lines)
    assert "2 may act for dr-osei; revision 7" in lines
    assert [line for line in lines if "e-mail is" in line] == ["ellie's e-mail is not sent: cannot be written"]
    script.answers = [members]
    found = json.loads(run("users", "list", "dr-osei", "--json").stdout)
    ama = {
        "username": "ama", "email": "", "roles": ["owner"], "is_owner": True, "may_act": True, "is_set_up": True,
    }  # fmt: skip
    assert found["members"][0] == ama


def test_the_edit_view_shows_every_action(script, run):
    script.answers = [
        mu.GetPermissionsResponse(
            permissions=[
                mu.Permission(action="claim:view", shown=True, role="data_entry"),
                mu.Permission(action="invoice:pay"),
            ],
            roles=["data_entry"],
            revision=7,
        )
    ]
    lines = run("users", "show", "dr-osei", "mia").stdout.splitlines()
    assert any(line.split() == ["claim:view", "yes", "data_entry"] for line in lines)
    assert any(line.split() == ["invoice:pay", "no"] for line in lines)
    assert "mia for dr-osei, roles: data_entry; revision 7" in lines
    found = json.loads(run("users", "show", "dr-osei", "mia", "--json").stdout)
    assert found["actions"][1] == {"action": "invoice:pay", "shown": False, "role": None}


def test_revoking_asks_first(script, run, terminal):
    script.answers = [mu.RevokeAccessResponse(revision=7)]
    refused = run("users", "revoke", "dr-osei", "mia", typed="n\n")
    assert (refused.exit_code, script.asked) == (1, [])
    agreed = run("users", "revoke", "dr-osei", "mia", typed="y\n")
    assert agreed.exit_code == 0
    assert script.asked[0].username == "mia"


def test_revoking_needs_yes_where_nobody_is_there(script, run):
    script.answers = [mu.RevokeAccessResponse(revision=7)]
    result = run("users", "revoke", "dr-osei", "mia")
    assert (result.exit_code, script.asked) == (2, [])
    assert "--yes" in result.stderr


def test_a_role_is_made_of_what_is_named(script, run):
    script.answers = [mu.CreateRoleResponse(revision=7)]
    run("roles", "create", "dr-osei", "desk", "--allow", "claim:view", "--allow", "claim:save", "--deny", "invoice:pay")
    script.answers = [mu.UpdateRoleResponse(revision=7)]
    run("roles", "edit", "dr-osei", "desk", "--include", "data_entry")
    created, edited = (asked.definition for asked in script.asked)
    assert (list(created.allow), list(created.deny)) == (["claim:view", "claim:save"], ["invoice:pay"])
    assert (list(edited.allow), list(edited.includes)) == ([], ["data_entry"])


def test_deleting_a_role_can_name_a_replacement(script, run):
    script.answers = [mu.DeleteRoleResponse(revision=7)]
    run("roles", "delete", "dr-osei", "desk")
    run("roles", "delete", "dr-osei", "desk", "--replacement", "data_entry")
    assert [asked.replacement for asked in script.asked] == ["", "data_entry"]


def test_roles_are_listed_with_what_they_are_made_of(script, run):
    script.answers = [
        mu.ListRolesResponse(
            revision=7,
            roles=[
                mu.RoleInfo(role="data_entry", built_in=True, allowed=["claim:view"], holders=2),
                mu.RoleInfo(
                    role="desk",
                    definition=mu.RoleDefinition(allow=["claim:save"], deny=["claim:delete"], includes=["data_entry"]),
                    allowed=["claim:view", "claim:save"],
                ),
            ],
        )
    ]
    lines = run("roles", "list", "dr-osei").stdout.splitlines()
    assert any(line.split() == ["data_entry", "built", "in", "2", "claim:view"] for line in lines)
    assert any("includes data_entry; allows claim:save; denies claim:delete" in line for line in lines)
    found = json.loads(run("roles", "list", "dr-osei", "--json").stdout)
    assert found["roles"][1]["definition"]["deny"] == ["claim:delete"]
