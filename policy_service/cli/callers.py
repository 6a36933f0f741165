"""Commands for calling services: what each may call, and its tokens.

A token is printed once, alone on standard output.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from policy_client import CallerInfo, CallersClient, CallerToken, NewToken
from rich.markup import escape

from policy_service.cli.calling import Actor, AsJson, changing_callers_unless_direct, plain
from policy_service.cli.lengths import parse_length, parse_until
from policy_service.cli.output import err, out, print_done, print_json, print_table, when

Name = Annotated[str, typer.Argument(metavar="CALLER", help="A calling service's name, as it shows it.")]
Reason = Annotated[str, typer.Option(help="Why, for the change log.", show_default=False)]
May = Annotated[
    list[str] | None,
    typer.Option(
        "--may",
        help="What it may call: check, explain, manage, seed, audit, callers, or a Service/Method. Can be repeated.",
    ),
]
Physicians = Annotated[
    list[str] | None,
    typer.Option("--physician", help="Only for this physician's account. Can be repeated.", show_default=False),
]
Expires = Annotated[
    str | None,
    typer.Option(help="When the token ends: 90d, 12h or a date. Unless given, in 90 days.", show_default=False),
]
Direct = Annotated[bool, typer.Option("--direct", help="On the database of the settings, without a running service.")]

app = typer.Typer(help="Calling services: what each may call, and its tokens.", no_args_is_help=True)


@app.command()
@changing_callers_unless_direct
def add(
    client: CallersClient | None,
    caller: Name,
    *,
    actor: Actor,
    reason: Reason,
    may: May = None,
    physician: Physicians = None,
    certificate: Annotated[
        bool, typer.Option("--certificate", help="It is known by its certificate: make no token.")
    ] = False,
    expires: Expires = None,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Give a caller its first token, rights of its own, or both. Prints the token, which is told once."""
    client = _callers(client, direct=direct)
    made = client.add_caller(
        caller,
        actor=actor,
        reason=reason,
        may=may or (),
        physicians=physician or (),
        certificate_only=certificate,
        expires_at=_until(expires),
    )
    _print_made(f"{caller} is added", made, as_json=as_json)


@app.command()
@changing_callers_unless_direct
def change(
    client: CallersClient | None,
    caller: Name,
    *,
    actor: Actor,
    reason: Reason,
    may: May = None,
    physician: Physicians = None,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Replace a caller's own rights: what is not named it has no longer, unless by the seed. Its tokens stay."""
    client = _callers(client, direct=direct)
    revision = client.change_caller(caller, actor=actor, reason=reason, may=may or (), physicians=physician or ())
    print_done(f"{caller}'s own rights are replaced", revision, as_json=as_json)


@app.command()
@changing_callers_unless_direct
def rotate(
    client: CallersClient | None,
    caller: Name,
    *,
    actor: Actor,
    reason: Reason,
    expires: Expires = None,
    overlap: Annotated[
        str | None,
        typer.Option(help="For how long the token before goes on. Unless given, 7 days.", show_default=False),
    ] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="End all others now: somebody else has one.")] = False,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Make a further token, printed this once; the one before stays valid for a while."""
    client = _callers(client, direct=direct)
    made = client.rotate_token(
        caller,
        actor=actor,
        reason=reason,
        expires_at=_until(expires),
        overlap=parse_length(overlap, "--overlap") if overlap else None,
        at_once=at_once,
    )
    _print_made(f"{caller} has another token", made, as_json=as_json)


@app.command()
@changing_callers_unless_direct
def remove(
    client: CallersClient | None,
    caller: Name,
    *,
    actor: Actor,
    reason: Reason,
    token: Annotated[
        str | None, typer.Option(help="End this token only, by the id that 'show' tells.", show_default=False)
    ] = None,
    direct: Direct = False,
    as_json: AsJson = False,
) -> None:
    """Take a caller's own rights and end its tokens, or end one token."""
    client = _callers(client, direct=direct)
    if token:
        revision = client.remove_token(caller, token, actor=actor, reason=reason)
        print_done(f"{caller}'s token {token} is ended", revision, as_json=as_json)
        return
    removed = client.remove_caller(caller, actor=actor, reason=reason)
    print_done(f"{caller} is removed", removed.revision, as_json=as_json, seed_rights=removed.seed_rights)
    if removed.seed_rights and not as_json:
        err.print(f"The seed still names {escape(caller)}: with a certificate it may call what its roles allow there.")


@app.command("list")
@changing_callers_unless_direct
def list_callers(client: CallersClient | None, *, direct: Direct = False, as_json: AsJson = False) -> None:
    """Every caller, by what it is one, and its tokens."""
    client = _callers(client, direct=direct)
    found = client.list_callers()
    if as_json:
        print_json(plain_all(found))
        return
    print_table(
        ["caller", "by", "tokens", "first ends", "last used"],
        [
            (
                escape(one.caller),
                _by(one),
                str(len(_valid(one.tokens))) if one.tokens else "",
                when(min((token.expires_at for token in _valid(one.tokens)), default=None)),
                when(max((token.last_used_at for token in one.tokens if token.last_used_at), default=None)),
            )
            for one in found
        ],
        caption=f"{len(found)} callers" + (f"; revision {found[0].revision}" if found else ""),
    )


@app.command()
@changing_callers_unless_direct
def show(client: CallersClient | None, caller: Name, *, direct: Direct = False, as_json: AsJson = False) -> None:
    """One caller: what it may call, for whom and by what, and its tokens."""
    client = _callers(client, direct=direct)
    found = client.get_caller(caller)
    if as_json:
        print_json(plain(found))
        return
    rows = [
        (right.method, "named physicians" if right.limited else "all", "the seed" if right.by_seed else "its own right")
        for right in found.rights
    ]
    print_table(["may call", "for", "by"], rows, caption=f"{caller} may call {len(rows)} methods")
    if found.physicians:
        out.print(f"named physicians: {escape(', '.join(found.physicians))}")
    if found.tokens:
        print_table(
            ["token", "made", "ends", "last used", ""],
            [
                (
                    token.id,
                    when(token.made_at),
                    when(token.expires_at),
                    when(token.last_used_at) or "never",
                    _state(token),
                )
                for token in found.tokens
            ],
            caption=f"{len(_valid(found.tokens))} valid; revision {found.revision}",
        )


def plain_all(found: list[CallerInfo]) -> list[Any]:
    """As JSON's types."""
    return [plain(one) for one in found]


def _callers(client: CallersClient | None, *, direct: bool) -> CallersClient:
    if direct:
        # Late: the other commands need not load the whole service.
        from policy_service.cli.callers_direct import DirectCallers

        return DirectCallers()
    assert client is not None  # noqa: S101 - without --direct there is a client.
    return client


def _until(expires: str | None) -> datetime | None:
    return parse_until(expires, "--expires", datetime.now(UTC)) if expires else None


def _print_made(words: str, made: NewToken, *, as_json: bool) -> None:
    if as_json:
        # Beside a revision "token" is elsewhere that revision's; here it is what was asked for.
        print_json({**plain(made), "token": made.token, "revision_token": made.revision.token})
        return
    # The token alone on standard output, so that a script takes nothing else for it.
    err.print(f"[green]done[/green]: {escape(words)} [dim](revision {made.revision})[/dim]")
    if made.before is not None:
        err.print(f"The one before, {made.before.id}, goes on until {when(made.before.expires_at)}.")
    if made.token:
        err.print(f"The token {made.token_id} ends {when(made.expires_at)}. It is told this once and kept nowhere:")
        out.print(made.token)


def _by(one: CallerInfo) -> str:
    ways = ["the seed"] if one.in_seed else []
    return ", ".join([*ways, f"{one.own_methods} rights of its own"] if one.own_methods else ways)


def _valid(tokens: tuple[CallerToken, ...]) -> list[CallerToken]:
    return [token for token in tokens if not token.expired]


def _state(token: CallerToken) -> str:
    return "[red]expired[/red]" if token.expired else ""
