"""Far more calls at once than can be worked on: they wait, and are answered."""

import asyncio
from collections import Counter

import grpc

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.rpc import server
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for

CONNECTIONS, EACH = 25, 100


async def test_a_crowd_waits_and_nobody_is_turned_away(store, database, seed, monkeypatch):
    # Nothing but gRPC itself would end or refuse one of them, however slow the machine is.
    monkeypatch.setattr(server, "_PATIENCE_SECONDS", 600.0)
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings_for(database, max_concurrent_calls=CONNECTIONS * EACH)) as app:
        came = await crowd(app.planes.decision_port)
    assert came == {"OK": CONNECTIONS * EACH}


async def crowd(port: int) -> Counter[str]:
    body = pb.CheckRequest(user="olive", physician="dr-a", action="claim:view").SerializeToString()
    # Each with a connection of its own, as gRPC shares them otherwise.
    own = [("grpc.use_local_subchannel_pool", 1)]
    address = f"127.0.0.1:{port}"
    channels = [grpc.aio.insecure_channel(address, options=own) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))

    async def ask(channel: grpc.aio.Channel) -> str:
        try:
            await channel.unary_unary("/policy.v1.DecisionService/Check")(body)
        except grpc.aio.AioRpcError as refused:
            return f"{refused.code().name}: {refused.details()}"
        return "OK"

    came = Counter(await asyncio.gather(*(ask(channel) for channel in channels for _ in range(EACH))))
    await asyncio.gather(*(channel.close() for channel in channels))
    return came
