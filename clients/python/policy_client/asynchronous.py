"""The asyncio driver: the blocking one's verbs, awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from policy_client.calls import LIST_ATTEMPTS, as_it_is, keyed, method_of, page_of
from policy_client.channel import LIST_TIMEOUT, Reach, channel_options, read_timeout
from policy_client.client import Client
from policy_client.errors import ListChanged, error_from
from policy_client.forking import forks
from policy_client.turns import Asking, Stay
from policy_client.usable import closed, of_another_loop, refuse_cut_off

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A channel for each address, with the process and the loop that they are of."""

    generation: int
    loop: asyncio.AbstractEventLoop
    channels: tuple[grpc.aio.Channel, ...]


class AsyncioClient(Client):
    """Channels of the event loop that first asks, opened then; when that loop is closed, of the next."""

    def _begin(self) -> None:
        self._opened: _Opened | None = None
        self._is_closed = False

    def _channel(self, at: int) -> grpc.aio.Channel:
        """The running loop's channel to an address. Raises ClientNotUsable."""
        refuse_cut_off()
        if self._is_closed:
            raise closed()
        loop, before = asyncio.get_running_loop(), self._opened
        if before is not None:
            if before.generation != forks.generation:
                forks.leave(before)
            elif before.loop is loop:
                return before.channels[at]
            elif not before.loop.is_closed():
                raise of_another_loop()
        forks.opened_to_stay()
        channels = tuple(map(_open, self._reaches))
        self._opened = _Opened(generation=forks.generation, loop=loop, channels=channels)
        return channels[at]

    async def _ask(
        self,
        request: Message,
        read: Callable[[Any], Answer],
        timeout: float | None,
        *,
        at_least: float = 0.0,
        shared: bool = False,
        stay: Stay | None = None,
    ) -> Answer:
        """One request, one reply. With ``shared`` no address takes all the time while there is another."""
        asking = self._turns.begin(self._seconds(timeout, at_least), shared=shared, stay=stay)
        while True:
            try:
                reply = await self._attempt(request, asking)
                break
            except grpc.RpcError as failed:
                await self._pause_or_raise(failed, request, asking)
        self._heard(reply)
        return read(reply)

    async def _attempt(self, request: Message, asking: Asking) -> Any:
        """Ask whose turn it is."""
        reply = await self._one(request, asking.at, asking.left)
        asking.answered()
        return reply

    async def _one(self, request: Message, at: int, seconds: float | None) -> Any:
        path, write, parse = method_of(request)
        method = self._channel(at).unary_unary(path, request_serializer=write, response_deserializer=parse)
        return await method(request, timeout=seconds)

    async def _pause_or_raise(self, failed: grpc.RpcError, request: Message, asking: Asking) -> None:
        """Wait for the next attempt, if there is one."""
        if self._is_closed:
            raise closed() from failed
        at = asking.at
        pause = asking.again(failed)
        if pause is None:
            raise error_from(failed, method_of(request).path, self._reaches[at]) from failed
        await asyncio.sleep(pause)

    async def _write(
        self, request: Message, read: Callable[[Any], Answer], idempotency_key: str | None, timeout: float | None
    ) -> Answer:
        """The same for what changes something: tried again, it is done once."""
        return await self._ask(keyed(request, idempotency_key), read, timeout)

    async def _list(self, request: Message, read: Callable[[list[Any]], Answer], timeout: float | None) -> Answer:
        """All pages of a list, read as one; begun again if it changes meanwhile."""
        for attempt in range(1, LIST_ATTEMPTS + 1):
            stay = Stay()
            try:
                pages = [await self._page(request, timeout, stay)]
                while token := pages[-1].next_page_token:
                    pages.append(await self._page(page_of(request, token), timeout, stay))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return read(pages)
        raise AssertionError("the last attempt returns or raises")

    async def _page(self, request: Message, timeout: float | None, stay: Stay) -> Any:
        return await self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT, stay=stay)

    async def _items(
        self, request: Message, read: Callable[[Any], Iterable[Answer]], timeout: float | None
    ) -> AsyncIterator[Answer]:
        """What is on the pages of a list, each asked for when the one before is used up."""
        stay = Stay()
        page = await self._page(request, timeout, stay)
        for item in read(page):
            yield item
        while token := page.next_page_token:
            page = await self._page(page_of(request, token), timeout, stay)
            for item in read(page):
                yield item

    async def _stream(
        self, request: Message, read: Callable[[Any], Answer], timeout: float | None
    ) -> AsyncIterator[Answer]:
        """The parts of a reply as they come; there is no limit of time unless one is given."""
        asking, is_answered = self._turns.begin(None if timeout is None else read_timeout(timeout)), False
        path, write, parse = method_of(request)
        while True:
            method = self._channel(asking.at).unary_stream(path, request_serializer=write, response_deserializer=parse)
            parts = method(request, timeout=asking.left)
            try:
                async for part in parts:
                    is_answered = True
                    yield read(part)
            except grpc.RpcError as failed:
                if is_answered:
                    # What came cannot be taken back, so nothing begins anew.
                    raise error_from(failed, path, self._reaches[asking.at]) from failed
                await self._pause_or_raise(failed, request, asking)
            else:
                asking.answered()
                return
            finally:
                # Who stops in the middle leaves nothing running at the service.
                parts.cancel()

    async def close(self) -> None:
        """Close the channels for good; calls in hand are cancelled."""
        self._is_closed = True
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if opened.generation != forks.generation:
            forks.leave(opened)
        elif opened.loop is asyncio.get_running_loop():
            for channel in opened.channels:
                await channel.close(None)
        elif not opened.loop.is_closed():
            raise of_another_loop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _open(reach: Reach) -> grpc.aio.Channel:
    options = channel_options(reach.options)
    if reach.credentials is None:
        return grpc.aio.insecure_channel(reach.target, options)
    return grpc.aio.secure_channel(reach.target, reach.credentials, options)
