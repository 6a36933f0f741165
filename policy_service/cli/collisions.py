"""``audit collisions``: names of users, accounts and custom roles that could be taken for each other."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from policy_client import SeedClient
from rich.markup import escape

from policy_service.cli.calling import AsJson, seeding_unless_filed
from policy_service.cli.output import Exit, print_json, print_table
from policy_service.vocabulary import collisions


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("collisions")(list_collisions)


@seeding_unless_filed
def list_collisions(
    client: SeedClient | None,
    file: Annotated[
        Path | None, typer.Argument(help="Written by 'seed export --jsonl'.", show_default="the service's own policy")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List names that differ by case or look alike; new ones are refused. Exits with 1 if there are any."""
    if file is not None:
        found = _found(file.read_text(encoding="utf-8").splitlines())
    else:
        assert client is not None  # noqa: S101 - there is one unless a file is given.
        found = _found("".join(part for part, _ in client.everything()).splitlines())
    if as_json:
        print_json([{"kind": kind, "where": where, "names": names} for kind, where, names in found])
    else:
        print_table(
            ["kind", "account", "names"],
            [(kind, escape(where), escape(", ".join(names))) for kind, where, names in found],
            caption=f"{len(found)} groups of names that could be taken for each other",
        )
    if found:
        raise typer.Exit(Exit.DENIED)


def _found(lines: Iterable[str]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Kind, account of a role, and the names of each group."""
    users: list[str] = []
    physicians: list[str] = []
    roles: dict[str, set[str]] = {}
    built_in: set[str] = set()
    for line in lines:
        for kind, fields in json.loads(line).items():
            if kind == "user":
                users.append(fields[0])
            elif kind == "physician":
                physicians.append(fields[0])
            elif kind == "rule" and fields[2].startswith("role:"):
                role, domain = fields[2].removeprefix("role:"), fields[3 if fields[1] == "p" else 4]
                if domain == "*":
                    built_in.add(role)
                elif domain.startswith("physician:") and not role.startswith("custom."):
                    roles.setdefault(domain.removeprefix("physician:"), set()).add(role)
    found = [("user", "", names) for names in collisions(users)]
    found += [("account", "", names) for names in collisions(physicians)]
    for physician, names_there in sorted(roles.items()):
        groups = collisions(built_in | names_there)
        found += [("role", physician, names) for names in groups if names_there.intersection(names)]
    return found
