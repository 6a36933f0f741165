"""Blocking: what its clients share, and the one of the decision plane."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import grpc

from policy_client import calls
from policy_client.answers import (
    AccessDenied,
    Channel,
    Decision,
    Explanation,
    Permissions,
    Places,
    Question,
    Users,
    Via,
)
from policy_client.calls import LIST_ATTEMPTS, Call, Listing
from policy_client.channel import (
    DECISION_TARGET,
    LIST_TIMEOUT,
    Credentials,
    Options,
    read_reach,
    read_timeout,
)
from policy_client.environment import DECISION_ADDRESS
from policy_client.errors import ListChanged, error_from
from policy_client.forking import forks
from policy_client.opening import LazyChannel

Answer = TypeVar("Answer")
Client = TypeVar("Client", bound="BlockingClient")


class BlockingClient:
    """A blocking channel, opened when first asked; safe to share between threads, and to carry over a fork."""

    default_target: ClassVar[str]
    variable: ClassVar[str]

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout: float | None = None,
        credentials: Credentials = "environment",
        options: Options = (),
    ) -> None:
        """``timeout`` is seconds for a whole call, retries included; each method can set its own.

        What is left out comes from the environment, ``POLICY_*``, else from
        the defaults. Raises ValueError for what cannot be, such as an address
        without a port, or plain text beyond this machine.
        """
        self._reach = read_reach(
            target, timeout, credentials, options, variable=self.variable, default_target=self.default_target
        )
        self._channel = LazyChannel(self._reach)

    def on(self, target: str, kind: type[Client]) -> Client:
        """A client of another kind at another target, which reaches it in the same way."""
        reach = self._reach
        return kind(target, timeout=reach.timeout, credentials=reach.credentials, options=reach.options)

    def _run(self, call: Call[Answer], timeout: float | None) -> Answer:
        timeout = self._reach.timeout if timeout is None else read_timeout(timeout)
        began = forks.call_begins()
        try:
            method = self._channel.get().unary_unary(
                call.path,
                request_serializer=type(call.request).SerializeToString,
                response_deserializer=call.response_type.FromString,
            )
            response = method(call.request, timeout=timeout)
        except grpc.RpcError as failed:
            raise error_from(failed, call.path, self._reach) from failed
        finally:
            forks.call_ends(began)
        return call.read(response)

    def _stream(self, call: Call[Answer], timeout: float | None) -> Iterator[Answer]:
        """The parts of an answer as they come; there is no limit of time unless one is given."""
        began = forks.call_begins(may_last=True)
        try:
            method = self._channel.get().unary_stream(
                call.path,
                request_serializer=type(call.request).SerializeToString,
                response_deserializer=call.response_type.FromString,
            )
            for part in method(call.request, timeout=timeout):
                yield call.read(part)
        except grpc.RpcError as failed:
            raise error_from(failed, call.path, self._reach) from failed
        finally:
            forks.call_ends(began, may_last=True)

    def _list(self, listing: Listing[Answer], timeout: float | None) -> Answer:
        timeout = max(LIST_TIMEOUT, self._reach.timeout) if timeout is None else timeout
        for attempt in range(1, LIST_ATTEMPTS + 1):
            try:
                pages = [self._run(listing.first, timeout)]
                while pages[-1].next_page_token:
                    pages.append(self._run(listing.page(pages[-1].next_page_token), timeout))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return listing.read(pages)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the channel for good; calls in hand are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PolicyClient(BlockingClient):
    """Asks the decision plane. Every method raises a PolicyError if there is no answer."""

    default_target = DECISION_TARGET
    variable = DECISION_ADDRESS

    def check(
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
        return self._run(calls.check(question), timeout)

    def require(
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
        decision = self.check(
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

    def check_many(self, questions: Iterable[Question], *, timeout: float | None = None) -> list[Decision]:
        """Up to 1,000 questions, answered in order, all at one revision. Raises ValueError over 1,000."""
        call = calls.batch_check(questions)
        return self._run(call, timeout) if call.request.checks else []

    def what_can(
        self,
        user: str,
        physician: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Permissions:
        """Every action, shown or hidden for this user here."""
        return self._run(calls.list_actions(user, physician, channel, min_revision), timeout)

    def who_can(
        self,
        action: str,
        physician: str,
        *,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Users:
        """Everyone who may do this here: the whole list, at one revision. ``timeout`` is for each page."""
        return self._list(calls.list_users(action, physician, channel, min_revision), timeout)

    def where_can(
        self,
        user: str,
        *,
        action: str | None = None,
        channel: Via = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Places:
        """Every account where this user may act: the whole list, at one revision. ``timeout`` is for each page."""
        return self._list(calls.list_physicians(user, action, channel, min_revision), timeout)

    def explain(
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
        return self._run(calls.explain(question), timeout)
