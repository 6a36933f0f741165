"""Commands that ask a running service, through the same client as everybody."""

from typing import Annotated, Final, NoReturn

import typer
from policy_client import Channel, PolicyClient, Reason, Revision
from rich.markup import escape

from policy_service.cli.calling import Action, AsJson, Physician, User, asking, plain
from policy_service.cli.output import Exit, out, print_error, print_json, print_table, yes_no

Via = Annotated[Channel, typer.Option("--channel", help="The way the user came in.")]
MinRevision = Annotated[
    str,
    typer.Option(help='Answer at this revision or later, or not at all: a number, or a "token" out of --json.'),
]

_NOBODY: Final = "no account knows anybody of the name {}; check how it is spelt"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(explain)
    app.command("what-can")(what_can)
    app.command("who-can")(who_can)
    app.command("where-can")(where_can)


@asking
def check(
    client: PolicyClient,
    user: User,
    physician: Physician,
    action: Action,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = "0",
    as_json: AsJson = False,
) -> None:
    """May USER do ACTION for PHYSICIAN? Exits with 0 if allowed, 1 if denied, 2 if there is no answer."""
    decision = client.check(user, physician, action, channel=channel, min_revision=Revision.of(min_revision))
    if as_json:
        print_json(plain(decision))
    else:
        through = f" as {decision.role}" if decision.role else ""
        word = "[green]allowed[/green]" if decision else "[red]denied[/red]"
        out.print(f"{word}: {escape(decision.reason.value)}{escape(through)} [dim](revision {decision.revision})[/dim]")
    raise typer.Exit(Exit.OK if decision else Exit.DENIED)


@asking
def explain(
    client: PolicyClient,
    user: User,
    physician: Physician,
    action: Action,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = "0",
    as_json: AsJson = False,
) -> None:
    """Why may USER (not) do ACTION for PHYSICIAN? Exits like check."""
    found = client.explain(user, physician, action, channel=channel, min_revision=Revision.of(min_revision))
    if as_json:
        print_json(plain(found))
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


@asking
def what_can(
    client: PolicyClient,
    user: User,
    physician: Physician,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = "0",
    as_json: AsJson = False,
) -> None:
    """Every action, shown or hidden for USER at PHYSICIAN. Exits with 1 if the one or the other is known nowhere."""
    found = client.what_can(user, physician, channel=channel, min_revision=Revision.of(min_revision))
    if as_json:
        print_json(plain(found))
    else:
        print_table(
            ["action", "shown", "because"],
            [(p.action, yes_no(p.shown), escape(p.role or p.reason.value)) for p in found.actions],
            caption=f"{user} for {physician}, roles: {', '.join(found.roles) or 'none'}; revision {found.revision}",
        )
    if any(p.reason is Reason.UNKNOWN_PHYSICIAN for p in found.actions):
        _say_unknown(f"no account is registered under the name {physician}")
    if found.unknown_user:
        _say_unknown(_NOBODY.format(user))


@asking
def who_can(
    client: PolicyClient,
    action: Action,
    physician: Physician,
    *,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = "0",
    as_json: AsJson = False,
) -> None:
    """Everyone who may do ACTION for PHYSICIAN."""
    found = client.who_can(action, physician, channel=channel, min_revision=Revision.of(min_revision))
    if as_json:
        print_json(plain(found))
    else:
        print_table(
            ["user", "through role"],
            [(access.user, access.role or "a rule of their own") for access in found.users],
            caption=f"{len(found.users)} may {action} for {physician}; revision {found.revision}",
        )


@asking
def where_can(
    client: PolicyClient,
    user: User,
    *,
    action: Annotated[str | None, typer.Option(help="Only where USER may do this.")] = None,
    channel: Via = Channel.WEB,
    min_revision: MinRevision = "0",
    as_json: AsJson = False,
) -> None:
    """Every account where USER may act. Exits with 1 if no account knows of USER."""
    found = client.where_can(user, action=action, channel=channel, min_revision=Revision.of(min_revision))
    if as_json:
        print_json(plain(found))
    else:
        print_table(
            ["physician", "roles", "actions"],
            [(place.physician, ", ".join(place.roles), ", ".join(place.actions)) for place in found.physicians],
            caption=f"{user} may act for {len(found.physicians)}; revision {found.revision}",
        )
    if found.unknown_user:
        _say_unknown(_NOBODY.format(user))


def _say_unknown(words: str) -> NoReturn:
    """A mistyped name would read as somebody without access: said on standard error, and by the exit status."""
    print_error(words)
    raise typer.Exit(Exit.DENIED)
