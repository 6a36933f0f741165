"""The scripted server, and both kinds of client for it."""

from typing import Any

import pytest
from policy_client import AsyncManageUsersClient, AsyncPolicyClient, ManageUsersClient, PolicyClient

from clients.python.tests.scripted import Scripted


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
    """Calls a method by name on either client; the answer, or the error raised."""

    async def run(method: str, *arguments: Any, **options: Any) -> Any:
        manage = hasattr(ManageUsersClient, method)
        if request.param == "blocking":
            with (ManageUsersClient if manage else PolicyClient)(f"127.0.0.1:{port}") as client:
                return getattr(client, method)(*arguments, **options)
        async with (AsyncManageUsersClient if manage else AsyncPolicyClient)(f"127.0.0.1:{port}") as client:
            return await getattr(client, method)(*arguments, **options)

    return run
