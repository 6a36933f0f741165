"""The operations port of a whole service: plain HTTP for orchestrators and Prometheus, whoever may call the planes."""

import asyncio
import urllib.error
import urllib.request

from policy_service.app import open_app
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.rpc.test_call_metrics import allow_connections
from tests.rpc.test_identity import Authority
from tests.support.patience import PATIENCE, until
from tests.support.ports import free_port


async def asked(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    return await asyncio.to_thread(ask)


async def test_behind_tls_it_is_asked_without_a_certificate(store, database, seed, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    Authority(tmp_path)
    files = {
        f"tls_{name}_file": tmp_path / f"{name.removeprefix('client_')}.pem" for name in ("cert", "key", "client_ca")
    }
    port = free_port()
    settings = settings_for(database, metrics_address=f"127.0.0.1:{port}", **files)
    async with open_app(settings):

        async def ready() -> bool:
            return (await asked(port, "/readyz"))[0] == 200

        await until(ready)
        assert await asked(port, "/livez") == (200, "ok\n")
        status, text = await asked(port, "/readyz/management")
        assert (status, text.splitlines()[0]) == (200, "ok")
        status, text = await asked(port, "/metrics")
        assert status == 200
        assert 'policy_follower_state{state="following"} 1.0' in text
        assert str(tmp_path) not in text


async def test_it_says_not_ready_when_checks_are_refused_and_ready_when_they_are_answered_again(
    store, database, seed, settings
):
    await install.install_first(store, seed, SHIPPED_MODEL)
    port = free_port()
    more = {"metrics_address": f"127.0.0.1:{port}", "max_staleness_seconds": 2.0}
    async with open_app(settings.model_copy(update=more)):

        async def says(wanted: int) -> bool:
            return (await asked(port, "/readyz"))[0] == wanted

        await until(lambda: says(200))
        await allow_connections(database, yes=False)
        await until(lambda: says(503))
        assert (await asked(port, "/livez"))[0] == 200
        assert "policy_replica_fresh 0.0" in (await asked(port, "/metrics"))[1]
        await allow_connections(database, yes=True)
        await until(lambda: says(200))
