"""Callers changed without a running service: on the database of the settings itself, so that there can be a first."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from policy_client import AlreadyExists, CallersClient, InvalidRequest, NotFound, PolicyError, Refused

from policy_service import errors
from policy_service.errors import Kind
from policy_service.rpc import direct

Answer = TypeVar("Answer")

_KINDS: Final[dict[Kind, type[PolicyError]]] = {
    Kind.EXISTS: AlreadyExists,
    Kind.INVALID: InvalidRequest,
    Kind.NOT_FOUND: NotFound,
    Kind.PRECONDITION: Refused,
}


class DirectCallers(CallersClient):
    """What ``CallersClient`` offers, for whoever holds the database: no right is asked for. Raises StartError."""

    def __init__(self) -> None:
        """There is no channel."""

    def _ask(
        self,
        request: Message,
        read: Callable[[Any], Answer],
        timeout: float | None,  # noqa: ARG002 - there is nobody to wait for, …
        **how: Any,  # noqa: ARG002 - … nor anybody else to ask.
    ) -> Answer:
        try:
            return read(asyncio.run(_done(request)))
        except errors.PolicyError as fault:
            raise _KINDS.get(fault.kind, PolicyError)(str(fault), reason=fault.reason) from fault


async def _done(request: Message) -> Any:
    from datetime import UTC, datetime

    from policy_service.app import open_store, read_policy
    from policy_service.rpc import CallersService
    from policy_service.settings import read_settings

    settings = read_settings()
    model, _ = read_policy(settings)
    async with open_store(settings, existing=True) as store:
        return await direct.change_callers(CallersService(store, model, clock=lambda: datetime.now(UTC)), request)
