"""Commands for the people who act on a physician's account, through the same client as everybody."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs

import typer
from policy_client import Delivery, DeliveryState, Invitation, InvitationState, Invited, ManageUsersClient, UserExists
from rich.markup import escape
from rich.table import Column

from policy_service.cli.again import command_again
from policy_service.cli.calling import Actor, AsJson, Physician, User, managing, plain
from policy_service.cli.letters import read_letter
from policy_service.cli.output import (
    Exit,
    ask,
    out,
    print_done,
    print_error,
    print_json,
    print_table,
    somebody_there,
    when,
    yes_no,
)

Token = Annotated[
    str | None,
    typer.Argument(
        metavar="LINK",
        help="The e-mail's link, or the token in it; left out, it is read from standard input and stays out of "
        "histories.",
    ),
]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="An e-mail address.")]
InvitationId = Annotated[str, typer.Argument(metavar="INVITATION", help="An invitation, by its id in 'users pending'.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role to hold. Can be repeated.")]
Actions = Annotated[
    list[str] | None, typer.Option("--action", help='Instead of roles: an action, as "claim:view". Can be repeated.')
]

_DELIVERY = {
    DeliveryState.QUEUED: "queued",
    DeliveryState.SENT: "[green]sent[/green]",
    DeliveryState.DELAYED: "[yellow]delayed[/yellow]",
    DeliveryState.BOUNCED: "[red]bounced[/red]",
    DeliveryState.FAILED: "[red]not sent[/red]",
    DeliveryState.OTHER: "other",
}

app = typer.Typer(help="Who works on an account: invite, list, edit, revoke.", no_args_is_help=True)


@app.command()
@managing
def register(
    client: ManageUsersClient,
    physician: Physician,
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="The owner's username.")],
    *,
    actor: Actor,
    display_name: Annotated[str, typer.Option(help='How texts for people call the account, "Dr. Ama Osei".')] = "",
    as_json: AsJson = False,
) -> None:
    """Open a physician's account, with its owner."""
    revision = client.register_physician(actor, physician, owner, display_name=display_name)
    print_done(f"{owner} owns {physician}", revision, as_json=as_json)


@app.command()
@managing
def invite(
    client: ManageUsersClient,
    physician: Physician,
    email: Email,
    username: User,
    *,
    context: typer.Context,
    actor: Actor,
    roles: Roles = None,
    actions: Actions = None,
    reuse_existing: Annotated[
        bool, typer.Option("--reuse-existing", help="Invite the user who exists already, who keeps their credentials.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Invite a user by e-mail. Nothing is granted until they accept."""

    def invited(user: str, *, reuse: bool) -> Invited:
        return client.invite_user(
            actor, physician, email, user, roles=roles or (), actions=actions or (), reuse_existing=reuse
        )

    try:
        found = invited(username, reuse=reuse_existing)
    except UserExists as fault:
        existing = fault.user or username
        agreed = ask(f"{username} or {email} exists already. Invite {existing}, who keeps their credentials?")
        if agreed is None:
            held = [*(f"--role={role}" for role in roles or ()), *(f"--action={action}" for action in actions or ())]
            again = command_again(context, "users", "invite", physician, email, existing, *held, "--reuse-existing")
            print_error(f"{fault} To invite the existing user, who keeps their credentials: {again}")
            raise typer.Exit(Exit.ERROR) from fault
        if not agreed:
            print_error("nobody was invited")
            raise typer.Exit(Exit.DENIED) from fault
        found = invited(existing, reuse=True)
    _print_invited(context, "invited", found, as_json=as_json)


@app.command()
@managing
def pending(
    client: ManageUsersClient,
    physician: Physician,
    *,
    actor: Actor,
    every: Annotated[
        bool, typer.Option("--all", help="Accepted, declined, cancelled, expired and withdrawn ones too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the open invitations, how their e-mails fare, and what to do about those that were not sent."""
    states = [state for state in InvitationState if state is not InvitationState.OTHER] if every else []
    found = client.list_invitations(actor, physician, states=states)
    if as_json:
        print_json([plain(invitation) for invitation in found])
        return
    print_table(
        [Column("invitation", no_wrap=True), "user", "to hold", "state and e-mail", "expires"],
        [
            (
                escape(invitation.id),
                escape(f"{invitation.username}\n{invitation.email}"),
                escape(_holding(invitation.holding.roles, invitation.holding.actions)),
                _states(invitation),
                when(invitation.expires_at),
            )
            for invitation in found
        ],
        caption=f"{len(found)} {'in all' if every else 'pending'} for {physician}",
    )
    for invitation in found:
        _print_advice(invitation)


@app.command()
@managing
def resend(
    client: ManageUsersClient,
    physician: Physician,
    invitation: InvitationId,
    *,
    context: typer.Context,
    actor: Actor,
    email: Annotated[str | None, typer.Option(help="Another address than before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send an invitation's e-mail again. The link sent before no longer works."""
    found = client.resend_invitation(actor, physician, invitation, email=email)
    _print_invited(context, "sent again to", found, as_json=as_json)


@app.command()
@managing
def cancel(
    client: ManageUsersClient,
    physician: Physician,
    invitation: InvitationId,
    *,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Withdraw an open invitation."""
    revision = client.cancel_invitation(actor, physician, invitation)
    print_done(f"{invitation} is withdrawn", revision, as_json=as_json)


@app.command()
@managing
def accept(
    client: ManageUsersClient,
    token: Token = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Accept an invitation. The invited person, known by the token, is the one who acts."""
    found = client.accept_invitation(token_of(_link() if token is None else token))
    if as_json:
        print_json(plain(found))
    else:
        credentials = "must set up credentials" if found.must_set_up_credentials else "keeps their credentials"
        print_done(f"{found.username} works on {found.physician}, and {credentials}", found.revision)


@app.command("look-up")
@managing
def look_up(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """What a link leads to, without using it."""
    found = client.look_up_invitation(token_of(_link() if token is None else token))
    if as_json:
        print_json(plain(found))
        return
    print_table(
        ["account", "user", "e-mail", "state", "may then", "until"],
        [
            (
                escape(found.display_name),
                escape(found.username),
                escape(found.email),
                found.state.value,
                escape(", ".join(found.allowed)),
                when(found.expires_at),
            )
        ],
        caption="leads to setting up credentials" if found.must_set_up_credentials else "the user has credentials",
    )


@app.command()
@managing
def decline(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Decline an invitation. The invited person, known by the token, is the one who acts."""
    found = client.decline_invitation(token_of(_link() if token is None else token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username} does not want to work on {found.physician}", found.revision)


@app.command()
@managing
def complete(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Record that the user of an accepted invitation has set up their credentials."""
    found = client.complete_setup(token_of(_link() if token is None else token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username} has set up their credentials", found.revision)


@app.command()
@managing
def leave(
    client: ManageUsersClient,
    physician: Physician,
    *,
    actor: Actor,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give up everything that one holds oneself for PHYSICIAN."""
    if not yes:
        agreed = ask(f"Give up everything that {actor} holds for {physician}?")
        if agreed is None:
            print_error("leaving asks first, and nobody is there to answer: add --yes")
        if not agreed:
            raise typer.Exit(Exit.ERROR if agreed is None else Exit.DENIED)
    revision = client.leave_account(actor, physician)
    print_done(f"{actor} no longer works on {physician}", revision, as_json=as_json)


@app.command()
@managing
def address(client: ManageUsersClient, email: Email, *, actor: Actor, as_json: AsJson = False) -> None:
    """Ask for one's e-mail at another address: a link goes there, and nothing changes until it is used."""
    found = client.change_address(actor, email)
    if as_json:
        print_json(plain(found))
        return
    print_done(f"a link is on its way to {email}, and works until {when(found.expires_at)}", found.revision)
    if found.suggested_email:
        out.print(f"Did you mean {escape(found.suggested_email)}?")


@app.command("confirm-address")
@managing
def confirm_address(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Use the link that went to a new address."""
    found = client.confirm_address(token_of(_link() if token is None else token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username}'s address is {found.email}", found.revision)


@app.command()
def letter(
    email: Email,
    *,
    number: Annotated[
        int | None,
        typer.Option(
            min=1, help="Which of the letters to this address, oldest first. [default: the last]", show_default=False
        ),
    ] = None,
    token: Annotated[bool, typer.Option("--token", help="Print only the token of its link.")] = False,
    data_dir: Annotated[Path, typer.Option(envvar="POLICY_DATA_DIR", help="Where the service keeps its data.")] = Path(
        ".data"
    ),
    wait: Annotated[float, typer.Option(help="Seconds to wait until it is written.")] = 60.0,
) -> None:
    """Read an e-mail that a service without mail server wrote to a file: for development."""
    try:
        sys.stdout.write(
            read_letter(data_dir / "mail", email, number=number, seconds=wait, only_token=token).rstrip("\n") + "\n"
        )
    except LookupError as fault:
        print_error(str(fault.args[0]))
        raise typer.Exit(Exit.ERROR) from fault


@app.command("list")
@managing
def list_members(client: ManageUsersClient, physician: Physician, *, actor: Actor, as_json: AsJson = False) -> None:
    """Everyone who holds anything on the account, with their roles."""
    found = client.list_members(actor, physician)
    if as_json:
        print_json(plain(found))
        return
    print_table(
        ["user", "e-mail", "roles", "owner", "may act", "set up"],
        [
            (
                escape(m.username),
                escape(m.email),
                escape(", ".join(m.roles)),
                "yes" if m.is_owner else "",
                yes_no(m.may_act),
                yes_no(m.is_set_up),
            )
            for m in found.members
        ],
        caption=f"{sum(m.may_act for m in found.members)} may act for {physician}; revision {found.revision}",
    )
    # Somebody who looks whether a person is there should learn why they are not.
    waited_for = client.list_invitations(actor, physician, states=[InvitationState.PENDING, InvitationState.ACCEPTED])
    for invitation in waited_for:
        if invitation.delivery.state in (DeliveryState.FAILED, DeliveryState.BOUNCED):
            _print_advice(invitation)


@app.command()
@managing
def show(
    client: ManageUsersClient, physician: Physician, username: User, *, actor: Actor, as_json: AsJson = False
) -> None:
    """The page's Edit view: every action, shown or hidden for USERNAME, and through which role."""
    found = client.get_permissions(actor, physician, username)
    if as_json:
        print_json(plain(found))
    else:
        print_table(
            ["action", "shown", "through role"],
            [(p.action, yes_no(p.shown), escape(p.role or "")) for p in found.actions],
            caption=f"{username} for {physician}, roles: {', '.join(found.roles) or 'none'}; revision {found.revision}",
        )
    if not found.roles and not found.shown:
        print_error(f"{username} does not work on {physician}: check how the name is spelt")
        raise typer.Exit(Exit.DENIED)


@app.command()
@managing
def edit(
    client: ManageUsersClient,
    physician: Physician,
    username: User,
    *,
    actor: Actor,
    roles: Roles = None,
    actions: Actions = None,
    as_json: AsJson = False,
) -> None:
    """Replace what a member holds: what is not named is taken."""
    revision = client.update_permissions(actor, physician, username, roles=roles or (), actions=actions or ())
    print_done(f"{username} holds {_holding(roles, actions)} for {physician}", revision, as_json=as_json)


@app.command()
@managing
def revoke(
    client: ManageUsersClient,
    physician: Physician,
    username: User,
    *,
    context: typer.Context,
    actor: Actor,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take everything from a member, and withdraw their open invitations to this account."""
    if not yes:
        agreed = ask(f"Take everything that {username} holds for {physician}, and withdraw their invitations?")
        if agreed is None:
            again = command_again(context, "users", "revoke", physician, username, "--yes")
            print_error(f"revoking asks first, and nobody is there to answer: {again}")
        if not agreed:
            raise typer.Exit(Exit.ERROR if agreed is None else Exit.DENIED)
    revision = client.revoke_access(actor, physician, username)
    print_done(f"{username} no longer works on {physician}", revision, as_json=as_json)


def _print_invited(context: typer.Context, done: str, found: Invited, *, as_json: bool) -> None:
    if as_json:
        print_json(plain(found))
        return
    invitation = found.invitation
    holding = _holding(invitation.holding.roles, invitation.holding.actions)
    print_done(
        f"{done} {invitation.username} at {invitation.email}, to hold {holding}; open until "
        f"{when(invitation.expires_at)}, as invitation {invitation.id}",
        found.revision,
    )
    if found.suggested_email:
        meant = found.suggested_email
        again = command_again(context, "users", "resend", invitation.physician, invitation.id, "--email", meant)
        out.print(f"Did you mean {escape(meant)}? Then: {escape(again)}")


def _states(invitation: Invitation) -> str:
    delivery = invitation.delivery
    state = f"{invitation.state.value}, not set up yet" if invitation.awaits_setup else invitation.state.value
    lines = [state, _fares(delivery)]
    return "\n".join([*lines, f"next try {when(delivery.next_try)}"] if delivery.next_try else lines)


def _fares(delivery: Delivery) -> str:
    return _DELIVERY[delivery.state] + (" by our own fault" if delivery.our_fault else "")


def _print_advice(invitation: Invitation) -> None:
    """What to do about an e-mail that is not sent, where somebody still waits for it."""
    delivery = invitation.delivery
    is_waited_for = invitation.state is InvitationState.PENDING or invitation.awaits_setup
    if not is_waited_for or delivery.state is DeliveryState.SENT:
        return
    words = f": {escape(delivery.words)}" if delivery.words else ""
    out.print(f"{escape(invitation.username)}'s e-mail is {_fares(delivery)}{words}")
    for advice in delivery.advice:
        out.print(f"  - {escape(advice)}")


def _holding(roles: Sequence[str] | None, actions: Sequence[str] | None) -> str:
    return ", ".join([*(roles or ()), *(actions or ())]) or "nothing"


def _link() -> str:
    if somebody_there():
        return str(typer.prompt("The e-mail's link", hide_input=True, err=True))
    return sys.stdin.readline()


def token_of(link: str) -> str:
    """The token of an invitation's link; a text that is no link is the token itself."""
    plain_link = link.strip().strip("<>").strip()
    tokens = parse_qs(plain_link.partition("#")[2]).get("token", [plain_link])
    return tokens[0]
