"""ATTACKS 41: a caller uses up its own share of the calls in hand, never the others'."""

import asyncio

import grpc
import pytest

from policy_service.app import open_app
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.rpc.test_identity import Authority, wire
from tests.support.accounts import reached, register
from tests.support.rpc import Refused, question


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


async def test_a_caller_beyond_its_share_is_refused_and_the_others_are_not(store, database, seed, authority, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    files = {
        f"tls_{name}_file": tmp_path / f"{name.removeprefix('client_')}.pem" for name in ("cert", "key", "client_ca")
    }
    async with open_app(settings_for(database, **files, max_concurrent_calls=8, max_calls_per_caller=4)) as app:
        await reached(app, await register(app, "dr-a", "olive"))
        port = app.planes.decision_port
        async with (
            wire(port, authority, common=["billing"]) as greedy,
            wire(port, authority, common=["manage-users-page"]) as modest,
        ):
            ahead = await app.store.revision() + 1_000

            async def ask_for_what_is_to_come() -> list[object]:
                asked = question("olive", "dr-a", "claim:view", min_revision=ahead)
                calls = [greedy("Check", asked, patient=False) for _ in range(40)]
                return await asyncio.gather(*calls, return_exceptions=True)

            asking = asyncio.create_task(ask_for_what_is_to_come())
            while not asking.done():
                assert (await modest.check("olive", "dr-a", "claim:view")).allowed
            found = [error for error in await asking if isinstance(error, Refused)]
    refusals = {error.reason: error for error in found}
    assert set(refusals) == {"TOO_MANY_CALLS", "REVISION_NOT_REACHED"}
    told = refusals["TOO_MANY_CALLS"]
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "limit: calls of one caller; most: 4" in told.details
