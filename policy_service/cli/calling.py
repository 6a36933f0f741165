"""What the commands that call a running service share: how it is reached, and how its errors are told."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from policy_client import (
    AlreadyExists,
    AuditClient,
    DeadlineExceeded,
    ManageUsersClient,
    PlanMoved,
    PolicyClient,
    PolicyError,
    Refused,
    Revision,
    SeedClient,
    ServiceUnavailable,
)
from policy_client.channel import DECISION_TARGET, MANAGEMENT_TARGET
from policy_client.environment import (
    CALLER_CERT_FILE,
    CALLER_KEY_FILE,
    CALLER_TIMEOUT_SECONDS,
    DECISION_ADDRESS,
    MANAGEMENT_ADDRESS,
    SERVER_CA_FILE,
    given,
)
from policy_client.targets import read_target, stays_here
from policy_client.transport import credentials_from_files
from policy_client.unreached import NOBODY

from policy_service.cli.output import Exit, print_error
from policy_service.errors import StartError
from policy_service.settings import refuse_unknown

User = Annotated[str, typer.Argument(metavar="USER", help="A username.")]
Physician = Annotated[str, typer.Argument(metavar="PHYSICIAN", help="A physician account.")]


def complete_action(incomplete: str) -> list[tuple[str, str]]:
    """For the shell: the actions that begin like this, with their titles; none where the service does not answer."""
    address = os.environ.get(DECISION_ADDRESS) or DECISION_TARGET
    try:
        with PolicyClient(address, timeout=_COMPLETING_SECONDS) as client:
            found = client.actions()
    except (PolicyError, ValueError):
        # There is no place for words while somebody types: the command itself will say what is wrong.
        return []
    return [(info.action, info.title) for info in found if info.action.startswith(incomplete)]


Action = Annotated[
    str,
    typer.Argument(
        metavar="ACTION", help="An action; 'actions list' tells which there are.", autocompletion=complete_action
    ),
]
_COMPLETING_SECONDS: Final = 1.0
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Timeout = Annotated[
    float,
    typer.Option(
        min=0.001,
        envvar=CALLER_TIMEOUT_SECONDS,
        help="Seconds to wait for an answer; lists, plans and verifications take theirs.",
    ),
]
CaFile = Annotated[
    Path | None, typer.Option(envvar=SERVER_CA_FILE, help="With TLS: who signed the service's certificate, PEM.")
]
CertFile = Annotated[
    Path | None, typer.Option(envvar=CALLER_CERT_FILE, help="With TLS: this caller's certificate, PEM.")
]
KeyFile = Annotated[Path | None, typer.Option(envvar=CALLER_KEY_FILE, help="With TLS: its key, PEM.")]

Actor = Annotated[
    str, typer.Option("--as", envvar="MANAGE_USERS_ACTOR", help="The acting person: a username.", show_default=False)
]

_TLS = ("--tls-ca", "--tls-cert", "--tls-key")

Client = PolicyClient | ManageUsersClient | AuditClient | SeedClient
Command = Callable[..., None]


def _calling(
    client: type[Client],
    address: str,
    variable: str,
    *,
    refusals: tuple[type[PolicyError], ...] = (),
    only_if: str | None = None,
    unless: str | None = None,
    nothing_empty: bool = False,
) -> Callable[[Command], Command]:
    """Let commands begin with an open client, made from options that this adds to theirs.

    An error of the client's is told in a line, and exits with 1 if it is one
    of the refusals, else with 2. A command with ``only_if`` gets no client
    unless that option of its own is given, one with ``unless`` none if it is.
    With ``nothing_empty`` a value that is given and empty is refused: it would
    be another question.
    """
    added = {
        "address": (
            address,
            Annotated[
                str, typer.Option(envvar=variable, help="Where the service is (HOST:PORT, or several with commas).")
            ],
        ),
        "timeout": (5.0, Timeout),
        "tls_ca": (None, CaFile),
        "tls_cert": (None, CertFile),
        "tls_key": (None, KeyFile),
    }
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (default, annotation) in added.items()
    ]

    if nothing_empty:
        options.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    def with_client(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())[1:]

        @wraps(command)
        def run(**values: Any) -> None:
            reach = {name: values.pop(name) for name in added}
            if nothing_empty:
                with _told(reach["address"], refusals):
                    _refuse_empty(values.pop("context"), values)
            if (only_if and not values[only_if]) or (unless and values[unless]):
                with _told(reach["address"], refusals):
                    command(None, **values)
                return
            with _told(reach["address"], refusals):
                refuse_unknown()
                _refuse_empty_variables(variable)
                read_target(reach["address"], variable if os.environ.get(variable) == reach["address"] else "--address")
                files = (reach["tls_ca"], reach["tls_cert"], reach["tls_key"])
                credentials = credentials_from_files(*files, names=_TLS) if any(files) else None
                if credentials is None and not stays_here(reach["address"]):
                    raise ValueError(
                        f"{reach['address']} is not on this machine, so it needs TLS: give --tls-ca, --tls-cert and "
                        f"--tls-key, or set {SERVER_CA_FILE}, {CALLER_CERT_FILE} and {CALLER_KEY_FILE}"
                    )
                with client(reach["address"], timeout=reach["timeout"], credentials=credentials) as opened:
                    command(opened, **values)

        # What typer reads: the command's own parameters, then these.
        run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *options]}
        return run

    return with_client


asking = _calling(PolicyClient, DECISION_TARGET, DECISION_ADDRESS)
asking_if_live = _calling(PolicyClient, DECISION_TARGET, DECISION_ADDRESS, only_if="live")
managing = _calling(ManageUsersClient, MANAGEMENT_TARGET, MANAGEMENT_ADDRESS, refusals=(Refused, AlreadyExists))
auditing = _calling(AuditClient, MANAGEMENT_TARGET, MANAGEMENT_ADDRESS, nothing_empty=True)

_seeding = partial(_calling, SeedClient, MANAGEMENT_TARGET, MANAGEMENT_ADDRESS, refusals=(Refused, PlanMoved))
seeding = _seeding()
seeding_unless_offline = _seeding(unless="against")
seeding_unless_filed = _seeding(unless="file")
seeding_unless_direct = _seeding(unless="direct")
auditing_unless_direct = _calling(AuditClient, MANAGEMENT_TARGET, MANAGEMENT_ADDRESS, unless="direct")


@contextmanager
def _told(address: str, refusals: tuple[type[PolicyError], ...]) -> Iterator[None]:
    try:
        yield
    except PolicyError as fault:
        print_error(str(fault))
        if isinstance(fault, ServiceUnavailable) and str(fault).startswith(NOBODY):
            print_error(f"Is the service running at {address}? 'make run' starts one here.")
        elif isinstance(fault, DeadlineExceeded):
            print_error(f"{address} did not answer in time; --timeout gives it longer.")
        raise typer.Exit(Exit.DENIED if isinstance(fault, refusals) else Exit.ERROR) from fault
    except BrokenPipeError as fault:
        # Whoever read has seen enough, as 'head' has; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.ERROR) from fault
    except OSError as fault:
        print_error(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault))
        raise typer.Exit(Exit.ERROR) from fault
    except (ValueError, StartError) as fault:
        print_error(str(fault))
        raise typer.Exit(Exit.ERROR) from fault


def _refuse_empty(context: typer.Context, values: Mapping[str, object]) -> None:
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if values.get(name) == "" and source is not None and source.name != "DEFAULT":
            raise ValueError(f"{parameter.opts[0]} is empty")


def _refuse_empty_variables(*names: str) -> None:
    """An empty one would count as none; that it is empty is most often a slip."""
    for name in (*names, SERVER_CA_FILE, CALLER_CERT_FILE, CALLER_KEY_FILE, CALLER_TIMEOUT_SECONDS):
        given(name)


def plain(answer: Any) -> Any:
    """An answer as JSON's types; with a revision goes its token, which names its history too."""
    return asdict(answer, dict_factory=_named)


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {name: _word(value) for name, value in pairs}
    revision = dict(pairs).get("revision")
    return {**found, "token": revision.token} if isinstance(revision, Revision) else found


def _word(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value
