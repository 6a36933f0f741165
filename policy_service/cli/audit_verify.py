"""``audit verify``: is the change log whole, and does the policy agree with it?"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from policy_client import AuditClient, InvalidRequest
from policy_client.reviews import ReplicaLog, Verdict
from policy_client.wire.audit import verdict_from
from rich.markup import escape

from policy_service.cli.calling import AsJson, auditing_unless_direct, plain
from policy_service.cli.output import Exit, Moved, err, out, print_json, print_table, progress_bar, read_text, when

_PLACE = re.compile(r"against\[(\d+)\]")
_AT_ONCE = 2_000
"""Checkpoints in one request: of at most 500 bytes, they fit into the megabyte that a service takes."""
_LONGEST = 501


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


@auditing_unless_direct
def verify(
    client: AuditClient | None,
    *,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoints kept elsewhere, one a line; - is standard input. Can be repeated.", show_default=False
        ),
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Read the database of the settings; trust no running service.")
    ] = False,
    public_keys: Annotated[
        list[Path] | None,
        typer.Option(
            "--public-key",
            help="With --direct: who signed them, PEM. Can be repeated. [default: the service's own]",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the change log and hold it against checkpoints and the policy; count the decision log.

    Exits with 1 if anything was tampered with, with 3 if answers were not recorded.
    """
    if public_keys and not direct:
        raise ValueError("--public-key is for --direct; a running service knows its own key")
    kept = [checkpoint for path in against or () for checkpoint in _kept_in(path)]
    with progress_bar("entries") as moved:
        if direct:
            found = _against(kept, lambda lines: _directly(lines, public_keys or (), moved))
        else:
            assert client is not None  # noqa: S101 - without --direct there is one.
            service = client
            met = 0
            for start in range(0, max(len(kept), 1), _AT_ONCE):
                found = _against(
                    kept[start : start + _AT_ONCE],
                    lambda lines: service.verify(lines, progress=lambda part: moved(part.done, part.total)),
                )
                met += found.checkpoints_met
                if found.fault:
                    break
            found = replace(found, checkpoints_met=met)
    if as_json:
        print_json({**plain(found), "replicas": [{**plain(log), "missing": log.missing} for log in found.replicas]})
    else:
        _print(found)
    raise typer.Exit(Exit.OK if found.whole else Exit.DENIED if found.fault else Exit.INCOMPLETE)


def _kept_in(path: Path) -> list[tuple[str, str]]:
    """A file's checkpoints, each with its place. Raises ValueError where there are none: they are what is relied on."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    # Cut off where it is none anyway, so that what is sent is bounded.
    found = [(f"{path}:{number}", _cut(line)) for number, line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path} holds no checkpoint")
    return found


def _cut(line: str) -> str:
    return line.encode()[:_LONGEST].decode(errors="ignore")


def _against(kept: Sequence[tuple[str, str]], walk: Callable[[list[str]], Verdict]) -> Verdict:
    try:
        return walk([line for _, line in kept])
    except (InvalidRequest, ValueError) as fault:
        # Told by place in the request; people know files and lines.
        raise ValueError(_PLACE.sub(lambda place: kept[int(place[1])][0], str(fault))) from fault


def _directly(lines: Sequence[str], public_keys: Sequence[Path], moved: Moved) -> Verdict:
    from policy_service.app import open_store
    from policy_service.audit import checkpoint_key
    from policy_service.chain import read_verifier
    from policy_service.errors import PolicyError
    from policy_service.rpc import direct
    from policy_service.settings import read_settings

    settings = read_settings()
    own = checkpoint_key(settings).with_suffix(".pub")
    believed = public_keys or ([own] if lines or own.exists() else [])
    verifier = read_verifier(*believed) if believed else None

    async def walked() -> Any:
        async with open_store(settings, existing=True) as store:
            return await direct.verify_log(store, verifier, lines, moved)

    try:
        return verdict_from(asyncio.run(walked()))
    except PolicyError as fault:
        raise ValueError(str(fault)) from fault


def _print(found: Verdict) -> None:
    if found.replicas:
        print_table(
            ["process", "started (UTC)", "ended", "recorded", "from", "to", "missing", "counted as lost"],
            [_replica(log) for log in found.replicas],
            caption="the decision log: what is missing was answered and not recorded",
        )
    if found.losses:
        print_table(
            ["not recorded", "asked by", "process", "from (UTC)", "to"],
            [
                (
                    f"{loss.lost:,}",
                    escape(loss.caller) or "not noted",
                    loss.replica,
                    when(loss.first_at).removesuffix(" UTC") or "not noted",
                    when(loss.last_at).removesuffix(" UTC"),
                )
                for loss in found.losses
            ],
            caption="decisions that were answered while there was no room to record them",
        )
    if not found.fault:
        met = f"; checkpoints met: {found.checkpoints_met}" if found.checkpoints_met else ""
        if found.whole:
            out.print(f"[green]whole[/green]: {found.entries:,} entries, each as it was written{met}")
        else:
            err.print(
                f"[bold yellow]incomplete:[/bold yellow] {found.lost:,} decisions were answered and not recorded; "
                "nothing was tampered with"
            )
            out.print(f"the change log: {found.entries:,} entries, each as it was written{met}")
        if found.statement:
            out.print(f"[yellow]stated in the log:[/yellow] {escape(found.statement)}")
        out.print(f"[dim]head {found.head_hash} at revision {found.head_revision}[/dim]")
        if found.checkpoint:
            out.print(f"[dim]checkpoint, to be kept elsewhere:[/dim]\n{escape(found.checkpoint)}")
    else:
        where = f"broken at revision {found.broken_revision}" if found.broken_revision else "not whole"
        before = " before it" if found.broken_revision else " of the change log"
        err.print(f"[bold red]{where}:[/bold red] {escape(found.fault)}")
        err.print(f"[dim]{found.entries:,} entries{before} are as they were written[/dim]")


def _replica(log: ReplicaLog) -> list[str]:
    return [
        log.replica,
        when(log.started_at).removesuffix(" UTC"),
        when(log.ended_at).removesuffix(" UTC") or "not noted",
        f"{log.decisions:,}",
        str(log.first_sequence),
        str(log.last_sequence),
        _red(log.missing),
        _red(log.counted_lost),
    ]


def _red(count: int) -> str:
    return f"[red]{count:,}[/red]" if count else "0"
