"""Commands for whoever holds an e-mail's link, known by the token in it: accept, look, decline, complete."""

import sys
from typing import Annotated
from urllib.parse import parse_qs

import typer
from policy_client import ManageUsersClient
from rich.markup import escape

from policy_service.cli.calling import AsJson, managing, plain
from policy_service.cli.output import (
    print_done,
    print_json,
    print_table,
    somebody_there,
    when,
)

Token = Annotated[
    str | None,
    typer.Argument(
        metavar="LINK",
        help="The e-mail's link, or the token in it; left out, it is read from standard input and stays out of "
        "histories.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(accept)
    app.command("look-up")(look_up)
    app.command()(decline)
    app.command()(complete)


@managing
def accept(
    client: ManageUsersClient,
    token: Token = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Accept an invitation. The invited person, known by the token, is the one who acts."""
    found = client.accept_invitation(token_given(token))
    if as_json:
        print_json(plain(found))
    else:
        credentials = "must set up credentials" if found.must_set_up_credentials else "keeps their credentials"
        print_done(f"{found.username} works on {found.physician}, and {credentials}", found.revision)


@managing
def look_up(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """What a link leads to, without using it."""
    found = client.look_up_invitation(token_given(token))
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


@managing
def decline(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Decline an invitation. The invited person, known by the token, is the one who acts."""
    found = client.decline_invitation(token_given(token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username} does not want to work on {found.physician}", found.revision)


@managing
def complete(client: ManageUsersClient, token: Token = None, *, as_json: AsJson = False) -> None:
    """Record that the user of an accepted invitation has set up their credentials."""
    found = client.complete_setup(token_given(token))
    if as_json:
        print_json(plain(found))
    else:
        print_done(f"{found.username} has set up their credentials", found.revision)


def token_given(link: str | None) -> str:
    """The token of a link that stands in the command, or else is typed or read."""
    return token_of(_link() if link is None else link)


def token_of(link: str) -> str:
    """The token of an invitation's link; a text that is no link is the token itself."""
    plain_link = link.strip().strip("<>").strip()
    tokens = parse_qs(plain_link.partition("#")[2]).get("token", [plain_link])
    return tokens[0]


def _link() -> str:
    if somebody_there():
        return str(typer.prompt("The e-mail's link", hide_input=True, err=True))
    return sys.stdin.readline()
