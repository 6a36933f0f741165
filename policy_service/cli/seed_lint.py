"""``seed lint``: is the seed sound, and if not, where and how is it mended?"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, assert_never

import typer
from policy_client import PolicyError

from policy_service.cli import findings
from policy_service.cli.calling import AsJson
from policy_service.cli.output import STANDARD, Exit, print_error
from policy_service.errors import StartError
from policy_service.settings import read_settings


class Format(StrEnum):
    """Whom the findings are written for."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


SeedFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="SEED", help="The seed; - is standard input; default: POLICY_SEED_FILE.", show_default=False
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint")(seed_lint)


def seed_lint(
    file: SeedFile = None,
    *,
    form: Annotated[
        Format, typer.Option("--format", help="For people, programs, GitHub's annotations, or code scanning.")
    ] = Format.TEXT,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
) -> None:
    """Judge a seed whole, offline. Exits with 1 if it has errors, with 2 if it cannot be read."""
    from policy_service.policy_text import lint
    from policy_service.rpc import contract_methods

    name, text = read_seed_text(file)
    found = lint(text, methods=contract_methods()).findings
    _writer(Format.JSON if as_json else form)(name, text, found)
    refused = any(strict or finding.level == "error" for finding in found)
    raise typer.Exit(Exit.DENIED if refused else Exit.OK)


@contextmanager
def faults_told(name: str, text: str) -> Iterator[None]:
    """Where a seed is refused for its faults, show them as ``seed lint`` does, with their places."""
    if not _can_be_sent(text):
        _tell_faults(name, text)
    try:
        yield
    except PolicyError as refused:
        if refused.reason == "BROKEN_SEED":
            _tell_faults(name, text)
        # Not the seed; or a service of another release sees more.
        raise


def _can_be_sent(text: str) -> bool:
    from policy_service.policy_text import is_too_large

    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not is_too_large(text)


def _tell_faults(name: str, text: str) -> None:
    """Show the errors and stop, if there are any."""
    from policy_service.policy_text import lint
    from policy_service.rpc import contract_methods

    found = [one for one in lint(text, methods=contract_methods()).findings if one.level == "error"]
    if not found:
        return
    with redirect_stdout(sys.stderr):
        findings.write_text(name, text, found)
    print_error("the seed has errors; nothing was planned or applied")
    raise typer.Exit(Exit.DENIED)


def read_seed_text(file: Path | None) -> tuple[str, str]:
    """A seed's name and text: of a file, of standard input, or of the file that is set. Raises StartError."""
    from policy_service.policy_text import seed_text

    path = file or read_settings().seed_file
    try:
        if path == STANDARD:
            return "stdin", seed_text(sys.stdin.buffer)
        with path.open("rb") as source:
            return str(path), seed_text(source)
    except OSError as fault:
        raise StartError(f"{findings.visible(str(path))}: cannot be read: {fault.strerror}") from fault


def _writer(form: Format) -> Callable[[str, str, findings.Findings], None]:
    match form:
        case Format.TEXT:
            return findings.write_text
        case Format.JSON:
            return findings.write_json
        case Format.GITHUB:
            return findings.write_github
        case Format.SARIF:
            return findings.write_sarif
        case _:
            assert_never(form)
