"""``certificates demo``: a try-out of TLS that works as it is printed, and hurts nobody afterwards."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from typer.testing import CliRunner

from policy_service.app import open_app
from policy_service.cli.main import app
from policy_service.pb import decision_pb2 as pb
from policy_service.seed import install
from policy_service.settings import Settings
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import reached, register
from tests.support.command import run_command
from tests.support.rpc import Refused, Wire


def run(*words):
    return CliRunner().invoke(app, ["certificates", "demo", *map(str, words)])


def made(*words) -> dict:
    found = run(*words, "--json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


def as_fields(settings: dict[str, str]) -> dict[str, Path]:
    return {name.removeprefix("POLICY_").lower(): Path(value) for name, value in settings.items()}


async def test_what_is_printed_is_all_that_both_sides_need(tmp_path, store, database, seed):
    import asyncio

    found = made(tmp_path / "made", "--caller", "billing", "--caller", "stranger")
    assert set(as_fields(found["server"])) <= set(Settings.model_fields)
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with open_app(settings_for(database, **as_fields(found["server"]))) as opened:
        await reached(opened, await register(opened, "dr-a", "olive"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("POLICY_")}
        for caller, status, words in (("billing", 0, "allowed"), ("stranger", 2, "no right to call")):
            settings = {
                **clean,
                **found["callers"][caller],
                "POLICY_DECISION_ADDRESS": f"localhost:{opened.planes.decision_port}",
            }
            asked = await asyncio.to_thread(run_command, "check", "olive", "dr-a", "claim:view", environment=settings)
            assert (asked.returncode, words in asked.stdout + asked.stderr) == (status, True), asked.stderr


def test_keys_are_for_their_owner_alone_and_the_authoritys_is_nowhere(tmp_path):
    made(tmp_path / "made", "--caller", "billing")
    files = [path for path in (tmp_path / "made").rglob("*") if path.is_file()]
    keys = [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(str(path.relative_to(tmp_path / "made")) for path in files) == [
        "ca.pem",
        "callers/billing/cert.pem",
        "callers/billing/key.pem",
        "server/cert.pem",
        "server/key.pem",
    ]
    assert [path.name for path in keys] == ["key.pem", "key.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def test_all_of_it_ends_soon(tmp_path):
    found = made(tmp_path / "made", "--days", "3")
    for path in (tmp_path / "made").rglob("*.pem"):
        if path.name != "key.pem":
            (certificate,) = x509.load_pem_x509_certificates(path.read_bytes())
            assert certificate.not_valid_after_utc.isoformat() == found["until"]
            assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=3, minutes=1)
    assert run(tmp_path / "other", "--days", "31").exit_code == 2
    assert not (tmp_path / "other").exists()


def test_people_are_told_that_it_is_for_trying_out(tmp_path):
    found = run(tmp_path / "my folder", "--caller", "billing")
    assert found.exit_code == 0
    assert "for trying out, never for production" in found.stdout
    assert f"POLICY_TLS_KEY_FILE='{tmp_path}/my folder/server/key.pem'" in found.stdout
    assert f"POLICY_CALLER_KEY_FILE='{tmp_path}/my folder/callers/billing/key.pem'" in found.stdout


def test_nothing_is_written_over(tmp_path):
    made(tmp_path / "made")
    before = (tmp_path / "made" / "server" / "key.pem").read_bytes()
    again = run(tmp_path / "made")
    assert (again.exit_code, "nothing is written over" in again.stderr) == (2, True)
    assert (tmp_path / "made" / "server" / "key.pem").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    assert run(tmp_path / "file").exit_code == 2
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    made(tmp_path / "empty")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--caller", "local"), "name of loopback"),
        (("--caller", "../x"), "--caller"),
        (("--caller", ""), "--caller"),
        (("--host", "http://x"), "--host 'http://x'"),
        (("--host", "a b"), "--host 'a b'"),
        (("--host", ""), "--host ''"),
    ],
)
def test_names_that_cannot_be_leave_nothing_behind(tmp_path, words, told):
    found = run(tmp_path / "made", *words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert told in found.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_callers_pair_is_no_services_pair_and_the_other_way_round(tmp_path, store, database, seed):
    """Who has a caller's key cannot play the service, nor can the service's key call."""
    found = made(tmp_path / "made")
    await install.install_first(store, seed, SHIPPED_MODEL)
    ca = (tmp_path / "made" / "ca.pem").read_bytes()
    async with open_app(settings_for(database, **as_fields(found["server"]))) as opened:
        server = [(tmp_path / "made" / "server" / name).read_bytes() for name in ("key.pem", "cert.pem")]
        credentials = grpc.ssl_channel_credentials(ca, *server)
        port = opened.planes.decision_port
        async with Wire(port, grpc.aio.secure_channel(f"localhost:{port}", credentials)) as caller:
            with pytest.raises(Refused) as refused:
                await caller("Check", pb.CheckRequest(user="olive", physician="dr-a", action="claim:view"))
            assert refused.value.code is grpc.StatusCode.UNAVAILABLE
