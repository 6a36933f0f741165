"""The scripted server, and both kinds of client for it."""

from typing import Any

import pytest
from policy_client import AsyncManageUsersClient, AsyncPolicyClient, ManageUsersClient, PolicyClient

from clients.python.tests.scripted import Scripted
from tests.support.patience import PATIENCE


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def port(script):
    server, port = script.start()
    yield port
    server.stop(None).wait()


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request, port):
    """Calls a method by name on either client; the answer, or the error raised.

    With the clients' own time limits only if ``as_shipped``: no other test is about them.
    """

    async def run(method: str, *arguments: Any, as_shipped: bool = False, **options: Any) -> Any:
        manage, limits = hasattr(ManageUsersClient, method), {} if as_shipped else {"timeout": PATIENCE}
        # A port that another test's server had is not taken for gone.
        made = {"options": (("grpc.use_local_subchannel_pool", 1),), **limits}
        if request.param == "blocking":
            with (ManageUsersClient if manage else PolicyClient)(f"127.0.0.1:{port}", **made) as client:
                return getattr(client, method)(*arguments, **options)
        async with (AsyncManageUsersClient if manage else AsyncPolicyClient)(f"127.0.0.1:{port}", **made) as client:
            return await getattr(client, method)(*arguments, **options)

    return run
