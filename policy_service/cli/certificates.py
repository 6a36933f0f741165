"""``certificates``: what TLS needs, made for a try-out."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from policy_client.environment import CALLER_CERT_FILE, CALLER_KEY_FILE, SERVER_CA_FILE
from rich.markup import escape

from policy_service.cli.calling import AsJson
from policy_service.cli.output import Exit, out, print_error, print_json, when
from policy_service.errors import PolicyError
from policy_service.vocabulary import parse_service

app = typer.Typer(help="Certificates for trying TLS out.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Certificates for trying TLS out."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for them.")] = Path("certificates"),
    *,
    caller: Annotated[
        list[str] | None,
        typer.Option(help="A calling service that gets a pair, repeatable. [default: billing]", show_default=False),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address at which the service is asked, repeatable. [default: localhost, 127.0.0.1, ::1]",
            show_default=False,
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=30, help="Days until all of it ends.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Make an authority, a pair for the service and one for each caller: for trying out, never for production.

    The authority's key is thrown away, so that nothing more is signed with it: for another caller make another folder.
    """
    from policy_service.cli.demo_authority import Pair, make

    names = list(dict.fromkeys(caller or ["billing"]))
    try:
        for name in names:
            if parse_service(name, "--caller") == "local":
                raise ValueError("--caller local is the name of loopback: a certificate with it is refused")
        made = make(
            folder,
            hosts=host or ["localhost", "127.0.0.1", "::1"],
            callers=names,
            now=datetime.now(UTC),
            days=days,
        )
    except (ValueError, PolicyError) as fault:
        print_error(str(fault))
        raise typer.Exit(Exit.ERROR) from fault
    except OSError as fault:
        print_error(f"{fault.filename}: {fault.strerror}")
        raise typer.Exit(Exit.ERROR) from fault

    def of_caller(pair: Pair) -> dict[str, str]:
        return {
            SERVER_CA_FILE: str(made.authority),
            CALLER_CERT_FILE: str(pair.certificate),
            CALLER_KEY_FILE: str(pair.key),
        }

    server = {
        "POLICY_TLS_CERT_FILE": str(made.server.certificate),
        "POLICY_TLS_KEY_FILE": str(made.server.key),
        "POLICY_TLS_CLIENT_CA_FILE": str(made.authority),
    }
    callers = {name: of_caller(pair) for name, pair in made.callers.items()}
    if as_json:
        print_json({"folder": str(made.folder), "until": made.until.isoformat(), "server": server, "callers": callers})
        return
    out.print(
        f"[green]made[/green]: for trying out, never for production; all of it ends on {when(made.until)}, and the "
        "authority's key was thrown away"
    )
    _print_settings("The service", server)
    for name, settings in callers.items():
        _print_settings(f"The caller {name}", settings)


def _print_settings(whose: str, settings: dict[str, str]) -> None:
    out.print(f"\n# {escape(whose)}")
    for name, value in settings.items():
        out.print(escape(f"{name}={shlex.quote(value)}"))
