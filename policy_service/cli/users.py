"""Commands for the people who act on a physician's account, through the same client as everybody."""

from typing import Annotated

import typer
from policy_client import DeliveryState, InvitationState, ManageUsersClient
from rich.markup import escape

from policy_service.cli import invitations, links, own_address
from policy_service.cli.again import command_again
from policy_service.cli.calling import Actor, AsJson, Physician, User, managing, plain
from policy_service.cli.invitation_words import holding_words, print_advice
from policy_service.cli.invitations import Actions, Roles
from policy_service.cli.output import (
    Exit,
    ask,
    print_done,
    print_error,
    print_json,
    print_table,
    yes_no,
)

app = typer.Typer(help="Who works on an account: invite, list, edit, revoke.", no_args_is_help=True)


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
            print_advice(invitation)


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
    print_done(f"{username} holds {holding_words(roles, actions)} for {physician}", revision, as_json=as_json)


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


app.command()(register)
invitations.add_to(app)
links.add_to(app)
app.command()(leave)
own_address.add_to(app)
app.command("list")(list_members)
app.command()(show)
app.command()(edit)
app.command()(revoke)
