"""Commands that ask a running service, through the same client as everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from policy_client import Channel, PolicyClient, PolicyError
from rich.markup import escape

from policy_service.cli.output import Exit, out, print_error, print_json, print_table, yes_no

User = Annotated[str, typer.Argument(help="A username.")]
Physician = Annotated[str, typer.Argument(help="A physician account.")]
Action = Annotated[str, typer.Argument(help='An action, as "claim:submit".')]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Via = Annotated[Channel, typer.Option("--channel", help="The way the user came in.")]
MinRevision = Annotated[int, typer.Option(min=0, help="Answer at this revision or later, or not at all.")]
Address = Annotated[
    str, typer.Option(envvar="POLICY_DECISION_ADDRESS", help="Where the service answers checks (HOST:PORT).")
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for the answer.")]
CaFile = Annotated[Path | None, typer.Option(help="With TLS: who signed the service's certificate, PEM.")]
CertFile = Annotated[Path | None, typer.Option(help="With TLS: this caller's certificate, PEM.")]
KeyFile = Annotated[Path | None, typer.Option(help="With TLS: its key, PEM.")]

DEFAULT_ADDRESS = "127.0.0.1:50051"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(explain)
    app.command("what-can")(what_can)
    app.command("who-can")(who_can)
    app.command("where-can")(where_can)


def check(
    user: User,
    physician: Physician,
    action: Action,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    tls_ca: CaFile = None,
    tls_cert: CertFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """May USER do ACTION for PHYSICIAN? Exits with 0 if allowed, 1 if denied, 2 if there is no answer."""
    with _client(address, timeout, (tls_ca, tls_cert, tls_key)) as client:
        decision = client.check(user, physician, action, channel=channel, min_revision=min_revision)
    if as_json:
        print_json(_plain(decision))
    else:
        through = f" as {decision.role}" if decision.role else ""
        word = "[green]allowed[/green]" if decision else "[red]denied[/red]"
        out.print(f"{word}: {escape(decision.reason.value)}{escape(through)} [dim](revision {decision.revision})[/dim]")
    raise typer.Exit(Exit.OK if decision else Exit.DENIED)


def explain(
    user: User,
    physician: Physician,
    action: Action,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    tls_ca: CaFile = None,
    tls_cert: CertFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Why may USER (not) do ACTION for PHYSICIAN? Exits like check."""
    with _client(address, timeout, (tls_ca, tls_cert, tls_key)) as client:
        found = client.explain(user, physician, action, channel=channel, min_revision=min_revision)
    if as_json:
        print_json(_plain(found))
    else:
        out.print(f"{'[green]allowed[/green]' if found else '[red]denied[/red]'}: {escape(found.sentence)}")
        if found.path:
            out.print(
                "  grants:  " + escape(" -> ".join([found.path[0].subject, *(f"role:{g.role}" for g in found.path)]))
            )
        if rule := found.rule:
            out.print(f"  rule:    p, {rule.subject}, {rule.physician}, {rule.action}, {rule.effect}")
        if missing := found.missing:
            out.print(f"  missing: {missing.action}, which these roles allow: {', '.join(missing.roles) or 'none'}")
        out.print(f"[dim]  revision {found.decision.revision}, decision {found.decision.decision_id}[/dim]")
    raise typer.Exit(Exit.OK if found else Exit.DENIED)


def what_can(
    user: User,
    physician: Physician,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    tls_ca: CaFile = None,
    tls_cert: CertFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Every action, shown or hidden for USER at PHYSICIAN."""
    with _client(address, timeout, (tls_ca, tls_cert, tls_key)) as client:
        found = client.what_can(user, physician, channel=channel, min_revision=min_revision)
    if as_json:
        print_json(_plain(found))
    else:
        print_table(
            ["action", "shown", "because"],
            [(p.action, yes_no(p.shown), escape(p.role or p.reason.value)) for p in found.actions],
            caption=f"{user} for {physician}, roles: {', '.join(found.roles) or 'none'}; revision {found.revision}",
        )


def who_can(
    action: Action,
    physician: Physician,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    tls_ca: CaFile = None,
    tls_cert: CertFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Everyone who may do ACTION for PHYSICIAN."""
    with _client(address, timeout, (tls_ca, tls_cert, tls_key)) as client:
        found = client.who_can(action, physician, channel=channel, min_revision=min_revision)
    if as_json:
        print_json(_plain(found))
    else:
        print_table(
            ["user", "through role"],
            [(access.user, access.role or "a rule of their own") for access in found.users],
            caption=f"{len(found.users)} may {action} for {physician}; revision {found.revision}",
        )


def where_can(
    user: User,
    *,
    action: Annotated[str | None, typer.Option(help="Only where USER may do this.")] = None,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 5.0,
    tls_ca: CaFile = None,
    tls_cert: CertFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Every account where USER may act."""
    with _client(address, timeout, (tls_ca, tls_cert, tls_key)) as client:
        found = client.where_can(user, action=action, channel=channel, min_revision=min_revision)
    if as_json:
        print_json(_plain(found))
    else:
        print_table(
            ["physician", "roles", "actions"],
            [(place.physician, ", ".join(place.roles), ", ".join(place.actions)) for place in found.physicians],
            caption=f"{user} may act for {len(found.physicians)}; revision {found.revision}",
        )


@contextmanager
def _client(address: str, timeout: float, tls: tuple[Path | None, Path | None, Path | None]) -> Iterator[PolicyClient]:
    """A client for one question; an error of its is told in a line, and exits with 2."""
    try:
        with PolicyClient(address, timeout=timeout, credentials=_credentials(tls)) as client:
            yield client
    except PolicyError as fault:
        print_error(str(fault))
        if fault.code is grpc.StatusCode.UNAVAILABLE and not fault.reason:
            print_error(f"Is the service running at {address}? 'make run' starts one here.")
        raise typer.Exit(Exit.ERROR) from fault
    except (ValueError, OSError) as fault:
        print_error(str(fault))
        raise typer.Exit(Exit.ERROR) from fault


def _credentials(tls: tuple[Path | None, Path | None, Path | None]) -> grpc.ChannelCredentials | None:
    if not any(tls):
        return None
    authority, certificate, key = (path.read_bytes() if path else None for path in tls)
    return grpc.ssl_channel_credentials(authority, key, certificate)


def _plain(answer: Any) -> Any:
    """An answer as JSON's types."""
    return asdict(answer, dict_factory=lambda pairs: {name: _word(value) for name, value in pairs})


def _word(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
