"""Asyncio: method for method as blocking, which a test asserts."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
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
    channel_options,
    read_reach,
    read_timeout,
)
from policy_client.environment import DECISION_ADDRESS
from policy_client.errors import ListChanged, error_from
from policy_client.forking import forks
from policy_client.usable import closed, of_another_loop, refuse_cut_off

Answer = TypeVar("Answer")
Client = TypeVar("Client", bound="AsyncioClient")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A channel, with the process and the loop that it is of."""

    generation: int
    loop: asyncio.AbstractEventLoop
    channel: grpc.aio.Channel


class AsyncioClient:
    """A channel of the event loop that first asks, opened then; when that loop is closed, of the next."""

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
        self._opened: _Opened | None = None
        self._is_closed = False

    def on(self, target: str, kind: type[Client]) -> Client:
        """A client of another kind at another target, which reaches it in the same way."""
        reach = self._reach
        return kind(target, timeout=reach.timeout, credentials=reach.credentials, options=reach.options)

    def _channel(self) -> grpc.aio.Channel:
        """The running loop's channel. Raises ClientNotUsable."""
        refuse_cut_off()
        if self._is_closed:
            raise closed()
        loop, before = asyncio.get_running_loop(), self._opened
        if before is not None:
            if before.generation != forks.generation:
                forks.leave(before)
            elif before.loop is loop:
                return before.channel
            elif not before.loop.is_closed():
                raise of_another_loop()
        forks.opened_to_stay()
        reach, options = self._reach, channel_options(self._reach.options)
        if reach.credentials is None:
            channel = grpc.aio.insecure_channel(reach.target, options)
        else:
            channel = grpc.aio.secure_channel(reach.target, reach.credentials, options)
        self._opened = _Opened(generation=forks.generation, loop=loop, channel=channel)
        return channel

    async def _run(self, call: Call[Answer], timeout: float | None) -> Answer:
        timeout = self._reach.timeout if timeout is None else read_timeout(timeout)
        method = self._channel().unary_unary(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )
        try:
            response = await method(call.request, timeout=timeout)
        except grpc.RpcError as failed:
            raise error_from(failed, call.path, self._reach) from failed
        return call.read(response)

    async def _list(self, listing: Listing[Answer], timeout: float | None) -> Answer:
        timeout = max(LIST_TIMEOUT, self._reach.timeout) if timeout is None else timeout
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
        """Close the channel for good; calls in hand are cancelled."""
        self._is_closed = True
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if opened.generation != forks.generation:
            forks.leave(opened)
        elif opened.loop is asyncio.get_running_loop():
            await opened.channel.close(None)
        elif not opened.loop.is_closed():
            raise of_another_loop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncPolicyClient(AsyncioClient):
    """Asks the decision plane from asyncio. Every method raises a PolicyError if there is no answer."""

    default_target = DECISION_TARGET
    variable = DECISION_ADDRESS

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
        return await self._run(calls.check(question), timeout)

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
        call = calls.batch_check(questions)
        return await self._run(call, timeout) if call.request.checks else []

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
        return await self._run(calls.list_actions(user, physician, channel, min_revision), timeout)

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
        return await self._list(calls.list_users(action, physician, channel, min_revision), timeout)

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
        return await self._list(calls.list_physicians(user, action, channel, min_revision), timeout)

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
        return await self._run(calls.explain(question), timeout)
