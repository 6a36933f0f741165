"""Which question a guard asks, and of which client: one that waits as the guarded code does."""

import inspect
from typing import Any, Protocol

from policy_client.answers import Channel, Decision, Via, channel_of


class BlockingPolicy(Protocol):
    """As ``PolicyClient``."""

    def require(
        self, user: str, physician: str, action: str, *, channel: Via = Channel.WEB, resource: str = ""
    ) -> Decision:
        """Raise AccessDenied for a no."""


class AsyncioPolicy(Protocol):
    """As ``AsyncPolicyClient``."""

    async def require(
        self, user: str, physician: str, action: str, *, channel: Via = Channel.WEB, resource: str = ""
    ) -> Decision:
        """Raise AccessDenied for a no."""


Policy = BlockingPolicy | AsyncioPolicy


def is_asyncio(policy: Any) -> bool:
    """Are this client's answers awaited?"""
    return inspect.iscoroutinefunction(policy.require)


def refuse_other_kind(policy: Any, guarded: Any, *, awaits: bool) -> None:
    """Raise TypeError unless the client waits as what it guards: an event loop must not stand still."""
    if is_asyncio(policy) != awaits:
        wanted, other = ("AsyncPolicyClient", "async def") if awaits else ("PolicyClient", "def")
        raise TypeError(f"{getattr(guarded, '__qualname__', guarded)} is {other}: guard it with a {wanted}")


def read_question(action: object, channel: Via) -> None:
    """What is wrong with a guard shows when it is made. Raises TypeError and ValueError."""
    if not isinstance(action, str):
        raise TypeError(f"action is {type(action).__name__}, not a string as THING:VERB")
    if not action:
        raise ValueError("action is empty: write one as THING:VERB")
    channel_of(channel)
