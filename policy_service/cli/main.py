"""Commands that run the service or look at its files."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, TextIO, cast

import structlog
import typer
from policy_client.environment import CALLERS_OWN, SECRET

from policy_service import __version__
from policy_service.cli import actions, audit, callers, certificates, contexts, questions, roles, seeds, users
from policy_service.cli.calling import AsJson
from policy_service.cli.log_lines import STANDARD_ERROR, LogLines
from policy_service.cli.output import Exit, err, out, print_error, print_json, print_table
from policy_service.cli.reaching import ContextName
from policy_service.errors import StartError
from policy_service.settings import PREFIX, Settings, read_settings

# Without the frames' variables: a request's names and a database's password may be among them.
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)

app = typer.Typer(
    help="Who may do what in which physician's account.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(seeds.app, name="seed")
app.add_typer(users.app, name="users")
app.add_typer(roles.app, name="roles")
app.add_typer(audit.app, name="audit")
app.add_typer(callers.app, name="callers")
app.add_typer(certificates.app, name="certificates")
app.add_typer(contexts.app, name="contexts")
questions.add_to(app)
actions.add_to(app)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
    context_name: ContextName = None,  # noqa: ARG001 - for the commands that ask a service (see reaching).
) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit


@app.command()
def serve(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Load demo accounts into a store without physicians.")] = False,
) -> None:
    """Answer on both planes until interrupted. Settings are environment variables: see 'settings'."""
    settings = read_settings()
    _configure_logging(settings.log_level)
    _run(_serve(settings, demo=demo))


@app.command()
def migrate(
    *,
    service_role: Annotated[
        str,
        typer.Option(
            help="The database role that 'serve' will use: give it what the service needs, and nothing with which it "
            "could rewrite the logs.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Bring the database's schema up to date, and install the seed if there is no policy yet."""
    from policy_service.app import open_store

    settings = read_settings()
    _configure_logging(settings.log_level)

    async def migrated() -> int:
        async with open_store(settings, migrating=True, service_role=service_role) as store:
            return await store.revision()

    revision = _run(migrated())
    if as_json:
        print_json({"revision": revision})
    else:
        out.print(f"The database is up to date, at revision {revision}.")


@app.command("settings")
def show_settings(*, as_json: AsJson = False) -> None:
    """List every setting with its value now; secrets are not shown."""
    settings = read_settings()
    rows = [
        (PREFIX + name.upper(), str(getattr(settings, name)), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    rows += [
        (name, _shown(name) or "", meaning + "; the command's and clients'") for name, meaning in CALLERS_OWN.items()
    ]
    if as_json:
        own = {PREFIX + name.upper(): value for name, value in settings.model_dump(mode="json").items()}
        print_json({**own, **{name: _shown(name) for name in CALLERS_OWN}})
    else:
        print_table(["setting", "value", "meaning"], rows, caption="Set them in the environment.")


def _shown(name: str) -> str | None:
    value = os.environ.get(name)
    return "**********" if value and name in SECRET else value


async def _serve(settings: Settings, *, demo: bool) -> None:
    from policy_service.app import open_app

    loop, done = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, done.set)
    async with open_app(settings, with_demo=demo):
        if sys.stderr.isatty():
            err.print(
                f"[green]serving[/green] checks on {settings.decision_address}, management on "
                f"{settings.management_address}; stop with Ctrl-C"
            )
        await done.wait()
        structlog.get_logger(__name__).info("stopping")


def _run(coroutine: Any) -> Any:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


def _configure_logging(level: str) -> None:
    """JSON lines on standard error; on a terminal, readable ones. Values are quoted, so none can forge a line."""
    terminal = sys.stderr.isatty()
    lines = cast(TextIO, LogLines(STANDARD_ERROR))
    render: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer(repr_native_str=True, exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.ExceptionRenderer(_TRACEBACKS)]),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    # Libraries' own log lines, in the same form.
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if terminal else [structlog.processors.ExceptionRenderer(_TRACEBACKS)]),
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def main() -> None:
    """Run the command; what cannot start says why in a line and exits with 2."""
    try:
        app()
    except StartError as fault:
        for line in str(fault).splitlines():
            print_error(line)
        sys.exit(Exit.ERROR)
    except Exception as fault:  # noqa: BLE001 - Python's own status would be 1, which means "denied".
        # A command that fails before it set this up shows no variables either.
        _configure_logging("info")
        structlog.get_logger(__name__).error("failed", exc_info=fault)
        sys.exit(Exit.ERROR)
