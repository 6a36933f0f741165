"""DecisionService of the fake: every method answers from the state in hand."""

import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Final

from policy_client._pb import decision_pb2 as pb
from policy_client.answers import Channel, Question
from policy_client.revisions import Revision
from policy_client.testing.fields import Fields
from policy_client.testing.refusals import Refusal, refuse, refuse_fields
from policy_client.testing.rules import Account, Finding, Told
from policy_client.testing.state import State

_MOST: Final = 1_000
_HISTORY: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_CHANNELS: Final = {pb.CHANNEL_MOBILE: Channel.MOBILE}


class Decisions:
    """The methods, by their names in the contract."""

    def __init__(self, state: Callable[[], State]) -> None:
        """``state`` is the state in hand; ``asked`` gathers every question that could be read."""
        self._state = state
        self._count = itertools.count(1)
        self.asked: list[Question] = []

    def check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """May this user do this?"""
        return self._response(self._finding(request, self._at(request)))

    def batch_check(self, request: pb.BatchCheckRequest) -> pb.BatchCheckResponse:
        """Many questions at one revision."""
        if not request.checks:
            refuse_fields({"checks": f"checks has no questions; it takes 1 to {_MOST:,}"})
        if len(request.checks) > _MOST:
            refuse_fields({"checks": f"checks has more than {_MOST:,} items"})
        state = self._state()
        for place, check in enumerate(request.checks):
            self._at(check, f"checks[{place}].history")
        faults: dict[str, str] = {}
        for place, check in enumerate(request.checks):
            try:
                _read(check, f"checks[{place}].")
            except Refusal as refused:
                faults |= refused.fields
        if faults:
            refuse_fields(faults)
        answers = [self._response(self._finding(check, state)) for check in request.checks]
        return pb.BatchCheckResponse(answers=answers, revision=state.revision, history=state.history)

    def explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        """The answer of ``check`` with its grounds."""
        check = request.check
        state = self._at(check)
        found, account = self._finding(check, state), state.accounts.get(check.physician)
        roles = account.roles_of(check.user) if account else ()
        missing = _missing(account, found, check.user, check.action) if account else None
        return pb.ExplainResponse(
            decision=self._response(found),
            sentence=_sentence(check, roles, found, missing),
            roles=roles,
            path=[pb.Grant(subject=subject, role=role) for subject, role in found.path],
            rule=pb.Rule(**dict(zip(("subject", "physician", "action", "effect"), found.rule, strict=True)))
            if found.rule
            else None,
            missing=missing,
        )

    def list_actions(self, request: pb.ListActionsRequest) -> pb.ListActionsResponse:
        """Every action, shown or hidden; of nobody, what actions there are."""
        if not request.user and not request.physician:
            state = self._at(request)
            catalogue = [_info(one) for one in state.built_in.told]
            return pb.ListActionsResponse(revision=state.revision, history=state.history, catalogue=catalogue)
        with Fields() as fields:
            fields.user("user", request.user)
            fields.physician(request.physician)
            fields.channel(request.channel)
        state = self._at(request)
        found = {
            action: _find(state, request.user, request.physician, action, request.channel)
            for action in state.built_in.actions
        }
        account = state.accounts.get(request.physician)
        return pb.ListActionsResponse(
            actions=[
                pb.ActionAccess(action=action, shown=one.allowed, reason=_reason(one), role=one.role)
                for action, one in found.items()
            ],
            revision=state.revision,
            roles=account.roles_of(request.user) if account else (),
            history=state.history,
            unknown_user=not state.knows(request.user),
            catalogue=[_info(one) for one in state.built_in.told],
        )

    def list_users(self, request: pb.ListUsersRequest) -> pb.ListUsersResponse:
        """Everyone who may do this here."""
        with Fields() as fields:
            fields.physician(request.physician)
            fields.action(request.action)
            fields.channel(request.channel)
        state = self._at(request)
        mobile = request.channel == pb.CHANNEL_MOBILE
        _refuse_unknown(state, request.action)
        account = state.account(request.physician)
        found = [(user, account.find(user, request.action, mobile=mobile)) for user in account.users()]
        items = [pb.UserAccess(user=user, role=one.role) for user, one in found if one.allowed]
        users, revision, token = _page(items, request, state.revision)
        history = state.history_at(revision)
        return pb.ListUsersResponse(users=users, revision=revision, next_page_token=token, history=history)

    def list_physicians(self, request: pb.ListPhysiciansRequest) -> pb.ListPhysiciansResponse:
        """Everywhere this user may act."""
        with Fields() as fields:
            fields.user("user", request.user)
            if request.action:
                fields.action(request.action)
            fields.channel(request.channel)
        state = self._at(request)
        if request.action:
            _refuse_unknown(state, request.action)
        mobile = request.channel == pb.CHANNEL_MOBILE
        items = []
        for physician, account in sorted(state.accounts.items()):
            wanted = [request.action] if request.action else state.built_in.actions
            actions = [action for action in wanted if account.find(request.user, action, mobile=mobile).allowed]
            if actions:
                roles = account.roles_of(request.user)
                items.append(pb.PhysicianAccess(physician=physician, roles=roles, actions=actions))
        physicians, revision, token = _page(items, request, state.revision)
        return pb.ListPhysiciansResponse(
            physicians=physicians,
            revision=revision,
            next_page_token=token,
            history=state.history_at(revision),
            unknown_user=not state.knows(request.user),
        )

    def _at(self, asked: Any, field: str = "history") -> State:
        state, revision, history = self._state(), asked.min_revision, asked.history
        if history and (not _HISTORY.fullmatch(history) or not revision):
            refuse_fields({field: f"{field} is not what stood beside the revision of min_revision"})
        if history and state.history_at(revision) != history:
            refuse("FOREIGN_HISTORY", revision=revision)
        if state.revision < revision:
            refuse("REVISION_NOT_REACHED", wanted=revision, reached=state.revision)
        return state

    def _finding(self, check: pb.CheckRequest, state: State) -> Finding:
        _read(check)
        self.asked.append(
            Question(
                user=check.user,
                physician=check.physician,
                action=check.action,
                channel=_CHANNELS.get(check.channel, Channel.WEB),
                min_revision=Revision(check.min_revision, check.history),
                resource=check.resource,
                correlation_id=check.correlation_id,
            )
        )
        return _find(state, check.user, check.physician, check.action, check.channel)

    def _response(self, found: Finding) -> pb.CheckResponse:
        return pb.CheckResponse(
            allowed=found.allowed,
            reason=_reason(found),
            revision=self._state().revision,
            history=self._state().history,
            decision_id=f"fake-{next(self._count)}",
            role=found.role,
        )


def _read(check: pb.CheckRequest, prefix: str = "") -> None:
    with Fields(prefix) as fields:
        fields.user("user", check.user)
        fields.physician(check.physician)
        fields.action(check.action)
        fields.channel(check.channel)
        fields.log_text("resource", check.resource, 256)
        fields.log_text("correlation_id", check.correlation_id, 128)


def _refuse_unknown(state: State, action: str) -> None:
    if action not in state.built_in.actions:
        like = get_close_matches(action, state.built_in.actions, n=1)
        refuse("UNKNOWN_ACTION", action=action, **({"did_you_mean": like[0]} if like else {}))


def _info(one: Told) -> pb.ActionInfo:
    info = one.info
    return pb.ActionInfo(
        action=info.action,
        title=info.title,
        sentence=info.sentence,
        group=info.group,
        owner_only=info.owner_only,
        not_mobile=info.not_mobile,
        deprecated=info.deprecated,
        replaced_by=info.replaced_by,
        needs=info.needs,
        headline=info.headline,
    )


def _find(state: State, user: str, physician: str, action: str, channel: int) -> Finding:
    account = state.accounts.get(physician)
    if account is None:
        return Finding(reason="UNKNOWN_PHYSICIAN")
    if action not in state.built_in.actions:
        return Finding(reason="UNKNOWN_ACTION")
    return account.find(user, action, mobile=channel == pb.CHANNEL_MOBILE)


def _reason(found: Finding) -> pb.Reason:
    return getattr(pb, f"REASON_{found.reason}")  # type: ignore[no-any-return]


def _missing(account: Account, found: Finding, user: str, action: str) -> pb.Missing | None:
    if found.allowed or found.rule or action not in account.built_in.actions:
        return None
    wanted: str | None = action
    if found.reason == "CHANNEL_NOT_ALLOWED":
        wanted = next((gate for gate in account.built_in.gates if not account.may(user, gate)), None)
    if wanted is None:
        return None
    roles = sorted({*account.built_in.roles, *account.custom_roles()})
    return pb.Missing(action=wanted, roles=[role for role in roles if wanted in account.allowed_by(role)])


def _sentence(check: pb.CheckRequest, roles: Sequence[str], found: Finding, missing: pb.Missing | None) -> str:
    who, what, where = check.user, check.action, check.physician
    via = " in the mobile app" if check.channel == pb.CHANNEL_MOBILE else ""
    held = f"{who} is {' and '.join(roles)} for {where}" if roles else f"{who} has no role for {where}"
    chain = "".join(f", which includes {role}" for _, role in found.path[1:])
    match found.reason:
        case "GRANTED":
            scope = "everything" if found.rule and found.rule.action == "*" else what
            return f"{who} may {what} for {where}{via}: as {found.role}{chain}, {scope} is allowed."
        case "DENIED_BY_RULE":
            why = f"as {found.role}{chain}, a rule denies it, and a deny always wins"
            return f"{who} may not {what} for {where}{via}: {why}."
        case "NOT_A_MEMBER":
            return f"{who} may not {what} for {where}{via}: {held}."
        case "NOT_GRANTED":
            return f"{who} may not {what} for {where}{via}: {held}, and that does not allow {what}."
        case "CHANNEL_NOT_ALLOWED":
            if missing is None:
                return f"{who} may {what} for {where}, but not{via}: it cannot be done there."
            return f"{who} may {what} for {where}, but not{via}: {held}, and that does not allow {missing.action}."
        case "UNKNOWN_ACTION":
            return f"{who} may not {what} for {where}: there is no such action."
        case _:
            return f"{who} may not {what} for {where}: no physician is registered under that name."


def _page(items: list[Any], request: Any, revision: int) -> tuple[list[Any], int, str]:
    """A page of a list, the revision of its first page, and the next token; refuses a foreign one, and LIST_CHANGED."""
    size, offset = min(request.page_size or _MOST, _MOST), 0
    # Everything asked but for the page: another question's token is not one of this list.
    question = type(request).FromString(request.SerializeToString())
    for name in ("page_size", "page_token", "min_revision", "history"):
        question.ClearField(name)
    asked, found = (hashlib.sha256(repr(part).encode()).hexdigest() for part in (question, items))
    if request.page_token:
        try:
            start, first, of, before = base64.urlsafe_b64decode(request.page_token.encode()).decode().split()
            offset, revision = int(start), int(first)
        except ValueError:
            of = before = ""
        if of != asked:
            refuse_fields({"page_token": "page_token is not one of this list"})
        if before != found:
            refuse("LIST_CHANGED")
    end = offset + size
    more = base64.urlsafe_b64encode(f"{end} {revision} {asked} {found}".encode()).decode() if end < len(items) else ""
    return items[offset:end], revision, more
