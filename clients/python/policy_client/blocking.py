"""The blocking driver: carries calls to the service and back. It knows no method; ``services`` says what they are."""

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from policy_client.calls import LIST_ATTEMPTS, as_it_is, keyed, method_of, page_of
from policy_client.channel import LIST_TIMEOUT, read_timeout
from policy_client.client import Client
from policy_client.errors import ListChanged, error_from
from policy_client.forking import forks
from policy_client.opening import LazyChannel
from policy_client.turns import Asking, Stay
from policy_client.usable import closed

Answer = TypeVar("Answer")


class BlockingClient(Client):
    """Blocking channels, opened when first asked; safe to share between threads, and to carry over a fork."""

    def _begin(self) -> None:
        self._channels = [LazyChannel(reach) for reach in self._reaches]
        self._is_closed = False

    def _ask(
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
        began = forks.call_begins()
        try:
            while True:
                try:
                    reply = self._attempt(request, asking)
                    break
                except grpc.RpcError as failed:
                    self._pause_or_raise(failed, request, asking)
        finally:
            forks.call_ends(began)
        self._heard(reply)
        return read(reply)

    def _attempt(self, request: Message, asking: Asking) -> Any:
        """Ask whose turn it is."""
        path, write, parse = method_of(request)
        channel = self._channels[asking.at].get()
        method = channel.unary_unary(path, request_serializer=write, response_deserializer=parse)
        reply = method(request, timeout=asking.left)
        asking.answered()
        return reply

    def _pause_or_raise(self, failed: grpc.RpcError, request: Message, asking: Asking) -> None:
        """Wait for the next attempt, if there is one."""
        if self._is_closed:
            raise closed() from failed
        at = asking.at
        pause = asking.again(failed)
        if pause is None:
            raise error_from(failed, method_of(request).path, self._reaches[at]) from failed
        time.sleep(pause)

    def _write(
        self, request: Message, read: Callable[[Any], Answer], idempotency_key: str | None, timeout: float | None
    ) -> Answer:
        """The same for what changes something: tried again, it is done once."""
        return self._ask(keyed(request, idempotency_key), read, timeout)

    def _list(self, request: Message, read: Callable[[list[Any]], Answer], timeout: float | None) -> Answer:
        """All pages of a list, read as one; begun again if it changes meanwhile."""
        for attempt in range(1, LIST_ATTEMPTS + 1):
            stay = Stay()
            try:
                pages = [self._page(request, timeout, stay)]
                while token := pages[-1].next_page_token:
                    pages.append(self._page(page_of(request, token), timeout, stay))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return read(pages)
        raise AssertionError("the last attempt returns or raises")

    def _page(self, request: Message, timeout: float | None, stay: Stay) -> Any:
        return self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT, stay=stay)

    def _items(
        self, request: Message, read: Callable[[Any], Iterable[Answer]], timeout: float | None
    ) -> Iterator[Answer]:
        """What is on the pages of a list, each asked for when the one before is used up."""
        stay = Stay()
        page = self._page(request, timeout, stay)
        yield from read(page)
        while token := page.next_page_token:
            page = self._page(page_of(request, token), timeout, stay)
            yield from read(page)

    def _stream(self, request: Message, read: Callable[[Any], Answer], timeout: float | None) -> Iterator[Answer]:
        """The parts of a reply as they come; there is no limit of time unless one is given."""
        asking = self._turns.begin(None if timeout is None else read_timeout(timeout))
        path, write, parse = method_of(request)
        began, is_answered = forks.call_begins(may_last=True), False
        try:
            while True:
                try:
                    channel = self._channels[asking.at].get()
                    method = channel.unary_stream(path, request_serializer=write, response_deserializer=parse)
                    for part in method(request, timeout=asking.left):
                        is_answered = True
                        yield read(part)
                except grpc.RpcError as failed:
                    if is_answered:
                        # What came cannot be taken back, so nothing begins anew.
                        raise error_from(failed, path, self._reaches[asking.at]) from failed
                    self._pause_or_raise(failed, request, asking)
                else:
                    asking.answered()
                    return
        finally:
            forks.call_ends(began, may_last=True)

    def close(self) -> None:
        """Close the channels for good; calls in hand are cancelled."""
        self._is_closed = True
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
