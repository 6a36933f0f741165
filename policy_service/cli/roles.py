"""Commands for the roles of a physician's account, through the same client as everybody."""

from typing import Annotated

import typer
from policy_client import ManageUsersClient, RoleDefinition, RoleInfo
from rich.markup import escape

from policy_service.cli.calling import Actor, AsJson, Physician, complete_action, managing, plain
from policy_service.cli.output import print_done, print_json, print_table

Role = Annotated[str, typer.Argument(metavar="ROLE", help="A role of the account.")]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", help="An action that it allows. Can be repeated.", autocompletion=complete_action),
]
Deny = Annotated[list[str] | None, typer.Option("--deny", help="An action that it denies; that wins. Can be repeated.")]
Include = Annotated[list[str] | None, typer.Option("--include", help="A role that it includes. Can be repeated.")]

app = typer.Typer(help="The roles of an account: create, edit, delete, list.", no_args_is_help=True)


@app.command()
@managing
def create(
    client: ManageUsersClient,
    physician: Physician,
    role: Role,
    *,
    actor: Actor,
    allow: Allow = None,
    deny: Deny = None,
    include: Include = None,
    as_json: AsJson = False,
) -> None:
    """Make a custom role of this account."""
    revision = client.create_role(actor, physician, role, _definition(allow, deny, include))
    print_done(f"{physician} has the role {role}", revision, as_json=as_json)


@app.command()
@managing
def edit(
    client: ManageUsersClient,
    physician: Physician,
    role: Role,
    *,
    actor: Actor,
    allow: Allow = None,
    deny: Deny = None,
    include: Include = None,
    as_json: AsJson = False,
) -> None:
    """Replace a custom role, for everyone who holds it: what is not named is no longer in it."""
    revision = client.update_role(actor, physician, role, _definition(allow, deny, include))
    print_done(f"{physician}'s role {role} is replaced", revision, as_json=as_json)


@app.command()
@managing
def delete(
    client: ManageUsersClient,
    physician: Physician,
    role: Role,
    *,
    actor: Actor,
    replacement: Annotated[
        str | None, typer.Option(help="What its holders get instead; without it, refused while anyone has it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete a custom role."""
    revision = client.delete_role(actor, physician, role, replacement=replacement)
    print_done(f"{physician} has no role {role}", revision, as_json=as_json)


@app.command("list")
@managing
def list_roles(client: ManageUsersClient, physician: Physician, *, actor: Actor, as_json: AsJson = False) -> None:
    """Every role of the account: the built-in ones, then its own."""
    found = client.list_roles(actor, physician)
    if as_json:
        print_json(plain(found))
        return
    print_table(
        ["role", "made of", "held by", "allows in the end"],
        [
            (escape(role.role), escape(_made_of(role)), str(role.holders), escape(", ".join(role.allowed)))
            for role in found.roles
        ],
        caption=f"{len(found.roles)} roles of {physician}; revision {found.revision}",
    )


def _definition(allow: list[str] | None, deny: list[str] | None, include: list[str] | None) -> RoleDefinition:
    return RoleDefinition(allow=tuple(allow or ()), deny=tuple(deny or ()), includes=tuple(include or ()))


def _made_of(role: RoleInfo) -> str:
    if role.built_in:
        return "built in"
    parts = {"includes": role.definition.includes, "allows": role.definition.allow, "denies": role.definition.deny}
    return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts.items() if names) or "nothing"
