"""Guards a route of FastAPI (extra ``fastapi``): a no is 403, no answer is 503, with the decision's id in it."""

import math
from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request

from policy_client.answers import AccessDenied, Channel, Decision, Via
from policy_client.errors import PolicyError
from policy_client.guards.asking import Policy, is_asyncio, read_question
from policy_client.guards.refusals import refusal_of


def requires(
    policy: Policy,
    action: str,
    *,
    user: Callable[..., Any],
    physician: str | Callable[..., Any] = "physician",
    resource: Callable[..., Any] | None = None,
    channel: Via = Channel.WEB,
) -> Callable[..., Any]:
    """A dependency, as ``Depends(requires(...))``, which answers with the Decision.

    ``user`` is a dependency of yours that says who is logged in. ``physician``
    is the name of a parameter in the path, or a dependency; ``resource`` a
    dependency. With a blocking client it waits on a thread of FastAPI's.
    """
    read_question(action, channel)
    if not callable(user):
        raise TypeError("user is a dependency: a function that says who is logged in")
    asking = cast(Any, policy)
    place = _in_the_path(physician) if isinstance(physician, str) else physician
    what = _nothing if resource is None else resource

    async def ask_async(
        who: Annotated[Any, Depends(user)],
        where: Annotated[Any, Depends(place)],
        resource: Annotated[Any, Depends(what)],
    ) -> Decision:
        try:
            return cast(Decision, await asking.require(who, where, action, channel=channel, resource=resource))
        except (AccessDenied, PolicyError) as error:
            raise _refused(error) from error

    def ask(
        who: Annotated[Any, Depends(user)],
        where: Annotated[Any, Depends(place)],
        resource: Annotated[Any, Depends(what)],
    ) -> Decision:
        try:
            return cast(Decision, asking.require(who, where, action, channel=channel, resource=resource))
        except (AccessDenied, PolicyError) as error:
            raise _refused(error) from error

    return ask_async if is_asyncio(policy) else ask


def _in_the_path(name: str) -> Callable[[Request], str]:
    def place(request: Request) -> str:
        return str(request.path_params[name])

    return place


def _nothing() -> str:
    return ""


def _refused(error: AccessDenied | PolicyError) -> HTTPException:
    refused = refusal_of(error)
    wait = refused.retry_after
    headers = {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))} if wait else None
    detail = {"reason": refused.reason, "message": refused.words, **refused.facts}
    return HTTPException(refused.status, detail, headers)
