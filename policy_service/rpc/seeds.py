"""SeedService: decode, judge or plan or apply, encode."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Final

from policy_service.decide import Model
from policy_service.errors import PolicyError
from policy_service.pb import seeds_pb2 as pb
from policy_service.policy_text import MOST_BYTES, Finding, Level, lint
from policy_service.rpc.bounds import TEXTS
from policy_service.rpc.fields import Fields, invalid, parse_text, parse_title
from policy_service.seed import NAMED, Group, Membership, Plan, Planned, SeedPlans, Target, csv_lines, in_turn, ordered
from policy_service.store import Store
from policy_service.transfer import moving
from policy_service.vocabulary import ANY, SYSTEM_DOMAIN, Progress, digits, is_own_right, parse_user

MOST_NAMED: Final = 100
MOST_REASON: Final = TEXTS["reason"]
_MEMBERS: Final = 5_000
"""People in one message of a stream."""
_GROUPS: Final = 100
"""Groups in one message of a stream: a third of what gRPC takes, with a hundred people of the longest names in each."""

_LEVELS: Final = {Level.ERROR: pb.LEVEL_ERROR, Level.WARNING: pb.LEVEL_WARNING}


class SeedService:
    """The built-in policy's methods, as functions from request and caller to response."""

    def __init__(self, store: Store, model: Model, plans: SeedPlans, *, methods: frozenset[str]) -> None:
        """``methods`` are the contract's, which a seed may give rights to."""
        self._store = store
        self._model = model
        self._plans = plans
        self._methods = methods

    async def lint_seed(self, request: pb.LintSeedRequest, caller: str) -> pb.LintSeedResponse:  # noqa: ARG002
        """See SeedService.LintSeed in seeds.proto."""
        linted = await in_turn(partial(lint, _csv(request.csv), methods=self._methods))
        return pb.LintSeedResponse(findings=[_finding(found) for found in linted.findings])

    async def plan_seed(self, request: pb.PlanSeedRequest, caller: str) -> AsyncIterator[pb.PlanSeedResponse]:
        """See SeedService.PlanSeed in seeds.proto."""
        with Fields() as fields:
            target = fields.read(_target, request)
            named = fields.read(_named, request.most_listed)
        made: Plan | None = None
        most = None if request.list_all else named
        async with aclosing(self._plans.plan(target, caller=caller, most=most)) as parts:
            async for part in parts:
                if isinstance(part, Progress):
                    yield pb.PlanSeedResponse(progress=pb.Progress(done=part.done, total=part.total))
                else:
                    made = part
        assert made is not None  # noqa: S101 - a plan's last part is the plan.
        encoded = encode_plan(made, named)
        more = encoded.groups[_GROUPS:]
        del encoded.groups[_GROUPS:]
        yield pb.PlanSeedResponse(plan=encoded)
        for start in range(0, len(more), _GROUPS):
            yield pb.PlanSeedResponse(plan=pb.Plan(groups=more[start : start + _GROUPS]))
        if request.list_all:
            for place, group in enumerate(made.impact.groups):
                for members in _sliced(group.members):
                    yield pb.PlanSeedResponse(affected=pb.Affected(group=place, members=_memberships(members)))

    async def apply_seed(self, request: pb.ApplySeedRequest, caller: str) -> pb.ApplySeedResponse:
        """See SeedService.ApplySeed in seeds.proto."""
        with Fields() as fields:
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
            target = fields.read(_target, request)
            digest = fields.read(_digest, request.digest)
            history = fields.read(_history, request.history)
        planned = Planned(
            revision=request.revision,
            digest=digest,
            allow_mass_removal=request.allow_mass_removal,
            allow_emptied_role=request.allow_emptied_role,
            allow_widened_callers=request.allow_widened_callers,
            at_any_revision=request.at_any_revision,
            history=history,
        )
        written = await self._plans.apply(target, planned, caller=caller, actor=actor, reason=reason)
        return pb.ApplySeedResponse(revision=written.revision, changed=written.changed, history=written.history)

    async def export_policy(
        self,
        request: pb.ExportPolicyRequest,
        caller: str,  # noqa: ARG002
    ) -> AsyncIterator[pb.ExportPolicyResponse]:
        """See SeedService.ExportPolicy in seeds.proto."""
        everything = _everything(request.form)
        async with self._store.reading_long() as look:
            if everything:
                model = await look.model_at(look.revision) or self._model.text
                async for part in moving.export(look, model):
                    progress = pb.Progress(done=part.done, total=part.total)
                    yield pb.ExportPolicyResponse(revision=look.revision, text=part.text, progress=progress)
                return
            rows = [row for row in await look.rows([ANY, SYSTEM_DOMAIN]) if not is_own_right(row)]
            lines = csv_lines(ordered(rows))
            text = "".join(f"{line}\n" for line in lines)
            progress = pb.Progress(done=len(lines), total=len(lines))
            yield pb.ExportPolicyResponse(revision=look.revision, text=text, progress=progress)


def _csv(text: str) -> str:
    if len(text) > MOST_BYTES or len(text.encode()) > MOST_BYTES:
        raise invalid("csv", f"csv has more than {MOST_BYTES:,} bytes")
    return text


def _target(request: pb.PlanSeedRequest | pb.ApplySeedRequest) -> Target:
    match request.WhichOneof("target"):
        case "csv":
            return Target(csv=_csv(request.csv))
        case "to_revision" if request.to_revision > 0:
            return Target(to_revision=request.to_revision)
        case "to_revision":
            raise invalid("to_revision", f"to_revision is {request.to_revision}; revisions begin with 1")
        case _:
            raise invalid("csv", "csv is missing: the text of a seed, or to_revision in its place")


def _named(most: int) -> int:
    if not 0 <= most <= MOST_NAMED:
        raise invalid("most_listed", f"most_listed is {most}; it takes 0 to {MOST_NAMED}")
    return most or NAMED


def parse_reason(text: str) -> str:
    """Read why something is done; raises InvalidRequest."""
    if not text:
        raise invalid("reason", "reason is empty: the change log wants to know why")
    return parse_title(text, field="reason", most=MOST_REASON)


def _digest(text: str) -> str:
    if not text:
        raise invalid("digest", "digest is missing: that of the plan to apply")
    return parse_text(text, field="digest", most=TEXTS["digest"])


def _history(text: str) -> int | None:
    found = digits(text) if text else None
    if text and found is None:
        raise invalid("history", "history is not the 16 hexadecimal digits that stand beside the plan's revision")
    return found


def _everything(form: int) -> bool:
    if form not in pb.PolicyForm.values():
        raise invalid("form", f"form {form} is none of POLICY_FORM_SEED (1) and POLICY_FORM_EVERYTHING (2)")
    return form == pb.POLICY_FORM_EVERYTHING


def _finding(found: Finding) -> pb.Finding:
    return pb.Finding(
        level=_LEVELS[found.level],
        code=found.code,
        line=found.line,
        column=found.column,
        end_column=found.end_column,
        text=_printable(found.text),
        hint=_printable(found.hint),
    )


def _printable(text: str) -> str:
    """Without lone surrogates, which cannot be sent."""
    return text.encode("utf-8", "backslashreplace").decode()


def encode_plan(made: Plan, named: int | None) -> pb.Plan:
    """A plan with so many people of each group, or all that it names."""
    return pb.Plan(
        revision=made.revision,
        digest=made.digest,
        added=csv_lines(made.added),
        removed=csv_lines(made.removed),
        groups=[_group(group, named) for group in made.impact.groups],
        users=made.impact.users,
        physicians=made.impact.physicians,
        guarded=[_words(guard) for guard in made.guards],
        history=made.history,
    )


def _group(group: Group, named: int | None) -> pb.ImpactGroup:
    return pb.ImpactGroup(
        roles=group.roles,
        gained=group.gained,
        lost=group.lost,
        count=group.count,
        some=_memberships(group.members[:named]),
    )


def _memberships(members: list[Membership]) -> list[pb.Membership]:
    return [pb.Membership(user=user, physician=physician) for user, physician in members]


def _sliced(members: list[Membership]) -> Iterator[list[Membership]]:
    for start in range(0, len(members), _MEMBERS):
        yield members[start : start + _MEMBERS]


def _words(guard: PolicyError) -> str:
    return f"{guard.reason}: {guard}"
