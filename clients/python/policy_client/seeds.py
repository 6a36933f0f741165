"""The client of ops' tools: judge, plan, apply and export the built-in policy."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from policy_client._pb import seeds_pb2 as pb
from policy_client.blocking import BlockingClient
from policy_client.calls import Call, as_it_is
from policy_client.channel import MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.errors import ProtocolError
from policy_client.reviews import Progress
from policy_client.revisions import Revision, revision_of

SEED_TIMEOUT: Final = 300.0
"""Seconds. Applying looks at every account again, and lint at every line of a hostile text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a seed that is wrong (``is_error``) or hardly meant, its place, and how to mend it."""

    is_error: bool
    code: str
    line: int
    column: int
    end_column: int
    text: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A user in a physician's account."""

    user: str
    physician: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactGroup:
    """People who hold the same and to whom the same happens; ``members`` are some of them, or all as asked."""

    roles: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    count: int
    members: tuple[Membership, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """What a seed would change: rows as lines of CSV, and who gains or loses what.

    ``digest`` stands for all of it and is given back to ``apply``; ``guarded``
    says what would be refused unless it is meant.
    """

    revision: Revision
    digest: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    groups: tuple[ImpactGroup, ...]
    users: int
    physicians: int
    guarded: tuple[str, ...]

    @property
    def changes_nothing(self) -> bool:
        """Is this the seed in force already?"""
        return not self.added and not self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTarget:
    """The seed that is wanted: its text, or the one that was in force at a revision."""

    csv: str | None = None
    to_revision: int | None = None

    def fields(self) -> dict[str, Any]:
        """As fields of a request; raises ValueError unless it is one of the two."""
        if (self.csv is None) == (self.to_revision is None):
            raise ValueError("give either csv or to_revision")
        return {"csv": self.csv} if self.to_revision is None else {"to_revision": self.to_revision}


class SeedClient(BlockingClient):
    """Asks SeedService on the management plane. Every method raises a PolicyError if nothing was done.

    Blocking only: ops' tools do one thing after the other. There is no limit
    of time for plans and exports unless one is given; a seed is judged and
    applied within five minutes.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    def lint(self, csv: str, *, timeout: float | None = None) -> list[Finding]:
        """Judge a seed as the service would; none: it is clean."""
        call = Call(_path("LintSeed"), pb.LintSeedRequest(csv=csv), pb.LintSeedResponse, _findings)
        return self._run(call, max(SEED_TIMEOUT, self._reach.timeout) if timeout is None else timeout)

    def plan(
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
        call = Call(_path("PlanSeed"), request, pb.PlanSeedResponse, as_it_is)
        return plan_from(self._stream(call, timeout), list_all=list_all, progress=progress)

    def apply(
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
        call = Call(_path("ApplySeed"), request, pb.ApplySeedResponse, revision_of)
        return self._run(call, max(SEED_TIMEOUT, self._reach.timeout) if timeout is None else timeout)

    def seed(self, *, timeout: float | None = None) -> str:
        """The built-in rows in force, as lines of CSV in a stable order."""
        return "".join(text for text, _ in self._export(pb.POLICY_FORM_SEED, timeout))

    def everything(self, *, timeout: float | None = None) -> Iterator[tuple[str, Progress]]:
        """The whole policy as JSON lines, in parts, each with how far it is."""
        return self._export(pb.POLICY_FORM_EVERYTHING, timeout)

    def _export(self, form: pb.PolicyForm, timeout: float | None) -> Iterator[tuple[str, Progress]]:
        request = pb.ExportPolicyRequest(form=form)
        call = Call(_path("ExportPolicy"), request, pb.ExportPolicyResponse, as_it_is)
        for part in self._stream(call, timeout):
            yield part.text, Progress(done=part.progress.done, total=part.progress.total)


def plan_from(parts: Iterable[Any], *, list_all: bool, progress: Callable[[Progress], None] | None = None) -> SeedPlan:
    """The plan that comes in parts (PlanSeedResponse)."""
    made: pb.Plan | None = None
    members: dict[int, list[Membership]] = {}
    for part in parts:
        match part.WhichOneof("part"):
            case "progress" if progress is not None:
                progress(Progress(done=part.progress.done, total=part.progress.total))
            case "plan":
                # Those after the first have more of its groups.
                made = made or pb.Plan()
                made.MergeFrom(part.plan)
            case "affected":
                members.setdefault(part.affected.group, []).extend(map(_membership, part.affected.members))
    if made is None:
        raise ProtocolError("the answer ended without a plan")
    return _plan(made, members if list_all else None)


def _path(method: str) -> str:
    return f"/policy.v1.SeedService/{method}"


def _findings(answer: pb.LintSeedResponse) -> list[Finding]:
    return [
        Finding(
            is_error=found.level != pb.LEVEL_WARNING,
            code=found.code,
            line=found.line,
            column=found.column,
            end_column=found.end_column,
            text=found.text,
            hint=found.hint,
        )
        for found in answer.findings
    ]


def _membership(found: pb.Membership) -> Membership:
    return Membership(user=found.user, physician=found.physician)


def _plan(made: pb.Plan, members: dict[int, list[Membership]] | None) -> SeedPlan:
    return SeedPlan(
        revision=revision_of(made),
        digest=made.digest,
        added=tuple(made.added),
        removed=tuple(made.removed),
        groups=tuple(
            ImpactGroup(
                roles=tuple(group.roles),
                gained=tuple(group.gained),
                lost=tuple(group.lost),
                count=group.count,
                members=tuple(map(_membership, group.some) if members is None else members.get(place, ())),
            )
            for place, group in enumerate(made.groups)
        ),
        users=made.users,
        physicians=made.physicians,
        guarded=tuple(made.guarded),
    )
