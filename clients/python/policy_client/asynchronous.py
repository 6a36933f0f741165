"""Asyncio: method for method as blocking, which a test asserts."""

from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import grpc

from policy_client import calls
from policy_client.answers import AccessDenied, Channel, Decision, Explanation, Permissions, Places, Question, Users
from policy_client.calls import LIST_ATTEMPTS, Call, Listing
from policy_client.channel import (
    DECISION_TARGET,
    LIST_TIMEOUT,
    TIMEOUT,
    Options,
    channel_options,
    refuse_plain_text_abroad,
)
from policy_client.errors import ListChanged, error_from

Answer = TypeVar("Answer")
Client = TypeVar("Client", bound="AsyncioClient")


class AsyncioClient:
    """A channel of the running event loop."""

    default_target: ClassVar[str]

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout: float = TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
        options: Options = (),
    ) -> None:
        """``timeout`` is seconds for a whole call, retries included; each method can set its own.

        Raises ValueError for plain text beyond this machine.
        """
        target = target or self.default_target
        refuse_plain_text_abroad(target, credentials)
        self._timeout = timeout
        self._credentials = credentials
        self._options = options
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, channel_options(options))
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, channel_options(options))

    def on(self, target: str, kind: type[Client]) -> Client:
        """A client of another kind at another target, which reaches it in the same way."""
        return kind(target, timeout=self._timeout, credentials=self._credentials, options=self._options)

    async def _run(self, call: Call[Answer], timeout: float | None) -> Answer:
        method = self._channel.unary_unary(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )
        try:
            response = await method(call.request, timeout=self._timeout if timeout is None else timeout)
        except grpc.RpcError as failed:
            raise error_from(failed) from failed
        return call.read(response)

    async def _list(self, listing: Listing[Answer], timeout: float | None) -> Answer:
        timeout = max(LIST_TIMEOUT, self._timeout) if timeout is None else timeout
        for attempt in range(1, LIST_ATTEMPTS + 1):
            try:
                pages = [await self._run(listing.first, timeout)]
                while pages[-1].next_page_token:
                    pages.append(await self._run(listing.page(pages[-1].next_page_token), timeout))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return listing.read(pages)
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Close the channel; calls in hand are cancelled."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncPolicyClient(AsyncioClient):
    """Asks the decision plane from asyncio. Every method raises a PolicyError if there is no answer."""

    default_target = DECISION_TARGET

    async def check(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Channel = Channel.WEB,
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
        return await self._run(calls.check(question), timeout)

    async def require(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Channel = Channel.WEB,
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
        call = calls.batch_check(questions)
        return await self._run(call, timeout) if call.request.checks else []

    async def what_can(
        self,
        user: str,
        physician: str,
        *,
        channel: Channel = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Permissions:
        """Every action, shown or hidden for this user here."""
        return await self._run(calls.list_actions(user, physician, channel, min_revision), timeout)

    async def who_can(
        self,
        action: str,
        physician: str,
        *,
        channel: Channel = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Users:
        """Everyone who may do this here: the whole list, at one revision. ``timeout`` is for each page."""
        return await self._list(calls.list_users(action, physician, channel, min_revision), timeout)

    async def where_can(
        self,
        user: str,
        *,
        action: str | None = None,
        channel: Channel = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Places:
        """Every account where this user may act: the whole list, at one revision. ``timeout`` is for each page."""
        return await self._list(calls.list_physicians(user, action, channel, min_revision), timeout)

    async def explain(
        self,
        user: str,
        physician: str,
        action: str,
        *,
        channel: Channel = Channel.WEB,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Explanation:
        """The answer of ``check``, with what decided it or what was missing."""
        question = Question(user=user, physician=physician, action=action, channel=channel, min_revision=min_revision)
        return await self._run(calls.explain(question), timeout)
