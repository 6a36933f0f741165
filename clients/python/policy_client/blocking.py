"""The blocking driver: carries calls to the service and back. It knows no method; ``services`` says what they are."""

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
from policy_client.tracing import calling

Answer = TypeVar("Answer")


class BlockingClient(Client):
    """A blocking channel, opened when first asked; safe to share between threads, and to carry over a fork."""

    def _begin(self) -> None:
        self._channel = LazyChannel(self._reach)

    def _ask(
        self, request: Message, read: Callable[[Any], Answer], timeout: float | None, *, at_least: float = 0.0
    ) -> Answer:
        """One request, one reply."""
        seconds = self._seconds(timeout, at_least)
        path, write, parse = method_of(request)
        began = forks.call_begins()
        try:
            method = self._channel.get().unary_unary(path, request_serializer=write, response_deserializer=parse)
            with calling(path) as metadata:
                reply = method(request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as failed:
            raise error_from(failed, path, self._reach) from failed
        finally:
            forks.call_ends(began)
        return read(reply)

    def _write(
        self, request: Message, read: Callable[[Any], Answer], idempotency_key: str | None, timeout: float | None
    ) -> Answer:
        """The same for what changes something: tried again, it is done once."""
        return self._ask(keyed(request, idempotency_key), read, timeout)

    def _list(self, request: Message, read: Callable[[list[Any]], Answer], timeout: float | None) -> Answer:
        """All pages of a list, read as one; begun again if it changes meanwhile."""
        for attempt in range(1, LIST_ATTEMPTS + 1):
            try:
                pages = [self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT)]
                while token := pages[-1].next_page_token:
                    pages.append(self._ask(page_of(request, token), as_it_is, timeout, at_least=LIST_TIMEOUT))
            except ListChanged:
                if attempt == LIST_ATTEMPTS:
                    raise
            else:
                return read(pages)
        raise AssertionError("the last attempt returns or raises")

    def _items(
        self, request: Message, read: Callable[[Any], Iterable[Answer]], timeout: float | None
    ) -> Iterator[Answer]:
        """What is on the pages of a list, each asked for when the one before is used up."""
        page = self._ask(request, as_it_is, timeout, at_least=LIST_TIMEOUT)
        yield from read(page)
        while token := page.next_page_token:
            page = self._ask(page_of(request, token), as_it_is, timeout, at_least=LIST_TIMEOUT)
            yield from read(page)

    def _stream(self, request: Message, read: Callable[[Any], Answer], timeout: float | None) -> Iterator[Answer]:
        """The parts of a reply as they come; there is no limit of time unless one is given."""
        seconds = None if timeout is None else read_timeout(timeout)
        path, write, parse = method_of(request)
        began = forks.call_begins(may_last=True)
        try:
            method = self._channel.get().unary_stream(path, request_serializer=write, response_deserializer=parse)
            with calling(path) as metadata:
                for part in method(request, timeout=seconds, metadata=metadata):
                    yield read(part)
        except grpc.RpcError as failed:
            raise error_from(failed, path, self._reach) from failed
        finally:
            forks.call_ends(began, may_last=True)

    def close(self) -> None:
        """Close the channel for good; calls in hand are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
