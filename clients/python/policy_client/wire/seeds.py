"""Findings and plans of seeds from the wire."""

from collections.abc import Callable, Iterable
from typing import Any

from policy_client._pb import seeds_pb2 as pb
from policy_client.errors import ProtocolError
from policy_client.reviews import Progress
from policy_client.revisions import revision_of
from policy_client.seeds import Finding, ImpactGroup, Membership, SeedPlan


class PlanReading:
    """A plan that comes in parts (PlanSeedResponse), put together as they come; ``progress`` is told how far it is."""

    def __init__(self, *, list_all: bool, progress: Callable[[Progress], None] | None = None) -> None:
        """With ``list_all`` everyone affected comes in parts of their own."""
        self._list_all = list_all
        self._progress = progress
        self._made: pb.Plan | None = None
        self._members: dict[int, list[Membership]] = {}

    def add(self, part: pb.PlanSeedResponse) -> None:
        """The next part."""
        match part.WhichOneof("part"):
            case "progress" if self._progress is not None:
                self._progress(Progress(done=part.progress.done, total=part.progress.total))
            case "plan":
                # Those after the first have more of its groups.
                self._made = self._made or pb.Plan()
                self._made.MergeFrom(part.plan)
            case "affected":
                self._members.setdefault(part.affected.group, []).extend(map(_membership, part.affected.members))

    def whole(self) -> SeedPlan:
        """The plan, when all parts came. Raises ProtocolError."""
        if self._made is None:
            raise ProtocolError("the answer ended without a plan")
        return _plan(self._made, self._members if self._list_all else None)


def plan_from(parts: Iterable[Any], *, list_all: bool) -> SeedPlan:
    """The plan of parts that are all there. Raises ProtocolError."""
    reading = PlanReading(list_all=list_all)
    for part in parts:
        reading.add(part)
    return reading.whole()


def exported_from(part: pb.ExportPolicyResponse) -> tuple[str, Progress]:
    """A part of the policy's text, and how far it is."""
    return part.text, Progress(done=part.progress.done, total=part.progress.total)


def findings_from(answer: pb.LintSeedResponse) -> list[Finding]:
    """What is wrong with a seed, from the wire."""
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
