"""``seed export`` and ``seed import``: the policy as a file, and a whole policy into an empty store."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from policy_client import SeedClient

from policy_service.cli.calling import Actor, AsJson, seeding
from policy_service.cli.output import STANDARD, print_done, progress_bar, read_text, written
from policy_service.cli.seed_guards import WidenedCallers

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write here.", show_default="standard output")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("export")(seed_export)
    app.command("import")(seed_import)


@seeding
def seed_export(
    client: SeedClient,
    *,
    output: Output = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Keep this file's comments and order where its rows are the same.", show_default=False),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--jsonl", help="The whole policy with all accounts, as JSON lines for 'seed import'.")
    ] = False,
) -> None:
    """Write the built-in policy in force as CSV, or the whole policy as JSON lines."""
    from policy_service.policy_text import read_rows
    from policy_service.seed import rewritten

    if whole and like:
        raise ValueError("--like is for the built-in policy as CSV, not for --jsonl")
    if not whole:
        text = client.seed()
        if like:
            text = rewritten(read_text(like), read_rows(text, "the policy in force"), name=str(like))
        with written(output) as file:
            file.write(text)
        return
    with progress_bar("lines") as moved, written(output, private=True) as file:
        for part, progress in client.everything():
            file.write(part)
            moved(progress.done, progress.total)


def seed_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written by 'seed export --jsonl'.")],
    *,
    actor: Actor,
    reason: Annotated[str, typer.Option(help="Why, for the change log.")] = "moved house",
    allow_widened_callers: WidenedCallers = False,
    as_json: AsJson = False,
) -> None:
    """Bring a whole policy into the empty database of the settings; no service may run on it yet."""
    from policy_service.app import open_store, read_policy
    from policy_service.errors import PolicyError, StartError
    from policy_service.rpc import contract_methods, parse_reason
    from policy_service.seed import install
    from policy_service.settings import read_settings
    from policy_service.transfer import moving, moving_check
    from policy_service.vocabulary import parse_user

    if file == STANDARD:
        raise StartError("'-' is no file: an import reads it twice, to judge all of it before any of it is brought in")
    settings = read_settings()
    model, shipped = read_policy(settings)
    try:
        parse_user(actor, "actor")
        parse_reason(reason)
        found: moving_check.Checked | None = None
        with progress_bar("checking, bytes") as moved:
            size = file.stat().st_size if file.exists() else 0
            for part in moving_check.check(file, contract_methods(), shipped=shipped):
                if isinstance(part, moving_check.Checked):
                    found = part
                else:
                    moved(part, size)
        assert found is not None  # noqa: S101 - the last part is what was found.

        async def installed(checked: moving_check.Checked) -> int:
            async with open_store(settings) as store:
                # The file names callers too, and brings what they may: whoever takes it in should know.
                if not allow_widened_callers:
                    for gained in await moving.callers_gained(store, checked, model, shipped, contract_methods()):
                        raise StartError(f"{gained}; if that is meant: --allow-widened-callers")
                with progress_bar("bringing in, lines") as moved:
                    written = await moving.install(store, checked, actor=actor, reason=reason, progress=moved)
                # A file of a release to whose code the actions belonged tells of none.
                told = await install.install_actions(store, shipped)
                return (told or written).revision

        revision = asyncio.run(installed(found))
    except PolicyError as fault:
        raise StartError(str(fault)) from fault
    counts = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in found.counts.items())
    print_done(f"{counts} of revision {found.revision} are in", revision, as_json=as_json)
