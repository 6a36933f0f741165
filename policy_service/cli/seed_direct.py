"""Plans without a running service: on files alone, or on the database itself."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from policy_client import PlanMoved, PolicyError, Refused, SeedPlan, SeedTarget
from policy_client.reviews import Progress
from policy_client.wire.seeds import plan_from

from policy_service import errors, seed
from policy_service.rpc import SeedService, contract_methods, direct

Answer = TypeVar("Answer")


class DirectSeeds:
    """What ``SeedClient`` offers for a change, on the database of the settings itself.

    The policy is read anew for each step, as nothing follows it while somebody
    looks at a plan. Every method raises StartError.
    """

    def plan(
        self, target: SeedTarget, *, most_listed: int, list_all: bool, progress: Callable[[Progress], None]
    ) -> SeedPlan:
        """As the client's."""
        fields = {"most_listed": most_listed, "list_all": list_all, **target.fields()}
        parts = _run(
            lambda service: direct.plan_seed(
                service, lambda done, total: progress(Progress(done=done, total=total)), **fields
            )
        )
        return plan_from(parts, list_all=list_all)

    def apply(
        self,
        target: SeedTarget,
        plan: SeedPlan,
        *,
        actor: str,
        reason: str,
        allow_mass_removal: bool,
        allow_emptied_role: bool,
        allow_widened_callers: bool,
        at_any_revision: bool,
    ) -> int:
        """As the client's."""
        return _run(
            lambda service: direct.apply_seed(
                service,
                actor=actor,
                reason=reason,
                revision=plan.revision,
                digest=plan.digest,
                allow_mass_removal=allow_mass_removal,
                allow_emptied_role=allow_emptied_role,
                allow_widened_callers=allow_widened_callers,
                at_any_revision=at_any_revision,
                **target.fields(),
            )
        )


def _run(work: Callable[[SeedService], Coroutine[Any, Any, Answer]]) -> Answer:
    from policy_service.app import open_seeds
    from policy_service.settings import read_settings

    async def done() -> Answer:
        async with open_seeds(read_settings()) as service:
            return await work(service)

    try:
        return asyncio.run(done())
    except seed.PlanMoved as fault:
        raise PlanMoved(str(fault), reason=fault.reason) from fault
    except errors.PolicyError as fault:
        kind = Refused if fault.kind is errors.Kind.PRECONDITION else PolicyError
        raise kind(str(fault), reason=fault.reason) from fault


def offline_plan(
    name: str, text: str, against: Path, world: Path | None, *, most: int | None, progress: Callable[[int, int], None]
) -> SeedPlan:
    """A plan of a seed against another one, and the impact on the accounts of a file. Raises StartError."""
    from policy_service.decide import Basis, Snapshot, read_model
    from policy_service.policy_text import read_file, read_seed, seed_rows
    from policy_service.seed import Plan, plan_in_parts, propose
    from policy_service.settings import read_settings

    settings, methods = read_settings(), contract_methods()
    model = read_model(settings.model_file)
    basis = Basis(model, read_seed(against, methods=methods))
    accounts = read_file(world) if world else ()
    if world and not any(row.domain.startswith("physician:") for row in accounts):
        raise ValueError(f"--world {world} has no accounts")
    snapshot = Snapshot.of_rows(basis, accounts)
    wanted, share = seed_rows(text, name, methods=methods), settings.seed_most_removed

    async def made() -> Plan:
        proposal = await propose(model, basis.rows, wanted, most_removed=share, methods=methods)
        async for part in plan_in_parts(snapshot, proposal, most=most):
            if isinstance(part, Plan):
                return part
            progress(part.done, part.total)
        raise AssertionError("a plan's last part is the plan")

    return plan_from([direct.plan_part(asyncio.run(made()), most)], list_all=False)
