"""Questions on the wire, and answers from it, which are checked before anybody may rely on them."""

from collections.abc import Iterable, Sequence

from policy_client._pb import decision_pb2 as pb
from policy_client.answers import (
    Access,
    ActionInfo,
    Actions,
    Channel,
    Decision,
    Explanation,
    Grant,
    Missing,
    Permission,
    Permissions,
    Place,
    Places,
    Question,
    Reason,
    Rule,
    Users,
    Via,
    channel_of,
)
from policy_client.calls import MOST_QUESTIONS
from policy_client.errors import ProtocolError
from policy_client.revisions import Revision, history_of, revision_of

_CHANNELS = {Channel.WEB: pb.CHANNEL_WEB, Channel.MOBILE: pb.CHANNEL_MOBILE}
CHANNEL_OF = {number: channel for channel, number in _CHANNELS.items()}
_REASONS = {pb.Reason.Value(f"REASON_{reason.name}"): reason for reason in Reason if reason is not Reason.OTHER}


def channel_number(channel: Via) -> pb.Channel:
    """The channel on the wire."""
    return _CHANNELS[channel_of(channel)]


def check_request(question: Question) -> pb.CheckRequest:
    """A question on the wire. Raises TypeError for what is no text, naming it."""
    if not isinstance(question, Question):
        raise TypeError(f"{question!r} is no Question; write Question(user, physician, action)")
    refuse_no_text(user=question.user, physician=question.physician, action=question.action)
    return pb.CheckRequest(
        user=question.user,
        physician=question.physician,
        action=question.action,
        channel=channel_number(question.channel),
        min_revision=question.min_revision,
        history=history_of(question.min_revision),
        resource=question.resource,
        correlation_id=question.correlation_id,
    )


def batch_request(questions: Iterable[Question]) -> pb.BatchCheckRequest:
    """A batch on the wire; raises ValueError over the limit, since one call is one revision."""
    asked = list(questions)
    if len(asked) > MOST_QUESTIONS:
        raise ValueError(f"{len(asked)} questions; one call answers at most {MOST_QUESTIONS}, all at one revision")
    return pb.BatchCheckRequest(checks=[check_request(question) for question in asked])


def refuse_no_text(**fields: object) -> None:
    """Raise TypeError, naming the field, for what the wire would take for something else, as None for empty."""
    for name, value in fields.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {type(value).__name__}, not a string")


def reason_of(number: int) -> Reason:
    """The reason from the wire; one that this client does not know is OTHER."""
    return _REASONS.get(number, Reason.OTHER)


def decision_from(response: pb.CheckResponse, min_revision: int = 0) -> Decision:
    """An answer from the wire. Raises ProtocolError if it says both yes and why not, or is older than asked for."""
    reason = reason_of(response.reason)
    if response.revision < min_revision:
        raise ProtocolError(f"the answer is of revision {response.revision}, asked for was {min_revision}")
    if response.allowed != (reason is Reason.GRANTED):
        raise ProtocolError(f"the answer says allowed={response.allowed} with reason {reason.value!r}")
    return Decision(
        allowed=response.allowed,
        reason=reason,
        revision=revision_of(response),
        decision_id=response.decision_id,
        role=response.role or None,
    )


def decisions_from(response: pb.BatchCheckResponse, asked: int) -> list[Decision]:
    """The answers of a batch. Raises ProtocolError unless there is one for each question, all at one revision."""
    if len(response.answers) != asked:
        raise ProtocolError(f"{asked} questions got {len(response.answers)} answers")
    decisions = [decision_from(answer) for answer in response.answers]
    if any(decision.revision != response.revision for decision in decisions):
        raise ProtocolError("the answers of one batch are of several revisions")
    return decisions


def infos_from(infos: Iterable[pb.ActionInfo]) -> tuple[ActionInfo, ...]:
    """What is said of actions, from the wire."""
    return tuple(
        ActionInfo(
            action=info.action,
            title=info.title,
            sentence=info.sentence,
            group=info.group,
            owner_only=info.owner_only,
            not_mobile=info.not_mobile,
            deprecated=info.deprecated,
            replaced_by=info.replaced_by or None,
            needs=tuple(info.needs),
            headline=info.headline,
        )
        for info in infos
    )


def actions_from(response: pb.ListActionsResponse) -> Actions:
    """The catalogue from the wire."""
    return Actions(actions=infos_from(response.catalogue), revision=revision_of(response))


def permissions_from(response: pb.ListActionsResponse) -> Permissions:
    """Every action from the wire. Raises ProtocolError if one contradicts itself."""
    for access in response.actions:
        if access.shown != (reason_of(access.reason) is Reason.GRANTED):
            raise ProtocolError(f"{access.action} is shown={access.shown} with reason {access.reason}")
    return Permissions(
        actions=tuple(
            Permission(
                action=access.action, shown=access.shown, reason=reason_of(access.reason), role=access.role or None
            )
            for access in response.actions
        ),
        roles=tuple(response.roles),
        revision=revision_of(response),
        unknown_user=response.unknown_user,
        catalogue=infos_from(response.catalogue),
    )


def users_from(pages: Sequence[pb.ListUsersResponse]) -> Users:
    """A whole list from its pages."""
    return Users(
        users=tuple(Access(user=found.user, role=found.role or None) for page in pages for found in page.users),
        revision=_one_revision([revision_of(page) for page in pages]),
    )


def places_from(pages: Sequence[pb.ListPhysiciansResponse]) -> Places:
    """A whole list from its pages."""
    return Places(
        physicians=tuple(
            Place(physician=found.physician, roles=tuple(found.roles), actions=tuple(found.actions))
            for page in pages
            for found in page.physicians
        ),
        revision=_one_revision([revision_of(page) for page in pages]),
        unknown_user=pages[0].unknown_user,
    )


def explanation_from(response: pb.ExplainResponse) -> Explanation:
    """An explanation from the wire. Raises ProtocolError like ``decision_from``."""
    rule, missing = response.rule, response.missing
    return Explanation(
        decision=decision_from(response.decision),
        sentence=response.sentence,
        roles=tuple(response.roles),
        path=tuple(Grant(subject=grant.subject, role=grant.role) for grant in response.path),
        rule=Rule(subject=rule.subject, physician=rule.physician, action=rule.action, effect=rule.effect)
        if response.HasField("rule")
        else None,
        missing=Missing(action=missing.action, roles=tuple(missing.roles)) if response.HasField("missing") else None,
    )


def _one_revision(revisions: list[Revision]) -> Revision:
    if len(set(revisions)) != 1:
        raise ProtocolError(f"the pages of one list are of several revisions: {revisions}")
    return revisions[0]
