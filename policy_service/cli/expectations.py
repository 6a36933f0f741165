"""``seed test``: expectation files against a seed."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from policy_service.cli.calling import AsJson
from policy_service.cli.output import Exit, out, print_json, print_table, yes_no
from policy_service.settings import policies_dir, read_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test")(seed_test)


def seed_test(
    files: Annotated[list[Path] | None, typer.Argument(help="Expectation files; default: those shipped.")] = None,
    *,
    seed_file: Annotated[
        Path | None, typer.Option("--seed", help="The seed to test; default: POLICY_SEED_FILE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run expectation files against a seed, offline. Exits with 1 if a decision is not as expected."""
    from policy_service.model import read_model
    from policy_service.policy_files import read_seed
    from policy_service.policy_tests import run

    settings = read_settings()
    paths = files or sorted((policies_dir() / "tests").glob("*.yaml"))
    results = list(run(read_model(settings.model_file), read_seed(seed_file or settings.seed_file), paths))
    failed = [result for result in results if not result.passed]
    if as_json:
        fields = ("file", "why", "user", "physician", "channel", "action", "expected", "found", "reason")
        print_json(
            {
                "decisions": len(results),
                "failed": [{name: getattr(result, name) for name in fields} for result in failed],
            }
        )
    else:
        if failed:
            print_table(
                ["file", "user", "physician", "channel", "action", "expected", "found", "why"],
                [
                    (r.file, r.user, r.physician, r.channel, r.action, yes_no(r.expected), yes_no(r.found), r.why)
                    for r in failed
                ],
                caption="Decisions that are not as expected.",
            )
        for name, count in Counter(result.file for result in results).items():
            bad = sum(result.file == name for result in failed)
            out.print(f"{name}: {count} decisions, {f'[red]{bad} not as expected[/red]' if bad else 'all as expected'}")
    raise typer.Exit(Exit.DENIED if failed else Exit.OK)
