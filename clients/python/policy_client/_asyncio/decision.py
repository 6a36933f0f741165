"""Generated from services/decision.py by generate.py; do not edit."""

from collections.abc import Iterable

from policy_client._pb import decision_pb2 as pb
from policy_client.answers import (
    AccessDenied,
    Actions,
    Channel,
    Decision,
    Explanation,
    Permissions,
    Places,
    Question,
    Users,
    Via,
)
from policy_client.channel import DECISION_TARGET
from policy_client.checks_async import AsyncioChecks
from policy_client.environment import DECISION_ADDRESS
from policy_client.revisions import history_of
from policy_client.wire import decision as wire


class AsyncPolicyClient(AsyncioChecks):
    """Asks the decision plane. Every method raises a PolicyError if there is no answer."""

    default_target = DECISION_TARGET
    variable = DECISION_ADDRESS

    _actions: Actions | None = None

    async def check(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        resource: str = "",
        correlation_id: str = "",
        timeout: float | None = None,
    ) -> Decision:
        """May this user do this in this physician's account? A deny is a falsy Decision, not an error."""
        question = Question(
            user=user,
            physician=physician,
            action=action,
            channel=channel,
            min_revision=min_revision,
            resource=resource,
            correlation_id=correlation_id,
        )
        return await self._check(question, timeout)

    async def require(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        resource: str = "",
        correlation_id: str = "",
        timeout: float | None = None,
    ) -> Decision:
        """As ``check``, but a deny raises AccessDenied: what follows runs only when allowed."""
        decision = await self.check(
            user,
            physician,
            action,
            channel=channel,
            min_revision=min_revision,
            resource=resource,
            correlation_id=correlation_id,
            timeout=timeout,
        )
        if not decision:
            raise AccessDenied(user, physician, action, decision)
        return decision

    async def check_many(self, questions: Iterable[Question], *, timeout: float | None = None) -> list[Decision]:
        """Up to 1,000 questions, answered in order, all at one revision. Raises ValueError over 1,000."""
        request = wire.batch_request(questions)
        asked = len(request.checks)
        if not asked:
            return []
        return await self._ask(request, lambda reply: wire.decisions_from(reply, asked), timeout)

    async def what_can(
        self,
        user: str,
        physician: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Permissions:
        """Every action, shown or hidden for this user here."""
        request = pb.ListActionsRequest(
            user=user,
            physician=physician,
            channel=wire.channel_number(channel),
            min_revision=min_revision,
            history=history_of(min_revision),
        )
        return await self._ask(request, wire.permissions_from, timeout)

    async def actions(self, *, min_revision: int = 0, timeout: float | None = None) -> Actions:
        """Every action that there is, with title and group, in the order in which a page shows them.

        The last answer is kept: with a ``min_revision`` that it reaches, nothing is asked.
        """
        kept = self._actions
        if kept is not None and 0 < min_revision <= kept.revision:
            return kept
        request = pb.ListActionsRequest(min_revision=min_revision, history=history_of(min_revision))
        found = await self._ask(request, wire.actions_from, timeout)
        self._actions = found
        return found

    async def who_can(
        self,
        action: str,
        physician: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Users:
        """Everyone who may do this here: the whole list, at one revision. ``timeout`` is for each page."""
        request = pb.ListUsersRequest(
            action=action,
            physician=physician,
            channel=wire.channel_number(channel),
            min_revision=min_revision,
            history=history_of(min_revision),
        )
        return await self._list(request, wire.users_from, timeout)

    async def where_can(
        self,
        user: str,
        *,
        action: str | None = None,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Places:
        """Every account where this user may act: the whole list, at one revision. ``timeout`` is for each page."""
        request = pb.ListPhysiciansRequest(
            user=user,
            action=action or "",
            channel=wire.channel_number(channel),
            min_revision=min_revision,
            history=history_of(min_revision),
        )
        return await self._list(request, wire.places_from, timeout)

    async def explain(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Explanation:
        """The answer of ``check``, with what decided it or what was missing."""
        question = Question(user=user, physician=physician, action=action, channel=channel, min_revision=min_revision)
        return await self._ask(pb.ExplainRequest(check=wire.check_request(question)), wire.explanation_from, timeout)
