"""How the fake writes: a story runs on a draft, kept whole or not at all, and once for each idempotency key."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from policy_client._pb import manage_users_pb2 as mu
from policy_client.testing.fields import Fields
from policy_client.testing.limits import Limits
from policy_client.testing.refusals import refuse
from policy_client.testing.rules import BuiltIn
from policy_client.testing.state import State

Response = TypeVar("Response", bound=Any)


class Stories:
    """The state, and the one way to change it."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        valid_for: timedelta,
        built_in: BuiltIn,
        limits: Limits | None = None,
    ) -> None:
        """``clock`` says what time it is, with a timezone; links work for ``valid_for``."""
        self.clock = clock
        self.valid_for = valid_for
        self._kept: dict[str, _Kept] = {}
        self._history: list[State] = []
        self.state = State(built_in=built_in, limits=limits or Limits())

    def write(self, story: Callable[[State], Response]) -> Response:
        """Run a story on a draft, and keep the draft if it changed anything; what is refused changes nothing."""
        draft = self.state.draft()
        result = story(draft)
        draft.limits.refuse_growth(self.state.accounts, draft.accounts)
        if draft.differs(self.state):
            self.state = replace(draft, about=draft.touched(self.state))
            self._history.append(self.state)
        return result

    def answer(self, request: Any, story: Callable[[State], Response]) -> Response:
        """Write, once for each idempotency key."""
        key, content = request.idempotency_key, type(request).__name__.encode() + request.SerializeToString()
        with Fields() as fields:
            fields.key(key)
        if key in self._kept:
            kept: Response = self._again(self._kept[key], content, request)
            return kept
        response = self.write(story)
        response.revision, response.history = self.state.revision, self.state.history
        if key:
            self._kept[key] = _kept(key, content, request, response, self.state)
        return response

    def _again(self, kept: "_Kept", content: bytes, request: Any) -> Any:
        if kept.content != content:
            refuse("IDEMPOTENCY_KEY_REUSED", key=kept.key)
        since = [state for state in self._history if state.revision > kept.revision]
        overtaken = next((state.revision for state in since if kept.about & state.about), None)
        if overtaken is not None:
            refuse("SUPERSEDED", key=kept.key, revision=kept.revision, by_revision=overtaken)
        if kept.stands_until is not None and kept.stands_until <= self.clock():
            refuse("SUPERSEDED", key=kept.key, revision=kept.revision)
        return getattr(mu, type(request).__name__.replace("Request", "Response")).FromString(kept.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An answer, with what it is about: given again while that is as it was."""

    key: str
    content: bytes
    answer: bytes
    revision: int
    about: frozenset[tuple[str, str]]
    stands_until: datetime | None


def _kept(key: str, content: bytes, request: Any, response: Any, state: State) -> _Kept:
    about: set[tuple[str, str]] = set()
    physician = getattr(request, "physician", "") or getattr(response, "physician", "")
    invitation = state.invitations.get(getattr(request, "invitation_id", ""))
    users = {
        getattr(request, "username", "") or getattr(response, "username", ""),
        invitation.user if invitation else "",
        request.actor if isinstance(request, mu.LeaveAccountRequest | mu.ChangeAddressRequest) else "",
    }
    if role := getattr(request, "role", ""):
        about = {(physician, f"role:{role}")}
    elif not isinstance(request, mu.RegisterPhysicianRequest):
        about = {(place, f"user:{user}") for user in users - {""} for place in (physician, "*")}
    ends = getattr(response, "invitation", response)
    return _Kept(
        key=key,
        content=content,
        answer=response.SerializeToString(),
        revision=response.revision,
        about=frozenset(about),
        stands_until=ends.expires_at.ToDatetime(tzinfo=UTC) if hasattr(ends, "expires_at") else None,
    )
