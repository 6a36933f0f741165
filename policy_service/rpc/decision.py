"""DecisionService: decode, decide from memory, encode."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from policy_service import metrics
from policy_service.decide import Reach, Snapshot
from policy_service.decision_log import DecisionLog, NoRoom
from policy_service.errors import InvalidField, InvalidRequest
from policy_service.pb import decision_pb2 as pb
from policy_service.replicate import Replica
from policy_service.rpc.bounds import ITEMS
from policy_service.rpc.catalogue import encode_catalogue
from policy_service.rpc.cursors import Cursors
from policy_service.rpc.deadlines import seconds_left
from policy_service.rpc.errors import CallerNotAllowed
from policy_service.rpc.explanations import sentence
from policy_service.rpc.fields import Fields, invalid
from policy_service.rpc.listing import page
from policy_service.rpc.questions import CHANNELS, is_log_text, parse_channel, parse_check, parse_history
from policy_service.vocabulary import Outcome, Reason, User, parse_action, parse_physician, parse_user

MOST_QUESTIONS: Final = ITEMS["BatchCheckRequest.checks"]
# Plain strings: they go into every line of the log.
_CHANNEL_WORDS: Final = {number: channel.value for number, channel in CHANNELS.items()}
_REASONS: Final[dict[Reason, pb.Reason]] = {
    reason: cast(pb.Reason, pb.Reason.Value(f"REASON_{reason.name}")) for reason in Reason
}


Answered = TypeVar("Answered")


class DecisionService:
    """The methods of the decision plane, as functions from request and caller to response."""

    def __init__(self, replica: Replica, log: DecisionLog, cursors: Cursors, *, or_lose: bool) -> None:
        """Answer from ``replica``, and write every decision to ``log`` before it leaves; ``cursors`` sign pages.

        Where it has no room the question is refused, unless the decision may be lost then (``or_lose``).
        """
        self._replica = replica
        self._log = log
        self._cursors = cursors
        self._or_lose = or_lose

    def check(self, request: pb.CheckRequest, caller: str) -> pb.CheckResponse:
        """See DecisionService.Check in decision.proto."""
        try:
            return self._check(request, caller)
        except NoRoom as room:
            return self._when_there_is_room(self._check, request, caller, room)

    def batch_check(self, request: pb.BatchCheckRequest, caller: str) -> pb.BatchCheckResponse:
        """See DecisionService.BatchCheck in decision.proto."""
        try:
            return self._batch_check(request, caller)
        except NoRoom as room:
            return self._when_there_is_room(self._batch_check, request, caller, room)

    def explain(self, request: pb.ExplainRequest, caller: str) -> pb.ExplainResponse:
        """See DecisionService.Explain in decision.proto."""
        try:
            return self._explain(request, caller)
        except NoRoom as room:
            # Not waited for: a place that lists and explanations share is none to wait in.
            if self._or_lose:
                return self._explain(request, caller, or_lose=True)
            metrics.decisions_refused.inc()
            raise room.refusal from None

    def _when_there_is_room(self, decide: Callable[..., Answered], request: Any, caller: str, room: NoRoom) -> Answered:
        """Wait for room to record the decision, and decide anew: no answer is older than its record."""
        while self._log.wait(room):
            try:
                return decide(request, caller)
            except NoRoom as again:
                again.until = room.until
                room = again
        if self._or_lose:
            return decide(request, caller, or_lose=True)
        metrics.decisions_refused.inc(len(request.checks) if isinstance(request, pb.BatchCheckRequest) else 1)
        raise room.refusal

    def _check(self, request: pb.CheckRequest, caller: str, *, or_lose: bool = False) -> pb.CheckResponse:
        snapshot = self._at(request)
        return self._answer(request, caller, _outcome(snapshot, request), snapshot, or_lose=or_lose)

    def _batch_check(
        self, request: pb.BatchCheckRequest, caller: str, *, or_lose: bool = False
    ) -> pb.BatchCheckResponse:
        checks = list(request.checks)
        if not checks:
            raise invalid("checks", f"checks has no questions; it takes 1 to {MOST_QUESTIONS:,}")
        snapshot = self._at_all(checks)
        outcomes, faults = [], []
        for place, check in enumerate(checks):
            try:
                outcomes.append(_outcome(snapshot, check))
            except InvalidRequest as fault:
                faults += [
                    InvalidField(field=f"checks[{place}].{at.field}", description=f"checks[{place}].{at.description}")
                    for at in fault.violations
                ]
        if faults:
            raise InvalidRequest(violations=tuple(faults))
        revision, history = snapshot.revision, snapshot.history.name
        channels = [_CHANNEL_WORDS[check.channel] for check in checks]
        ids = self._log.record_all(caller, checks, channels, outcomes, revision, or_lose=or_lose)
        for reason, count in Counter([outcome.reason for outcome in outcomes]).items():
            metrics.by_reason[reason].inc(count)
        return pb.BatchCheckResponse(
            answers=[
                pb.CheckResponse(
                    allowed=outcome.allowed,
                    reason=_REASONS[outcome.reason],
                    revision=revision,
                    decision_id=decision_id,
                    role=outcome.role,
                    history=history,
                )
                for outcome, decision_id in zip(outcomes, ids, strict=True)
            ],
            revision=revision,
            history=history,
        )

    def _explain(self, request: pb.ExplainRequest, caller: str, *, or_lose: bool = False) -> pb.ExplainResponse:
        check = request.check
        snapshot = self._at(check)
        user, physician, action, channel = parse_check(check)
        found = snapshot.explain(user, physician, action, channel)
        rule, missing = found.rule, found.missing
        return pb.ExplainResponse(
            decision=self._answer(check, caller, found.outcome, snapshot, or_lose=or_lose),
            sentence=sentence(check, channel, found),
            roles=found.roles,
            path=[pb.Grant(subject=subject, role=role) for subject, role in found.path],
            rule=pb.Rule(subject=rule.subject, physician=rule.physician, action=rule.action, effect=rule.effect)
            if rule
            else None,
            missing=pb.Missing(action=missing.action, roles=missing.roles) if missing else None,
        )

    def list_actions(self, request: pb.ListActionsRequest, caller: str) -> pb.ListActionsResponse:
        """See DecisionService.ListActions in decision.proto."""
        if not request.user and not request.physician:
            return self._catalogue(request)
        with Fields() as fields:
            user = fields.read(parse_user, request.user)
            physician = fields.read(parse_physician, request.physician)
            channel = fields.read(parse_channel, request.channel)
        snapshot = self._at(request)
        return pb.ListActionsResponse(
            actions=[
                pb.ActionAccess(
                    action=access.name,
                    shown=access.outcome.allowed,
                    reason=_REASONS[access.outcome.reason],
                    role=access.outcome.role,
                )
                for access in snapshot.actions(user, physician, channel)
            ],
            revision=snapshot.revision,
            roles=snapshot.roles(user, physician),
            history=snapshot.history.name,
            unknown_user=not _knows(snapshot, user, _reach(snapshot, caller, "ListActions")),
            catalogue=encode_catalogue(snapshot.basis),
        )

    def _catalogue(self, request: pb.ListActionsRequest) -> pb.ListActionsResponse:
        """What actions there are, of nobody."""
        snapshot = self._at(request)
        return pb.ListActionsResponse(
            revision=snapshot.revision, history=snapshot.history.name, catalogue=encode_catalogue(snapshot.basis)
        )

    def list_users(self, request: pb.ListUsersRequest, caller: str) -> pb.ListUsersResponse:  # noqa: ARG002
        """See DecisionService.ListUsers in decision.proto."""
        with Fields() as fields:
            physician = fields.read(parse_physician, request.physician)
            action = fields.read(parse_action, request.action)
            channel = fields.read(parse_channel, request.channel)
        snapshot = self._at(request)
        found = page(
            snapshot.users(physician, action, channel),
            cursors=self._cursors,
            question=("users", physician, action, channel),
            revision=snapshot.revision,
            size=request.page_size,
            token=request.page_token,
            name_at=snapshot.history.name_at,
        )
        return pb.ListUsersResponse(
            users=[pb.UserAccess(user=access.name, role=access.outcome.role) for access in found.items],
            revision=found.revision,
            next_page_token=found.next_token,
            history=snapshot.history.name_at(found.revision),
        )

    def list_physicians(self, request: pb.ListPhysiciansRequest, caller: str) -> pb.ListPhysiciansResponse:
        """See DecisionService.ListPhysicians in decision.proto."""
        with Fields() as fields:
            user = fields.read(parse_user, request.user)
            action = fields.read(parse_action, request.action) if request.action else None
            channel = fields.read(parse_channel, request.channel)
        snapshot = self._at(request)
        if action is not None:
            snapshot.require_known(action)
        reach = _reach(snapshot, caller, "ListPhysicians")
        actions = [action] if action else snapshot.basis.catalogue.actions
        found = page(
            [place for place in snapshot.places(user, actions, channel) if reach.covers(place.name)],
            cursors=self._cursors,
            question=("physicians", user, action or "", channel),
            revision=snapshot.revision,
            size=request.page_size,
            token=request.page_token,
            name_at=snapshot.history.name_at,
        )
        return pb.ListPhysiciansResponse(
            physicians=[
                pb.PhysicianAccess(physician=access.name, roles=access.roles, actions=access.actions)
                for access in found.items
            ],
            revision=found.revision,
            next_page_token=found.next_token,
            unknown_user=not _knows(snapshot, user, reach),
            history=snapshot.history.name_at(found.revision),
        )

    def _at(self, asked: Any) -> Snapshot:
        """The snapshot that a request may be answered from."""
        if name := asked.history:
            return self._replica.at(asked.min_revision, parse_history(name, asked.min_revision), seconds_left())
        return self._replica.at(asked.min_revision, None, seconds_left())

    def _at_all(self, checks: list[pb.CheckRequest]) -> Snapshot:
        """One for many: at the largest revision, in a history to which all of theirs lead."""
        asked: dict[tuple[int, str], int] = {}
        for place, check in enumerate(checks):
            asked.setdefault((check.min_revision, check.history), place)
        names = {
            (revision, name): parse_history(name, revision, f"checks[{place}].history")
            for (revision, name), place in asked.items()
            if name
        }
        latest = max(asked)
        snapshot = self._replica.at(latest[0], names.get(latest), seconds_left())
        for (revision, _), wanted in names.items():
            snapshot.history.refuse_foreign(revision, wanted)
        return snapshot

    def _answer(
        self, check: pb.CheckRequest, caller: str, outcome: Outcome, snapshot: Snapshot, *, or_lose: bool
    ) -> pb.CheckResponse:
        reason, revision = outcome.reason, snapshot.revision
        channel = _CHANNEL_WORDS[check.channel]
        decision_id = self._log.record(caller, check, channel, outcome, revision, or_lose=or_lose)
        # Behind it: what was not recorded was not answered.
        metrics.by_reason[reason].inc()
        return pb.CheckResponse(
            allowed=outcome.allowed,
            reason=_REASONS[reason],
            revision=revision,
            decision_id=decision_id,
            role=outcome.role,
            history=snapshot.history.name,
        )


def _reach(snapshot: Snapshot, caller: str, name: str) -> Reach:
    """Where a caller may ask this. Raises CallerNotAllowed for one that may nowhere by now."""
    reach = snapshot.callers.reach(caller, f"DecisionService/{name}")
    if reach is None:
        raise CallerNotAllowed(caller=caller, method=f"DecisionService/{name}")
    return reach


def _knows(snapshot: Snapshot, user: User, reach: Reach) -> bool:
    """Is the user known in an account that the caller may ask about?"""
    return any(map(reach.covers, snapshot.where_known(user)))


def _outcome(snapshot: Snapshot, check: pb.CheckRequest) -> Outcome:
    channel = CHANNELS.get(check.channel)
    slot = None if channel is None else snapshot.basis.slots[channel].get(check.action)
    if slot is not None:
        # What is remembered was once read whole, so its names need no second look.
        known = snapshot.remembered(check.user, check.physician, slot)
        if known is not None and is_log_text(check.resource, check.correlation_id):
            return known
    return snapshot.check(*parse_check(check))
