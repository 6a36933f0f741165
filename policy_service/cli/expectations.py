"""``seed test``: expectation files against a seed, or against the running service."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from policy_client import PolicyClient
from policy_client.channel import MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS

from policy_service.cli.calling import AsJson, asking_if_live
from policy_service.cli.output import Exit, print_error
from policy_service.settings import policies_dir, read_settings

LEFT_OUT = "about accounts of the running service; --live asks it"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test")(seed_test)


@asking_if_live
def seed_test(
    client: PolicyClient | None,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Expectation files; default: those shipped.")
    ] = None,
    *,
    seed_file: Annotated[
        Path | None, typer.Option("--seed", help="The seed to test; default: POLICY_SEED_FILE.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the running service, and take its seed.")] = False,
    management: Annotated[
        str,
        typer.Option("--management-address", envvar=MANAGEMENT_ADDRESS, help="With --live: where its seed is read."),
    ] = MANAGEMENT_TARGET,
    require_coverage: Annotated[
        bool, typer.Option("--require-coverage", help="Exit with 1 if a row of the seed decides nothing that is asked.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every decision.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run expectation files. Exits with 0 if all is as expected, 1 if not, 2 if it could not be asked."""
    # Late, so that commands which need no Casbin start without it.
    from policy_service.cli.junit import write_junit
    from policy_service.cli.live import ask, seed_in_force
    from policy_service.cli.verdicts import Coverage, Verdict, print_verdict, print_verdict_as_json
    from policy_service.decide import read_model
    from policy_service.policy_text import lint, read_expectations, read_seed
    from policy_service.rpc import contract_methods
    from policy_service.seed import Tested, run

    if live and seed_file:
        _refuse("--seed is for testing a file; --live asks the service, which has its own seed.")
    settings = read_settings()
    path = seed_file or settings.seed_file
    read = [read_expectations(file) for file in files or sorted((policies_dir() / "tests").glob("*.yaml"))]
    asked = [file for file in read if client or not file.live]
    if not asked:
        _refuse(f"Nothing to ask: each of the {len(read)} files is {LEFT_OUT}.")
    tested: list[Tested] = []
    coverage: Coverage | None = None
    if worlds := [file for file in asked if not file.live]:
        seed = seed_in_force(client, management) if client else read_seed(path, methods=contract_methods())
        report = run(read_model(settings.model_file), seed, worlds)
        tested += report.files
        lines = {} if client else lint(path.read_text(encoding="utf-8")).lines
        places = tuple((lines.get(row), row) for row in report.unreached)
        coverage = Coverage(seed="the seed in force" if client else path.name, rows=len(seed), unreached=places)
    elif require_coverage:
        _refuse("There is no coverage of a seed: none of the files has a world to ask it in.")
    if client:
        tested += [ask(client, file) for file in asked if file.live]
    verdict = Verdict(
        files=tuple(tested),
        left_out=tuple((file.path.name, LEFT_OUT) for file in read if file not in asked),
        coverage=coverage,
    )
    if junit:
        try:
            write_junit(junit, verdict.files)
        except OSError as fault:
            _refuse(f"The report cannot be written: {fault}")
    (print_verdict_as_json if as_json else print_verdict)(verdict, verbose=verbose)
    uncovered = require_coverage and coverage is not None and coverage.unreached
    raise typer.Exit(Exit.DENIED if verdict.failed or uncovered else Exit.OK)


def _refuse(words: str) -> NoReturn:
    print_error(words)
    raise typer.Exit(Exit.ERROR)
