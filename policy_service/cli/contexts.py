"""``contexts``: the services that somebody asks, by names of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from policy_client.contexts import KEYS, NO_CONTEXT, Context, read_config
from policy_client.environment import CALLER_TOKEN, SECRET, given
from policy_client.targets import read_target
from policy_client.tokens import Token
from rich.markup import escape

from policy_service.cli.calling import AsJson
from policy_service.cli.output import Exit, out, print_error, print_json, print_table
from policy_service.cli.reaching import chosen_context

app = typer.Typer(
    help="The services that you ask, by names: where each is, and who you are to it.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A context.")]
_HIDDEN = "**********"


@app.command("list")
def list_contexts(*, as_json: AsJson = False) -> None:
    """Every context of the file, and which is the current one."""
    with _told():
        config = read_config()
    if as_json:
        print_json(
            {
                "file": str(config.file),
                "current": config.current,
                "contexts": {name: _plain(context) for name, context in config.contexts.items()},
            }
        )
        return
    rows = [
        (
            "*" if name == config.current else "",
            name,
            escape(context.values.get(KEYS["decision_address"], "")),
            escape(context.values.get(KEYS["management_address"], "")),
            _credential(context),
        )
        for name, context in config.contexts.items()
    ]
    print_table(["", "context", "checks", "management", "shows"], rows, caption=f"{len(rows)} in {config.file}")


@app.command()
def show(
    typed: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A context; default: the one in force.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """What a context says, and what the environment says instead of it; tokens are not shown."""
    with _told():
        context = read_config().named(name, "the command") if name is not None else chosen_context(typed)
        rows = [(key, *_in_force(context, variable)) for key, variable in KEYS.items()]
    if as_json:
        said = {key: {"value": value, "from": source} for key, value, source in rows if value}
        print_json({"context": context.name if context else None, "values": said})
        return
    caption = f"context {context.name} of {context.file}" if context else "no context is in force"
    print_table(
        ["key", "value", "from"], [(key, escape(value), source) for key, value, source in rows], caption=caption
    )


@app.command()
def use(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A context; none: no context.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a context the current one: it counts for this command where nothing else is said, never for programs."""
    from policy_service.cli import context_file

    with _told():
        context_file.use(None if name == NO_CONTEXT else name)
    if as_json:
        print_json({"current": None if name == NO_CONTEXT else name})
    else:
        out.print(f"The current context is {escape(name)}.")


@app.command()
def add(
    name: Name,
    *,
    decision_address: Annotated[str | None, typer.Option(help="Where checks are answered, HOST:PORT.")] = None,
    management_address: Annotated[str | None, typer.Option(help="Where users are managed, HOST:PORT.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Who signed the service's certificate, PEM.")] = None,
    cert_file: Annotated[Path | None, typer.Option(help="Your certificate, PEM.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Your token, in a file of its own.")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="-", help="Your token, into the callers' file: read from standard input.")
    ] = None,
    timeout_seconds: Annotated[float | None, typer.Option("--timeout", min=0.001, help="Seconds for a call.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="In place of one of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a context to the callers' file, which is yours alone."""
    from policy_service.cli import context_file

    with _told():
        said: dict[str, str | float | None] = {
            "decision_address": decision_address and read_target(decision_address, "--decision-address"),
            "management_address": management_address and read_target(management_address, "--management-address"),
            **{
                key: None if file is None else str(file.expanduser().absolute())
                for key, file in {
                    "ca_file": ca_file,
                    "cert_file": cert_file,
                    "key_file": key_file,
                    "token_file": token_file,
                }.items()
            },
            "token": None if token is None else _token_given(token),
            "timeout_seconds": timeout_seconds,
        }
        told = {key: value for key, value in said.items() if value is not None}
        if not told:
            raise ValueError("a context that says nothing is of no use: give an address, or who you are")
        file = context_file.add(name, told, replace=replace)
    if as_json:
        print_json({"context": name, "file": str(file)})
        return

    out.print(f"Added {escape(name)}; 'policy-service contexts use {escape(name)}' makes it the current one.")


@app.command()
def remove(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a context from the callers' file; the files that it names stay."""
    from policy_service.cli import context_file

    with _told():
        was_current = context_file.remove(name)
    if as_json:
        print_json({"context": name, "was_current": was_current})
        return
    out.print(f"Removed {escape(name)}{'; no context is the current one' if was_current else ''}.")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ValueError as fault:
        print_error(str(fault))
        raise typer.Exit(Exit.ERROR) from fault
    except OSError as fault:
        print_error(f"{fault.filename}: {fault.strerror}")
        raise typer.Exit(Exit.ERROR) from fault


def _plain(context: Context) -> dict[str, str]:
    return {
        key: _shown(variable, context.values[variable]) for key, variable in KEYS.items() if variable in context.values
    }


def _credential(context: Context) -> str:
    has = {variable: variable in context.values for variable in KEYS.values()}
    shown = (["certificate"] if has[KEYS["cert_file"]] else []) + (
        ["token"] if has[KEYS["token"]] or has[KEYS["token_file"]] else []
    )
    return " and ".join(shown)


def _in_force(context: Context | None, variable: str) -> tuple[str, str]:
    if (said := given(variable)) is not None:
        return _shown(variable, said), variable
    if context is not None and variable in context.values:
        return _shown(variable, context.values[variable]), "context"
    return "", ""


def _shown(variable: str, value: str) -> str:
    return _HIDDEN if variable in SECRET else value


def _token_given(text: str) -> str:
    if text != "-":
        raise ValueError("--token takes - alone, and reads standard input: an argument is seen by everybody here")
    found = sys.stdin.readline().rstrip("\r\n")
    Token(found, name=f"the {CALLER_TOKEN} of standard input")
    return found
