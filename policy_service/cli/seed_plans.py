"""What a plan of a seed looks like: a difference of rows, and the people whom it touches."""

from collections.abc import Sequence
from typing import Any

from policy_client import ImpactGroup, SeedPlan
from rich.markup import escape

from policy_service.cli.calling import plain
from policy_service.cli.output import out


def print_plan(plan: SeedPlan, *, asked_for_all: bool) -> None:
    """For people; colours on a terminal only."""
    if plan.changes_nothing:
        out.print(f"Nothing would change: this is the seed in force [dim](revision {plan.revision})[/dim]")
        return
    for line in plan.removed:
        out.print(f"[red]- {escape(line)}[/red]")
    for line in plan.added:
        out.print(f"[green]+ {escape(line)}[/green]")
    out.print()
    if not plan.groups:
        out.print("Nobody gains or loses anything.")
    else:
        held = sum(group.count for group in plan.groups)
        out.print(
            f"[bold]{_count(plan.users, 'user')} in {_count(plan.physicians, 'account')}[/bold] "
            f"{'is' if plan.users == 1 else 'are'} affected ({_count(held, 'membership')}):"
        )
        for group in plan.groups:
            _print_group(group, asked_for_all=asked_for_all)
    out.print()
    for guard in plan.guarded:
        out.print(f"[yellow]guarded:[/yellow] {escape(guard)}")
    out.print(
        f"[dim]{_count(len(plan.removed), 'row')} removed, {len(plan.added)} added; "
        f"plan {plan.digest[:12]} at revision {plan.revision}[/dim]"
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _print_group(group: ImpactGroup, *, asked_for_all: bool) -> None:
    roles = ", ".join(group.roles) or "nobody's role (rules of their own)"
    out.print(f"  [bold]{escape(roles)}[/bold]: {group.count:,}")
    for sign, colour, actions in (("gain", "green", group.gained), ("lose", "red", group.lost)):
        if actions:
            out.print(f"    [{colour}]{sign} {', '.join(actions)}[/{colour}]")
    for member in group.members:
        out.print(f"      {escape(member.user)} for {escape(member.physician)}")
    rest = group.count - len(group.members)
    if rest and not asked_for_all:
        out.print(f"      [dim]and {rest:,} more (--all)[/dim]")


def plan_json(plan: SeedPlan, csv: str | None) -> dict[str, Any]:
    """For machines, and for a plan file: with the seed's text, so that it can be applied as it is."""
    return {**plain(plan), **({} if csv is None else {"csv": csv})}


def plan_of(found: dict[str, Any]) -> tuple[SeedPlan, str]:
    """A plan and its seed out of a plan file; raises ValueError for anything else."""
    try:
        fields = {name: found[name] for name in ("revision", "digest", "users", "physicians")}
        lists: dict[str, Sequence[str]] = {name: tuple(found[name]) for name in ("added", "removed", "guarded")}
        csv = found["csv"]
        if not (isinstance(csv, str) and isinstance(fields["revision"], int) and isinstance(fields["digest"], str)):
            raise TypeError("fields of other types")
        return SeedPlan(**fields, **lists, groups=()), csv  # type: ignore[arg-type]
    except (KeyError, TypeError) as fault:
        raise ValueError("this is not a plan written by 'seed plan --out'") from fault
