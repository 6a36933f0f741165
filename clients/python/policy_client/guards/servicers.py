"""Guards a method of a gRPC servicer, ``grpc.aio`` and threads alike: a no is PERMISSION_DENIED.

No answer is UNAVAILABLE. The decision's id is in the words and in google.rpc.ErrorInfo.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any, Final, TypeVar, cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from policy_client.answers import AccessDenied, Channel, Via
from policy_client.errors import PolicyError
from policy_client.guards.asking import Policy, read_question, refuse_other_kind
from policy_client.guards.refusals import Refusal, refusal_of

DOMAIN: Final = "policy.guards"
_DETAILS: Final = "grpc-status-details-bin"

Method = TypeVar("Method", bound=Callable[..., Any])
Of = str | Callable[[Any, Any], str]
"""A field's name of the request, or what makes the value of request and context."""


def requires(
    policy: Policy,
    action: str,
    *,
    user: Callable[[Any, Any], str],
    physician: Of = "physician",
    resource: Of | None = None,
    channel: Via = Channel.WEB,
) -> Callable[[Method], Method]:
    """Ask before each call of a servicer's method, with one answer or a stream of them.

    ``user`` says who calls, of request and context: your authentication, never
    a field that a caller fills in. ``physician`` and ``resource`` are fields of
    the request, or are called likewise.
    """
    read_question(action, channel)
    if not callable(user):
        raise TypeError("user is called with request and context, and says who calls")
    of = {"user": user, "physician": physician} | ({} if resource is None else {"resource": resource})

    def guard(method: Method) -> Method:
        streams_async = inspect.isasyncgenfunction(method)
        awaits = streams_async or inspect.iscoroutinefunction(method)
        refuse_other_kind(policy, method, awaits=awaits)
        asking = cast(Any, policy)

        def question(request: Any, context: Any) -> dict[str, Any]:
            found = {
                name: getattr(request, one) if isinstance(one, str) else one(request, context)
                for name, one in of.items()
            }
            return {**found, "action": action, "channel": channel}

        async def admit_async(request: Any, context: Any) -> None:
            try:
                await asking.require(**question(request, context))
            except (AccessDenied, PolicyError) as error:
                refused = refusal_of(error)
                await context.abort(refused.code, refused.words, ((_DETAILS, _status(refused)),))
                raise AssertionError("abort raises") from error

        def admit(request: Any, context: Any) -> None:
            try:
                asking.require(**question(request, context))
            except (AccessDenied, PolicyError) as error:
                refused = refusal_of(error)
                context.set_trailing_metadata(((_DETAILS, _status(refused)),))
                context.abort(refused.code, refused.words)
                raise AssertionError("abort raises") from error

        if streams_async:

            @wraps(method)
            async def guarded_stream_async(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
                await admit_async(request, context)
                async for part in method(self, request, context):
                    yield part

            return cast(Method, guarded_stream_async)
        if awaits:

            @wraps(method)
            async def guarded_async(self: Any, request: Any, context: Any) -> Any:
                await admit_async(request, context)
                return await method(self, request, context)

            return cast(Method, guarded_async)
        if inspect.isgeneratorfunction(method):

            @wraps(method)
            def guarded_stream(self: Any, request: Any, context: Any) -> Iterator[Any]:
                admit(request, context)
                yield from method(self, request, context)

            return cast(Method, guarded_stream)

        @wraps(method)
        def guarded(self: Any, request: Any, context: Any) -> Any:
            admit(request, context)
            return method(self, request, context)

        return cast(Method, guarded)

    return guard


def _status(refused: Refusal) -> bytes:
    """google.rpc.Status for the trailing metadata."""
    status = status_pb2.Status(code=refused.code.value[0], message=refused.words)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=refused.reason, domain=DOMAIN, metadata=refused.facts),
    ]
    if refused.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(refused.retry_after)
        details.append(retry)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return cast(bytes, status.SerializeToString())
