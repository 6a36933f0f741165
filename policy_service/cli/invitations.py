"""Commands for an account's invitations: invite, look how they fare, send again, withdraw."""

from typing import Annotated

import typer
from policy_client import InvitationState, Invited, ManageUsersClient, UserExists
from rich.markup import escape
from rich.table import Column

from policy_service.cli.again import command_again
from policy_service.cli.calling import Actor, AsJson, Physician, User, complete_action, managing, plain
from policy_service.cli.invitation_words import holding_words, print_advice, print_invited, state_words
from policy_service.cli.output import (
    Exit,
    ask,
    print_done,
    print_error,
    print_json,
    print_table,
    when,
)

InvitationId = Annotated[str, typer.Argument(metavar="INVITATION", help="An invitation, by its id in 'users pending'.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="An e-mail address.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role to hold. Can be repeated.")]
Actions = Annotated[
    list[str] | None,
    typer.Option("--action", help="Instead of roles: an action. Can be repeated.", autocompletion=complete_action),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (invite, pending, resend, cancel):
        app.command()(command)


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
    print_invited(context, "invited", found, as_json=as_json)


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
                escape(holding_words(invitation.holding.roles, invitation.holding.actions)),
                state_words(invitation),
                when(invitation.expires_at),
            )
            for invitation in found
        ],
        caption=f"{len(found)} {'in all' if every else 'pending'} for {physician}",
    )
    for invitation in found:
        print_advice(invitation)


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
    print_invited(context, "sent again to", found, as_json=as_json)


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
