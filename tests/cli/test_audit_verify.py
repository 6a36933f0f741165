"""``audit verify`` against a real gRPC server that says what the test tells it to: however many checkpoints are kept."""

import json

import grpc
import pytest
from policy_client._pb import audit_pb2 as pb
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted, failing
from policy_service.cli.main import app

LINE = json.dumps({"at": "2026-01-31T12:00:00.000000Z", "hash": "9" * 64, "key": "5" * 64, "log": "0" * 36, "revision": 10**17, "signature": "c" * 128})  # fmt: skip


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def run(script, monkeypatch):
    server, port = script.start()
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", f"127.0.0.1:{port}")
    yield lambda *words, **more: CliRunner().invoke(app, ["audit", "verify", *words], **more)
    server.stop(None).wait()


def verdict(met: int = 0, fault: str = "") -> list[pb.VerifyLogResponse]:
    found = pb.Verdict(whole=not fault, entries=9, head_revision=9, checkpoints_met=met, fault=fault)
    return [pb.VerifyLogResponse(verdict=found)]


def test_as_many_checkpoints_as_years_of_hours_are_sent_in_parts(script, run, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text(f"{LINE}\n" * 20_001)
    script.answers = [verdict(2_000)] * 10 + [verdict(1)]
    found = run("--against", str(kept), "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["checkpoints_met"] == 20_001
    assert [len(asked.against) for asked in script.asked] == [2_000] * 10 + [1]
    assert all(asked.ByteSize() < 1 << 20 for asked in script.asked)


def test_the_first_part_that_is_not_met_is_the_verdict(script, run, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text(f"{LINE}\n" * 5_000)
    script.answers = [verdict(2_000), verdict(1_999, "rewritten"), verdict(1_000)]
    found = run("--against", str(kept))
    assert (found.exit_code, len(script.asked)) == (1, 2)
    assert "rewritten" in found.stderr


def test_a_line_that_is_no_checkpoint_is_named_by_its_file_and_line_in_any_part(script, run, tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(f"{LINE}\n" * 1_999)
    two.write_text(f"\n{LINE}\n{'x' * 3_000_000}\n")
    words = "against[0]: this is not a checkpoint"
    script.answers = [verdict(2_000), failing(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", words=words)]
    found = run("--against", str(one), "--against", str(two))
    assert (found.exit_code, found.stderr) == (2, f"error: {two}:3: this is not a checkpoint\n")


def test_a_file_that_holds_no_checkpoint_is_not_taken_for_a_proof(script, run, tmp_path):
    """A copy that failed must not make the nightly check green."""
    kept, empty = tmp_path / "kept.jsonl", tmp_path / "empty.jsonl"
    kept.write_text(LINE)
    for content in (b"", b"\n \n"):
        empty.write_bytes(content)
        found = run("--against", str(kept), "--against", str(empty))
        assert (found.exit_code, found.stderr) == (2, f"error: {empty} holds no checkpoint\n")
    empty.write_bytes(b"\xb9\xff")
    found = run("--against", str(empty))
    assert (found.exit_code, found.stderr) == (2, f"error: {empty} is not UTF-8 text: see byte 1\n")
    assert script.asked == []


def test_checkpoints_may_come_by_a_pipe(script, run):
    script.answers = [verdict(1)]
    found = run("--against", "-", input=f"{LINE}\n")
    assert found.exit_code == 0, found.output
    assert list(script.asked[0].against) == [LINE]
