"""What a plan of a seed looks like: a difference of rows, and the people whom it touches."""

from typing import Any

from policy_client import ImpactGroup, Membership, SeedPlan
from rich.markup import escape

from policy_service.cli.calling import plain
from policy_service.cli.output import out

_NO_PLAN = "this is not a plan written by 'seed plan --out'"


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
        # A plan's file has no others than those that were asked for when it was written.
        out.print(f"      [dim]and {rest:,} more{'' if asked_for_all else ' (--all)'}[/dim]")


def plan_json(plan: SeedPlan, csv: str | None) -> dict[str, Any]:
    """For machines, and for a plan file: with the seed's text, so that it can be applied as it is."""
    return {**plain(plan), **({} if csv is None else {"csv": csv})}


def plan_of(found: Any) -> tuple[SeedPlan, str]:
    """A plan and its seed out of a plan file; raises ValueError for anything else."""
    try:
        revision, users, physicians = numbers = [found[name] for name in ("revision", "users", "physicians")]
        added, removed, guarded = (_words(found[name]) for name in ("added", "removed", "guarded"))
        groups = tuple(_group_of(group) for group in found["groups"])
        texts = (found["digest"], found["csv"])
    except (KeyError, TypeError) as fault:
        raise ValueError(_NO_PLAN) from fault
    if not all(isinstance(number, int) for number in numbers) or not all(isinstance(t, str) for t in texts):
        raise ValueError(_NO_PLAN)
    made = SeedPlan(
        revision=revision,
        digest=texts[0],
        added=added,
        removed=removed,
        groups=groups,
        users=users,
        physicians=physicians,
        guarded=guarded,
    )
    return made, texts[1]


def _group_of(found: Any) -> ImpactGroup:
    lists = {name: _words(found[name]) for name in ("roles", "gained", "lost")}
    members = tuple(Membership(user=member["user"], physician=member["physician"]) for member in found["members"])
    return ImpactGroup(count=int(found["count"]), members=members, **lists)


def _words(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise TypeError(found)
    return tuple(found)


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
