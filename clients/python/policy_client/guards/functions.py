"""Guards a function: its body runs only for a yes."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from policy_client.answers import Channel, Via
from policy_client.guards.asking import Policy, read_question, refuse_other_kind

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Of = str | Callable[[Mapping[str, Any]], str]
"""A parameter's name, or what makes the value of all arguments by name."""


def requires(
    policy: Policy,
    action: str,
    *,
    user: Of = "user",
    physician: Of = "physician",
    resource: Of | None = None,
    channel: Via = Channel.WEB,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Ask before each call of a function, ``def`` or ``async def``.

    ``user``, ``physician`` and ``resource`` are names of its parameters, or are
    called with its arguments by name. A no raises AccessDenied, no answer a PolicyError;
    the body has not begun then. Raises TypeError, at once, for a name that is no
    parameter, and for a client that waits otherwise than the function.
    """
    read_question(action, channel)
    names = {"user": user, "physician": physician} | ({} if resource is None else {"resource": resource})

    def guard(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        called = inspect.signature(function)
        for name, of in names.items():
            if isinstance(of, str) and of not in called.parameters:
                raise TypeError(f"{name} is {of!r}, which is no parameter of {function.__qualname__}{called}")
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is an asynchronous generator: guard what begins it")
        awaits = inspect.iscoroutinefunction(function)
        refuse_other_kind(policy, function, awaits=awaits)

        def question(*given: Any, **named: Any) -> dict[str, Any]:
            bound = called.bind(*given, **named)
            bound.apply_defaults()
            found = {
                name: bound.arguments[of] if isinstance(of, str) else of(bound.arguments) for name, of in names.items()
            }
            return {**found, "action": action, "channel": channel}

        if awaits:

            @wraps(function)
            async def guarded_async(*given: Parameters.args, **named: Parameters.kwargs) -> Any:
                await cast(Any, policy).require(**question(*given, **named))
                return await cast(Any, function)(*given, **named)

            return cast(Callable[Parameters, Result], guarded_async)

        @wraps(function)
        def guarded(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
            cast(Any, policy).require(**question(*given, **named))
            return function(*given, **named)

        return guarded

    return guard
