"""Generated from services/seeds.py by generate.py; do not edit."""

from collections.abc import AsyncIterator, Callable

from policy_client._pb import seeds_pb2 as pb
from policy_client.asynchronous import AsyncioClient
from policy_client.calls import as_it_is
from policy_client.channel import MANAGEMENT_TARGET, SEED_TIMEOUT
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.reviews import Progress
from policy_client.revisions import Revision, revision_of
from policy_client.seeds import Finding, SeedPlan, SeedTarget
from policy_client.wire import seeds as wire


class AsyncSeedClient(AsyncioClient):
    """Asks SeedService on the management plane. Every method raises a PolicyError if nothing was done.

    There is no limit of time for plans and exports unless one is given; a seed
    is judged and applied within five minutes.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    async def lint(self, csv: str, *, timeout: float | None = None) -> list[Finding]:
        """Judge a seed as the service would; none: it is clean."""
        return await self._ask(pb.LintSeedRequest(csv=csv), wire.findings_from, timeout, at_least=SEED_TIMEOUT)

    async def plan(
        self,
        target: SeedTarget,
        *,
        most_listed: int = 0,
        list_all: bool = False,
        progress: Callable[[Progress], None] | None = None,
        timeout: float | None = None,
    ) -> SeedPlan:
        """What a seed would change now. ``most_listed`` people of each group are named (0: ten), or all."""
        request = pb.PlanSeedRequest(most_listed=most_listed, list_all=list_all, **target.fields())
        reading = wire.PlanReading(list_all=list_all, progress=progress)
        async for part in self._stream(request, as_it_is, timeout):
            reading.add(part)
        return reading.whole()

    async def apply(
        self,
        target: SeedTarget,
        plan: SeedPlan,
        *,
        actor: str,
        reason: str,
        allow_mass_removal: bool = False,
        allow_emptied_role: bool = False,
        allow_widened_callers: bool = False,
        at_any_revision: bool = False,
        timeout: float | None = None,
    ) -> Revision:
        """Do exactly what the plan says; the revision that shows it.

        With ``at_any_revision`` also where something else was changed since, if
        rows and everyone affected are the same. Raises PlanMoved where the plan no
        longer holds, Refused where it removes too much, or lets calling services
        call more, and that was not allowed, CallerNotAllowed where it changes what
        they may call and this caller may not change that.
        """
        request = pb.ApplySeedRequest(
            actor=actor,
            reason=reason,
            revision=plan.revision,
            history=plan.revision.history,
            digest=plan.digest,
            allow_mass_removal=allow_mass_removal,
            allow_emptied_role=allow_emptied_role,
            allow_widened_callers=allow_widened_callers,
            at_any_revision=at_any_revision,
            **target.fields(),
        )
        return await self._ask(request, revision_of, timeout, at_least=SEED_TIMEOUT)

    async def seed(self, *, timeout: float | None = None) -> str:
        """The built-in rows in force, as lines of CSV in a stable order."""
        request, parts = pb.ExportPolicyRequest(form=pb.POLICY_FORM_SEED), []
        async for text, _ in self._stream(request, wire.exported_from, timeout):
            parts.append(text)
        return "".join(parts)

    def everything(self, *, timeout: float | None = None) -> AsyncIterator[tuple[str, Progress]]:
        """The whole policy as JSON lines, in parts, each with how far it is."""
        request = pb.ExportPolicyRequest(form=pb.POLICY_FORM_EVERYTHING)
        return self._stream(request, wire.exported_from, timeout)
