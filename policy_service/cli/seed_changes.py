"""``seed plan``, ``seed apply`` and ``seed rollback``: look first, then change exactly that."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from policy_client import PlanMoved, SeedClient, SeedPlan, SeedTarget

from policy_service.cli.calling import Actor, AsJson, seeding, seeding_unless_direct, seeding_unless_offline
from policy_service.cli.output import (
    STANDARD,
    Exit,
    Moved,
    ask,
    print_done,
    print_error,
    print_json,
    progress_bar,
    written,
)
from policy_service.cli.seed_guards import EmptiedRole, MassRemoval, WidenedCallers, hint, is_allowed
from policy_service.cli.seed_lint import SeedFile, faults_told, read_seed_text
from policy_service.cli.seed_plans import PlanFile, plan_in, plan_json, print_plan
from policy_service.errors import InvalidRequest

if TYPE_CHECKING:
    from policy_service.cli.seed_direct import DirectSeeds

Reason = Annotated[str, typer.Option(help="Why, for the change log.", show_default=False)]
Most = Annotated[int, typer.Option(min=1, max=100, help="How many people of each group to name.")]
Every = Annotated[bool, typer.Option("--all", help="Name everyone who is affected.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(apply)
    app.command()(rollback)


@seeding_unless_offline
def plan(
    client: SeedClient | None,
    file: SeedFile = None,
    *,
    against: Annotated[
        Path | None, typer.Option(help="Offline: plan against this seed, not the running service.", show_default=False)
    ] = None,
    world: Annotated[
        Path | None, typer.Option(help="Offline: accounts to see the impact on, as demo.csv.", show_default=False)
    ] = None,
    most: Most = 10,
    every: Every = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the plan, for 'seed apply --plan'.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a seed would change: its rows, and who would gain or lose what. Changes nothing."""
    if out == STANDARD:
        raise ValueError("--out is for a file; --json prints the plan")
    if against and out:
        raise ValueError("--out is for a plan of the running service: one made with --against can never be applied")
    name, text = read_seed_text(file)
    with progress_bar("accounts") as moved, faults_told(name, text):
        if client is None:
            # Late, as below: the other commands need not load the whole service.
            from policy_service.cli.seed_direct import offline_plan

            assert against is not None  # noqa: S101 - without it there is a client.
            made = offline_plan(name, text, against, world, most=None if every else most, progress=moved)
        elif world:
            raise ValueError("--world is for planning offline, with --against")
        else:
            made = _planned(client, SeedTarget(csv=text), most=most, every=every, progress=moved)
    if out:
        with written(out, private=True) as kept:
            kept.write(json.dumps(plan_json(made, text), indent=2) + "\n")
    if as_json:
        print_json(plan_json(made, None))
    else:
        print_plan(made, asked_for_all=every, accounts_known=not against or world is not None)


@seeding_unless_direct
def apply(
    client: SeedClient | None,
    file: SeedFile = None,
    *,
    actor: Actor,
    reason: Reason,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Apply this plan, written by 'seed plan --out'.", show_default=False)
    ] = None,
    at_any_revision: Annotated[
        bool,
        typer.Option(
            "--at-any-revision",
            help="With --plan: also if other things changed since, if rows and people are the same.",
        ),
    ] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="On the database of the settings, without a running service.")
    ] = False,
    most: Most = 10,
    every: Every = False,
    yes: Yes = False,
    allow_mass_removal: MassRemoval = False,
    allow_emptied_role: EmptiedRole = False,
    allow_widened_callers: WidenedCallers = False,
    as_json: AsJson = False,
) -> None:
    """Plan a seed, show the plan, ask, and apply exactly that. Exits with 1 if it is refused or has moved."""
    _refuse_early(actor, reason)
    if at_any_revision and not plan_file:
        raise ValueError("--at-any-revision is about a plan that was made before: it goes with --plan")
    agreed: PlanFile | None = None
    name = str(plan_file)
    if plan_file:
        if file:
            raise ValueError("a file or --plan: the plan carries its seed")
        agreed = plan_in(plan_file)
        text = agreed.csv
    else:
        name, text = read_seed_text(file)
    allowed = {
        "allow_mass_removal": allow_mass_removal,
        "allow_emptied_role": allow_emptied_role,
        "allow_widened_callers": allow_widened_callers,
    }
    target = SeedTarget(csv=text)
    seeds = _direct() if direct else client
    assert seeds is not None  # noqa: S101 - without --direct there is a client.
    with faults_told(name, text):
        _change(
            seeds,
            target,
            agreed,
            actor,
            reason,
            allowed,
            most=most,
            every=every,
            yes=yes,
            as_json=as_json,
            at_any_revision=at_any_revision,
        )


@seeding
def rollback(
    client: SeedClient,
    *,
    to: Annotated[
        int,
        typer.Option(min=1, max=(1 << 63) - 1, help="The revision whose seed should hold again.", show_default=False),
    ],
    actor: Actor,
    reason: Reason,
    most: Most = 10,
    every: Every = False,
    yes: Yes = False,
    allow_mass_removal: MassRemoval = False,
    allow_emptied_role: EmptiedRole = False,
    allow_widened_callers: WidenedCallers = False,
    as_json: AsJson = False,
) -> None:
    """Put the built-in rows back as they were at a revision; accounts and their own roles stay as they are."""
    _refuse_early(actor, reason)
    allowed = {
        "allow_mass_removal": allow_mass_removal,
        "allow_emptied_role": allow_emptied_role,
        "allow_widened_callers": allow_widened_callers,
    }
    target = SeedTarget(to_revision=to)
    _change(client, target, None, actor, reason, allowed, most=most, every=every, yes=yes, as_json=as_json)


def _change(
    seeds: "SeedClient | DirectSeeds",
    target: SeedTarget,
    agreed: PlanFile | None,
    actor: str,
    reason: str,
    allowed: dict[str, bool],
    *,
    most: int,
    every: bool,
    yes: bool,
    as_json: bool,
    at_any_revision: bool = False,
) -> None:
    """Plan, show the plan, ask, and apply it. One that was agreed to before must still be the same."""
    if as_json and not yes:
        raise ValueError("--json is for programs, which nobody asks: give --yes too, or leave --json out")
    made = _watched(seeds, target, most=most, every=every)
    if made.changes_nothing:
        print_done("this is the seed in force; nothing changed", made.revision, as_json=as_json, changed=False)
        return
    # What was shown just now need not wait for the policy to stand still: nothing but what was shown is done.
    at_any_revision = at_any_revision or not agreed
    if agreed and (made.digest != agreed.digest or (made.revision != agreed.revision and not at_any_revision)):
        print_error(
            f"The policy or what the seed would do is no longer what the plan says; plan again. (planned at revision "
            f"{agreed.revision}, now {made.revision})"
        )
        raise typer.Exit(Exit.DENIED)
    if not as_json:
        print_plan(made, asked_for_all=every)
    refused = [words for words in made.guarded if not is_allowed(words, allowed)]
    if refused:
        for words in refused:
            print_error(f"{words}{hint(words)}")
        raise typer.Exit(Exit.DENIED)
    if not yes:
        answer = ask("Apply this?")
        if answer is None:
            raise ValueError("nobody is here to ask; give --yes to apply without asking")
        if not answer:
            raise typer.Exit(Exit.DENIED)
    # Of which history the plan was that was agreed to is for the service to say.
    planned = replace(made, revision=agreed.revision) if agreed and agreed.revision.history else made
    try:
        revision = seeds.apply(target, planned, actor=actor, reason=reason, at_any_revision=at_any_revision, **allowed)
    except PlanMoved:
        if agreed:
            raise
        again = _watched(seeds, target, most=most, every=every)
        if again.changes_nothing:
            # By somebody else, or by us, the answer being lost on its way.
            print_done("this seed is in force meanwhile", again.revision, as_json=as_json, changed=False)
            return
        if not as_json:
            print_plan(again, asked_for_all=every)
        print_error("The policy was changed meanwhile, and the plan is another now; look at it and apply again.")
        raise typer.Exit(Exit.DENIED) from None
    print_done("the seed is applied", revision, as_json=as_json, changed=True, digest=made.digest)


def _refuse_early(actor: str, reason: str) -> None:
    """Not only after a plan was looked at."""
    from policy_service.rpc import parse_reason
    from policy_service.vocabulary import parse_user

    try:
        parse_user(actor, "--as")
        parse_reason(reason)
    except InvalidRequest as fault:
        raise ValueError(str(fault)) from fault


def _direct() -> "DirectSeeds":
    from policy_service.cli.seed_direct import DirectSeeds

    return DirectSeeds()


def _watched(seeds: "SeedClient | DirectSeeds", target: SeedTarget, *, most: int, every: bool) -> SeedPlan:
    with progress_bar("accounts") as moved:
        return _planned(seeds, target, most=most, every=every, progress=moved)


def _planned(
    seeds: "SeedClient | DirectSeeds", target: SeedTarget, *, most: int, every: bool, progress: Moved
) -> SeedPlan:
    return seeds.plan(
        target, most_listed=most, list_all=every, progress=lambda found: progress(found.done, found.total)
    )
