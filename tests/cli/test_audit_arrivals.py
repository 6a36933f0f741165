"""``audit decisions`` by arrival: the place is kept behind what was written; dates as ends; a verdict with losses."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client._pb import audit_pb2 as pb
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted
from policy_service.cli.main import app
from policy_service.cli.points import read_point, read_time

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def run(script, monkeypatch):
    server, port = script.start()
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", f"127.0.0.1:{port}")
    yield lambda *words: CliRunner().invoke(app, ["audit", *words])
    server.stop(None).wait()


def stamp(at: datetime = NOW) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(at)
    return found


def page(*sequences: int, cursor: str, more: bool = False) -> pb.ListDecisionsResponse:
    found = [
        pb.LoggedDecision(decision_id=f"r-{n}", replica="r", sequence=n, at=stamp(), caller="c", user="mia",
                          physician="dr-a", action="claim:view", channel=1, reason=1, revision=3)
        for n in sequences
    ]  # fmt: skip
    return pb.ListDecisionsResponse(decisions=found, cursor=cursor, next_page_token=cursor if more else "")


def test_an_export_goes_on_from_the_place_in_its_file(script, run, tmp_path):
    kept = tmp_path / "exported.cursor"
    script.answers = [page(1, 2, cursor="two", more=True), page(3, cursor="three")]
    first = run("decisions", "--json", "--cursor-file", str(kept))
    assert [one["sequence"] for one in json.loads(first.stdout)] == [1, 2, 3]
    assert kept.read_text() == "three\n"
    assert [(asked.by_arrival, asked.after) for asked in script.asked] == [(True, ""), (True, "two")]
    script.answers = [page(cursor="three")]
    assert json.loads(run("decisions", "--json", "--cursor-file", str(kept)).stdout) == []
    assert script.asked[-1].after == "three"
    assert run("decisions", "--json", "--cursor-file", str(kept), "--after", "x").exit_code == 2


def test_a_place_is_told_where_no_file_keeps_it_and_a_limit_cuts_no_page(script, run):
    script.answers = [page(1, 2, cursor="two", more=True)]
    found = run("decisions", "--by-arrival", "--limit", "2", "--csv")
    assert found.stdout.startswith("\ufeffdecision_id,at,")
    assert "--after two" in found.stderr
    assert script.asked[-1].page_size == 2


@pytest.mark.parametrize("words", [("--follow",), ("--cursor-file", "x")])
def test_a_table_has_no_place_to_keep(script, run, words):
    assert run("decisions", *words).exit_code == 2


@pytest.mark.parametrize("command", ["changes", "decisions"])
def test_until_a_date_holds_that_day_also_where_it_is_today(script, run, command):
    today = datetime.now(UTC).date()
    script.answers = [pb.ListChangesResponse() if command == "changes" else pb.ListDecisionsResponse()]
    assert run(command, "--until", str(today), "--json").exit_code == 0
    until = script.asked[-1].until.ToDatetime(UTC)
    assert until == datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)


def test_a_date_is_a_start_or_an_end_as_it_is_asked_for():
    midnight, before = NOW.replace(hour=0), "2026-01-30"
    assert read_time(before, "--since", NOW) == midnight - timedelta(days=1)
    assert read_time(before, "--until", NOW, end=True) == midnight
    assert read_time("20260130", "--until", NOW, end=True) == midnight
    assert read_time("2026-01-30T10:00", "--until", NOW, end=True) == midnight - timedelta(hours=14)
    assert read_point(before, "--from", NOW) == midnight - timedelta(days=1)
    assert read_point(before, "--to", NOW, end=True) == midnight - timedelta(microseconds=1)
    # Today has not ended: as of now. Tomorrow is still to come.
    assert read_point("2026-01-31", "--at", NOW, end=True) is None
    with pytest.raises(ValueError, match="still to come"):
        read_point("2026-02-01", "--at", NOW, end=True)
    with pytest.raises(ValueError, match="not a time"):
        read_time("9999-12-31", "--until", NOW, end=True)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("\ufe661+1", "'\ufe661+1"),
        ("\u22121+1", "'\u22121+1"),
        ("\u202e=1+1", "'\u202e=1+1"),
        ("\x00=1+1", "'\x00=1+1"),
        ("x;\u201c=1+1", "x;'\u201c=1+1"),
        ("Zoé Ōsei", "Zoé Ōsei"),
    ],
)
def test_names_are_intact_and_formulas_dead(script, run, cell, shown):
    change = pb.Change(revision=1, at=stamp(), caller="page", kind="grant", actor="ama", reason=cell, detail="{}")
    script.answers = [pb.ListChangesResponse(changes=[change])]
    found = run("changes", "--csv").stdout_bytes
    assert found.startswith(b"\xef\xbb\xbfrevision,")
    assert shown in found.decode("utf-8-sig")
    assert f",{cell}," not in found.decode("utf-8-sig") or cell == shown


def test_a_verdict_with_losses_is_no_whole_one_and_no_tampering(script, run):
    log = pb.ReplicaLog(replica="r", decisions=8, first_sequence=1, last_sequence=1_242, counted_lost=1_234)
    loss = pb.Loss(replica="r", caller="billing", lost=1_234, first_at=stamp(), last_at=stamp(NOW + timedelta(hours=1)))
    verdict = pb.Verdict(entries=5, head_revision=5, head_hash="ab", replicas=[log], lost=1_234, losses=[loss])
    script.answers = [[pb.VerifyLogResponse(verdict=verdict)]]
    found = run("verify")
    assert found.exit_code == 3
    assert "incomplete: 1,234 decisions were answered and not recorded; nothing was tampered with" in found.stderr
    for words in ("billing", "2026-01-31 12:00", "2026-01-31 13:00"):
        assert words in found.stdout
    assert "whole" not in found.output
    assert "broken" not in found.output
    whole = json.loads(run("verify", "--json").stdout)
    assert (whole["whole"], whole["lost"], whole["losses"][0]["caller"]) == (False, 1_234, "billing")
