"""What a plan of a seed looks like: a difference of rows, and the people whom it touches."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy_client import ImpactGroup, Revision, SeedPlan
from rich.markup import escape

from policy_service.cli.calling import plain
from policy_service.cli.output import out


def print_plan(plan: SeedPlan, *, asked_for_all: bool, accounts_known: bool = True) -> None:
    """For people; colours on a terminal only."""
    if plan.changes_nothing:
        out.print(f"Nothing would change: this is the seed in force [dim](revision {plan.revision})[/dim]")
        return
    for line in plan.removed:
        out.print(f"[red]- {escape(line)}[/red]")
    for line in plan.added:
        out.print(f"[green]+ {escape(line)}[/green]")
    out.print()
    if not accounts_known:
        out.print("Whom it touches is not known: --world FILE gives accounts, or plan with the running service.")
    elif not plan.groups:
        out.print("No user gains or loses anything.")
    else:
        held = sum(group.count for group in plan.groups)
        out.print(
            f"[bold]{_counted(plan.users, 'user')} in {_counted(plan.physicians, 'account')}[/bold] "
            f"{'is' if plan.users == 1 else 'are'} affected ({_counted(held, 'membership')}):"
        )
        for group in plan.groups:
            _print_group(group, asked_for_all=asked_for_all)
    out.print()
    for guard in plan.guarded:
        out.print(f"[yellow]guarded:[/yellow] {escape(guard)}")
    out.print(
        f"[dim]{_counted(len(plan.removed), 'row')} removed, {len(plan.added)} added; plan {plan.digest[:12]} at "
        f"revision {plan.revision}[/dim]"
    )


def _print_group(group: ImpactGroup, *, asked_for_all: bool) -> None:
    roles = ", ".join(group.roles) or "no role (rules of their own)"
    out.print(f"  [bold]{escape(roles)}[/bold]: {group.count:,}")
    for sign, colour, actions in (("gain", "green", group.gained), ("lose", "red", group.lost)):
        if actions:
            out.print(f"    [{colour}]{sign} {', '.join(actions)}[/{colour}]")
    for member in group.members:
        out.print(f"      {escape(member.user)} for {escape(member.physician)}")
    rest = group.count - len(group.members)
    if rest:
        out.print(f"      [dim]and {rest:,} more{'' if asked_for_all else ' (--all)'}[/dim]")


def plan_json(plan: SeedPlan, csv: str | None) -> dict[str, Any]:
    """For machines, and for a plan file: with the seed's text, so that it can be applied as it is."""
    return {**plain(plan), **({} if csv is None else {"csv": csv})}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What is taken from a plan file: the seed, and which plan of it was agreed to. The rest is for people to read."""

    revision: Revision
    digest: str
    csv: str


def plan_in(path: Path) -> PlanFile:
    """Read a plan file; raises ValueError for anything else, and OSError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        values = [found[name] for name in ("revision", "digest", "csv")]
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ValueError(f"{path} is not a plan written by 'seed plan --out'") from fault
    if [type(value) for value in values] != [int, str, str]:
        raise ValueError(f"{path} is not a plan written by 'seed plan --out'")
    revision, digest, csv = values
    token = Revision.of(str(found.get("token", revision)))
    if token != revision:
        raise ValueError(f"{path} is not a plan written by 'seed plan --out'")
    return PlanFile(revision=token, digest=digest, csv=csv)


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
