"""Commands for one's own e-mail address, and to read what goes there where no mail server is."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from policy_client import ManageUsersClient
from rich.markup import escape

from policy_service.cli.calling import Actor, AsJson, managing, plain
from policy_service.cli.invitations import Email
from policy_service.cli.letters import read_letter
from policy_service.cli.links import Token, token_given
from policy_service.cli.output import (
    Exit,
    out,
    print_done,
    print_error,
    print_json,
    when,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(address)
    app.command("confirm-address")(confirm_address)
    app.command()(letter)


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


@managing
def confirm_address(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Use the link that went to a new address."""
    found = client.confirm_address(token_given(token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username}'s address is {found.email}", found.revision)


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
