"""What the commands that call a running service share: how it is reached, and how its errors are told."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from functools import partial, wraps
from typing import Annotated, Any, Final

import typer
from policy_client import (
    AlreadyExists,
    AuditClient,
    CallerNotAllowed,
    CallersClient,
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
from policy_client.environment import DECISION_ADDRESS, MANAGEMENT_ADDRESS
from policy_client.unreached import NOBODY

from policy_service.cli.output import Exit, print_error
from policy_service.cli.reaching import Reached, reach, reach_options
from policy_service.errors import StartError

User = Annotated[str, typer.Argument(metavar="USER", help="A username.")]
Physician = Annotated[str, typer.Argument(metavar="PHYSICIAN", help="A physician account.")]


def complete_action(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """For the shell: the actions that begin like this, with their titles; none where the service does not answer."""
    here = {name: context.params.get(name) or default for name, (default, _) in _COMPLETING.items()}
    try:
        reached = reach(here, DECISION_ADDRESS, context)
        with PolicyClient(reached.address, timeout=_COMPLETING_SECONDS, credentials=reached.identity) as client:
            found = client.actions()
    except (PolicyError, ValueError, StartError):
        # There is no place for words while somebody types: the command itself will say what is wrong.
        return []
    return [(info.action, info.title) for info in found if info.action.startswith(incomplete)]


Action = Annotated[
    str,
    typer.Argument(
        metavar="ACTION", help="An action; 'actions list' tells which there are.", autocompletion=complete_action
    ),
]
_COMPLETING: Final = reach_options(DECISION_TARGET, DECISION_ADDRESS)
_COMPLETING_SECONDS: Final = 1.0
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Actor = Annotated[
    str, typer.Option("--as", envvar="MANAGE_USERS_ACTOR", help="The acting person: a username.", show_default=False)
]

Client = PolicyClient | ManageUsersClient | AuditClient | SeedClient | CallersClient
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
    added = reach_options(address, variable)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (default, annotation) in added.items()
    ]

    def with_client(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())[1:]
        # Typer fills one such parameter; a command may have it for itself.
        typed_as = next((one.name for one in own if one.annotation is typer.Context), None)
        typed = inspect.Parameter("typed", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = [*own, *options, *([] if typed_as else [typed])]

        @wraps(command)
        def run(**values: Any) -> None:
            context = values[typed_as] if typed_as else values.pop("typed")
            here = {name: values.pop(name) for name in added}
            with _told(refusals) as told:
                if nothing_empty:
                    _refuse_empty(context, values)
                if (only_if and not values[only_if]) or (unless and values[unless]):
                    command(None, **values)
                    return
                told.reached = reached = reach(here, variable, context)
                if "management" in values and reached.management is not None:
                    values["management"] = reached.management
                with client(reached.address, timeout=reached.timeout, credentials=reached.identity) as opened:
                    command(opened, **values)

        # What typer reads: the command's own parameters, then these.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
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
changing_callers_unless_direct = _calling(
    CallersClient,
    MANAGEMENT_TARGET,
    MANAGEMENT_ADDRESS,
    refusals=(Refused, AlreadyExists),
    unless="direct",
    nothing_empty=True,
)
auditing_unless_direct = _calling(AuditClient, MANAGEMENT_TARGET, MANAGEMENT_ADDRESS, unless="direct")


@dataclass(slots=True)
class _Told:
    """What is known of the service when an error is told."""

    reached: Reached | None = None


@contextmanager
def _told(refusals: tuple[type[PolicyError], ...]) -> Iterator[_Told]:
    known = _Told()
    try:
        yield known
    except PolicyError as fault:
        print_error(str(fault))
        if known.reached is not None:
            _hint(fault, known.reached)
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


def _hint(fault: PolicyError, reached: Reached) -> None:
    if isinstance(fault, ServiceUnavailable) and str(fault).startswith(NOBODY):
        print_error(f"Is the service running at {reached.address}? 'make run' starts one here.")
    elif isinstance(fault, DeadlineExceeded):
        print_error(f"{reached.address} did not answer in time; --timeout gives it longer.")
    if reached.context is not None and isinstance(fault, ServiceUnavailable | CallerNotAllowed):
        name, file = reached.context.name, reached.context.file
        print_error(f"What was not said came from the context {name} of {file}; --context none leaves it out.")


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
