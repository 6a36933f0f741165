"""The asyncio driver: the blocking one's verbs, awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from policy_client.calls import LIST_ATTEMPTS, as_it_is, keyed, method_of, page_of
from policy_client.channel import LIST_TIMEOUT, channel_options, read_timeout
from policy_client.client import Client
from policy_client.errors import ListChanged, error_from
from policy_client.forking import forks
from policy_client.tracing import calling
from policy_client.usable import closed, of_another_loop, refuse_cut_off

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A channel, with the process and the loop that it is of."""

    generation: int
    loop: asyncio.AbstractEventLoop
    channel: grpc.aio.Channel


class AsyncioClient(Client):
    """A channel of the event loop that first asks, opened then; when that loop is closed, of the next."""

    def _begin(self) -> None:
        self._opened: _Opened | None = None
        self._is_closed = False

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

    async def _ask(
        self, request: Message, read: Callable[[Any], Answer], timeout: float | None, *, at_least: float = 0.0
    ) -> Answer:
        """One request, one reply."""
        seconds = self._seconds(timeout, at_least)
        path, write, parse = method_of(request)
        method = self._channel().unary_unary(path, request_serializer=write, response_deserializer=parse)
        try:
            with calling(path) as metadata:
                reply = await method(request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as failed:
            raise error_from(failed, path, self._reach) from failed
        return read(reply)

    async def _write(
        self, request: Message, read: Callable[[Any], Answer], idempotency_key: str | None, timeout: float | None
    ) -> Answer:
        """The same for what changes something: tried again, it is done once."""
        return await self._ask(keyed(request, idempotency_key), read, timeout)

    async def _list(self, request: Message, read: Callable[[list[Any]], Answer], timeout: float | None) -> Answer:
        """All pages of a list, read as one; begun again if it changes meanwhile."""
        for attempt in range(1, LIST_ATTEMPTS + 1):
            try:
                pages = [await self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT)]
                while token := pages[-1].next_page_token:
                    pages.append(await self._ask(page_of(request, token), as_it_is, timeout, at_least=LIST_TIMEOUT))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return read(pages)
        raise AssertionError("the last attempt returns or raises")

    async def _items(
        self, request: Message, read: Callable[[Any], Iterable[Answer]], timeout: float | None
    ) -> AsyncIterator[Answer]:
        """What is on the pages of a list, each asked for when the one before is used up."""
        page = await self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT)
        for item in read(page):
            yield item
        while token := page.next_page_token:
            page = await self._ask(page_of(request, token), as_it_is, timeout, at_least=LIST_TIMEOUT)
            for item in read(page):
                yield item

    async def _stream(
        self, request: Message, read: Callable[[Any], Answer], timeout: float | None
    ) -> AsyncIterator[Answer]:
        """The parts of a reply as they come; there is no limit of time unless one is given."""
        seconds = None if timeout is None else read_timeout(timeout)
        path, write, parse = method_of(request)
        method = self._channel().unary_stream(path, request_serializer=write, response_deserializer=parse)
        try:
            with calling(path) as metadata:
                parts = method(request, timeout=seconds, metadata=metadata)
                try:
                    async for part in parts:
                        yield read(part)
                finally:
                    # Who stops in the middle leaves nothing running at the service.
                    parts.cancel()
        except grpc.RpcError as failed:
            raise error_from(failed, path, self._reach) from failed

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
