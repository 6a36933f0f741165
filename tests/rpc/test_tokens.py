"""Bearer tokens: who is known by one, until when, and that nobody else is."""

import asyncio

import grpc
import pytest

from policy_service.app import open_app
from policy_service.pb import callers_pb2 as pb
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support.accounts import reached, register
from tests.support.callers import bearer
from tests.support.patience import PATIENCE
from tests.support.rpc import Refused, Wire, question

WHY = {"actor": "olga", "reason": "a test"}
CHECK = ("Check", question("olive", "dr-a", "claim:view"))


async def refused(call) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    return found.value


async def known(app, wire: Wire, token: str, revision: int) -> None:
    """Wait until the replica is where a token was made."""
    async with asyncio.timeout(PATIENCE):
        while app.replica.snapshot.revision < revision:
            await asyncio.sleep(0.01)


class TestOnLoopback:
    """Without TLS, as in development: a token says who it is, and without one it is ``local``."""

    @pytest.fixture
    async def app(self, store, settings, seed):
        await install.install_first(store, seed, SHIPPED_MODEL)
        async with open_app(settings) as opened:
            await reached(opened, await register(opened, "dr-a", "olive"))
            yield opened

    async def test_a_token_from_its_first_to_its_last_call(self, app, wire, management):
        added = await management("AddCaller", pb.AddCallerRequest(caller="claims", may=["check"], **WHY))
        await known(app, wire, added.token, added.revision)
        assert (await wire(*CHECK, metadata=bearer(added.token))).allowed
        removed = await management(
            "RemoveToken", pb.RemoveTokenRequest(caller="claims", token_id=added.token_id, **WHY)
        )
        await known(app, wire, added.token, removed.revision)
        found = await refused(wire(*CHECK, metadata=bearer(added.token)))
        assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_IDENTIFIED")
        # Nor is it whoever it would be without.
        assert (await wire(*CHECK)).allowed
