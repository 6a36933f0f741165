"""CallersService: who may call what, and by which tokens callers are known."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from policy_client._pb import callers_pb2 as pb
from policy_client.blocking import BlockingClient
from policy_client.callers import CallerInfo, CallerRemoved, NewToken
from policy_client.channel import MANAGEMENT_TARGET
from policy_client.environment import MANAGEMENT_ADDRESS
from policy_client.revisions import Revision, revision_of
from policy_client.wire import callers as wire


class CallersClient(BlockingClient):
    """Asks CallersService on the management plane. Every method raises a PolicyError if nothing was done.

    Calls that change something carry no idempotency key, as an answer that the
    service kept would keep the token: where an answer was lost, look with ``get_caller``.
    """

    default_target = MANAGEMENT_TARGET
    variable = MANAGEMENT_ADDRESS

    def list_callers(self, *, timeout: float | None = None) -> list[CallerInfo]:
        """Every caller that the seed, a right of its own or a token names, without its rights."""
        return self._ask(pb.ListCallersRequest(), wire.callers_from, timeout)

    def get_caller(self, caller: str, *, timeout: float | None = None) -> CallerInfo:
        """One caller, and what it may call by Casbin's word. Raises NotFound."""
        return self._ask(pb.GetCallerRequest(caller=caller), wire.caller_from, timeout)

    def add_caller(
        self,
        caller: str,
        *,
        actor: str,
        reason: str,
        may: Iterable[str] = (),
        physicians: Iterable[str] = (),
        certificate_only: bool = False,
        expires_at: datetime | None = None,
        timeout: float | None = None,
    ) -> NewToken:
        """Give a caller groups of methods or single ones, for all physicians or those named, and its first token.

        Without ``expires_at`` it ends in 90 days. Raises AlreadyExists, and Refused
        where naming physicians would not limit it.
        """
        request = pb.AddCallerRequest(
            caller=caller,
            may=may,
            physicians=physicians,
            certificate_only=certificate_only,
            expires_at=wire.stamp(expires_at),
            actor=actor,
            reason=reason,
        )
        return self._ask(request, wire.token_from, timeout)

    def change_caller(
        self,
        caller: str,
        *,
        actor: str,
        reason: str,
        may: Iterable[str] = (),
        physicians: Iterable[str] = (),
        timeout: float | None = None,
    ) -> Revision:
        """Put other rights in the place of its own; its tokens stay. Raises NotFound."""
        request = pb.ChangeCallerRequest(caller=caller, may=may, physicians=physicians, actor=actor, reason=reason)
        return self._ask(request, revision_of, timeout)

    def rotate_token(
        self,
        caller: str,
        *,
        actor: str,
        reason: str,
        expires_at: datetime | None = None,
        overlap: timedelta | None = None,
        at_once: bool = False,
        timeout: float | None = None,
    ) -> NewToken:
        """A further token; the one before ends after ``overlap`` (7 days), or all others now with ``at_once``.

        Raises NotFound, and Refused where two are valid already.
        """
        request = pb.RotateTokenRequest(
            caller=caller,
            expires_at=wire.stamp(expires_at),
            overlap=wire.duration(overlap),
            at_once=at_once,
            actor=actor,
            reason=reason,
        )
        return self._ask(request, wire.token_from, timeout)

    def remove_token(
        self, caller: str, token_id: str, *, actor: str, reason: str, timeout: float | None = None
    ) -> Revision:
        """End one token at once. Raises NotFound."""
        request = pb.RemoveTokenRequest(caller=caller, token_id=token_id, actor=actor, reason=reason)
        return self._ask(request, revision_of, timeout)

    def remove_caller(self, caller: str, *, actor: str, reason: str, timeout: float | None = None) -> CallerRemoved:
        """Take its own rights and end its tokens. Raises NotFound."""
        request = pb.RemoveCallerRequest(caller=caller, actor=actor, reason=reason)
        return self._ask(request, wire.removed_from, timeout)
