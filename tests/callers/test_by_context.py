"""A caller with a token comes by a context of its file, over TLS, to several addresses whose health is asked."""

import asyncio
import json
import os

from policy_client import AsyncPolicyClient

from policy_service.app import open_app
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.rpc.test_certificates import Mounted
from tests.support.accounts import reached, register
from tests.support.command import run_command
from tests.support.patience import PATIENCE, until

CHECK = ("check", "olive", "dr-a", "claim:view")


async def test_from_its_first_token_to_its_end(tmp_path, store, database, seed, monkeypatch):
    (tmp_path / "mounted").mkdir()
    mounted = Mounted(tmp_path / "mounted")
    (tmp_path / "ca.pem").write_bytes(mounted.authority.cert_pem.bytes())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POLICY_")}
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    monkeypatch.setenv("XDG_CONFIG_HOME", environment["XDG_CONFIG_HOME"])

    async def run(*words: str):
        return await asyncio.to_thread(run_command, *words, environment=environment)

    await install.install_first(store, seed, SHIPPED_MODEL)
    settings = settings_for(
        database,
        tls_cert_file=mounted.folder / "cert.pem",
        tls_key_file=mounted.folder / "key.pem",
        decision_token_address="127.0.0.1:0",
    )
    async with open_app(settings) as app:
        await reached(app, await register(app, "dr-a", "olive"))
        changing = ("--as", "olga", "--reason", "a test", "--address", f"127.0.0.1:{app.planes.management_port}")
        made = await run("callers", "add", "rosa", "--may", "check", "--json", *changing)
        token = json.loads(made.stdout)["token"]
        (tmp_path / "token").write_text(token)
        (tmp_path / "token").chmod(0o600)
        port = app.planes.decision_token_port
        files = ("--ca-file", str(tmp_path / "ca.pem"), "--token-file", str(tmp_path / "token"))
        for name, address in (("one", f"127.0.0.1:{port}"), ("two", f"127.0.0.1:{port},localhost:{port}")):
            assert (await run("contexts", "add", name, "--decision-address", address, *files)).returncode == 0
            asked = await run(*CHECK, "--context", name)
            assert asked.stdout.startswith("allowed"), asked.stderr
        async with AsyncPolicyClient(context="two", timeout=PATIENCE) as client:
            assert await client.check("olive", "dr-a", "claim:view")
            mounted.swap(*mounted.made(mounted.authority))
            assert await client.check("olive", "dr-a", "claim:view")
        assert (await run("callers", "remove", "rosa", *changing)).returncode == 0

        async def out() -> bool:
            asked = await run(*CHECK, "--context", "one")
            assert token not in asked.stderr
            return asked.returncode == 2

        await until(out)
