"""When a client cannot be used any more, and what to do instead."""

from policy_client.errors import ClientNotUsable
from policy_client.forking import forks


def closed() -> ClientNotUsable:
    """It was closed."""
    return ClientNotUsable("this client was closed; make another", reason="CLIENT_CLOSED")


def of_another_loop() -> ClientNotUsable:
    """It is at work in an event loop that still runs."""
    return ClientNotUsable(
        "this client is of another event loop, which is still open: make one client for each", reason="OTHER_EVENT_LOOP"
    )


def refuse_cut_off() -> None:
    """Raise ClientNotUsable where a call would wait for ever."""
    if forks.is_cut_off:
        raise ClientNotUsable(
            "gRPC was at work in the process that this one was forked from, and cannot begin anew here: fork before an "
            "asyncio client or another gRPC library is used, or start the program with GRPC_ENABLE_FORK_SUPPORT=1",
            reason="FORKED",
        )
