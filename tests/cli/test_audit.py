"""The audit commands against a real gRPC server that says what the test tells it to; times and cells on their own."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client._pb import audit_pb2 as pb
from policy_client._pb import decision_pb2
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted, failing
from policy_service.cli import output
from policy_service.cli.main import app
from policy_service.cli.points import read_point, read_time
from policy_service.cli.sheets import print_csv

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def run(script, monkeypatch):
    """Runs an audit command; the result."""
    server, port = script.start()
    monkeypatch.setenv("POLICY_MANAGEMENT_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setattr(output.out, "_width", 250)
    yield lambda *words: CliRunner().invoke(app, ["audit", *words])
    server.stop(None).wait()


def sheet(text: str) -> str:
    """What a spreadsheet reads: all behind the byte order mark."""
    mark, _, rest = text.partition("\ufeff")
    assert mark == ""
    return rest


def stamp() -> Timestamp:
    found = Timestamp()
    found.FromDatetime(NOW)
    return found


def changes(count: int, token: str = "", **more: Any) -> pb.ListChangesResponse:
    rows = [pb.PolicyRow(fields=["g", "user:mia", "role:data_entry", "physician:dr-osei"])]
    rows += [pb.PolicyRow(fields=["p", "role:desk", "physician:dr-osei", "claim:pay", "deny"])]
    found = [
        pb.Change(
            revision=revision, at=stamp(), caller="page", kind="grant", physician="dr-osei", after=rows, detail="{}",
            **{"actor": "ama", **more},
        )
        for revision in range(count, 0, -1)
    ]  # fmt: skip
    return pb.ListChangesResponse(changes=found, next_page_token=token)


REVIEW = pb.ReviewAccessResponse(
    revision=7,
    at=stamp(),
    hash="ab" * 32,
    display_name="Dr. Osei [bold]",
    access=[
        pb.ReviewedAccess(
            user="ama",
            physician="dr-osei",
            roles=[pb.HeldRole(role="owner", since_revision=2, since=stamp(), granted_by="ops", kind="physician.register")],
            actions=[
                pb.ReviewedAction(action="claim:view", shown=True, reason=decision_pb2.REASON_GRANTED, role="owner", mobile=True),
                pb.ReviewedAction(action="invoice:pay", reason=decision_pb2.REASON_DENIED_BY_RULE, role="desk"),
            ],
        )
    ],
    custom_roles=[pb.ReviewedRole(role="desk", allowed=["claim:view"], holders=["mia"])],
    pending=[pb.ReviewedInvitation(id="i", username="nina", email="nina@x.example", roles=["desk"], invited_by="ama", invited_at=stamp(), expires_at=stamp())],
)  # fmt: skip


def test_a_table_of_changes_is_in_words_and_says_if_there_is_more(script, run):
    script.answers = [changes(51)]
    found = run("changes", "--physician", "dr-osei", "--user", "mia", "--kind", "grant", "--since", "2026-01-01")
    assert found.exit_code == 0, found.output
    assert "+ mia has data_entry" in found.output
    assert "+ desk may not claim:pay" in found.output
    assert "entries, newest first: 50; there are more: --limit N or --all" in found.output
    asked = script.asked[0]
    assert (asked.physician, asked.user, asked.kind) == ("dr-osei", "mia", "grant")
    assert asked.since.ToDatetime(UTC) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("words", "count"), [(("--limit", "3"), 3), (("--all",), 60), (("--limit", "60"), 60)])
def test_a_table_holds_as_many_as_asked_for(script, run, words, count):
    script.answers = [changes(60)]
    assert f"newest first: {count}" in run("changes", *words).output


def test_json_holds_all_pages_and_is_one_document(script, run):
    script.answers = [changes(60, "more"), changes(3)]
    found = json.loads(run("changes", "--json").stdout)
    assert len(found) == 63
    assert found[0]["after"][0] == ["g", "user:mia", "role:data_entry", "physician:dr-osei"]
    script.answers = [changes(0)]
    assert json.loads(run("changes", "--json").stdout) == []


def test_csv_has_a_heading_and_no_formulas(script, run):
    script.answers = [changes(2, actor='=HYPERLINK("http://evil")', reason="@now")]
    found = run("changes", "--csv")
    assert found.stdout_bytes.count(b"\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(sheet(found.stdout))))
    assert [row["revision"] for row in rows] == ["2", "1"]
    assert (rows[0]["actor"], rows[0]["reason"]) == ('\'=HYPERLINK("http://evil")', "'@now")
    assert rows[0]["added"].splitlines()[0] == "g, user:mia, role:data_entry, physician:dr-osei"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_a_spreadsheet_would_compute_is_text(capsys, start):
    print_csv(["a", "b"], [[f"{start}1+1", -5]])
    assert list(csv.reader(io.StringIO(sheet(capsys.readouterr().out), newline=""))) == [
        ["a", "b"],
        [f"'{start}1+1", "-5"],
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("ok;=1+1;x", "ok;'=1+1;x"),
        ("ok;\u00a0@now", "ok;'\u00a0@now"),
        ("a\t-1", "a\t'-1"),
        ("  =1+1", "'  =1+1"),
        ("\u200b=1+1", "'\u200b=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ('x;"=1+1;b', "x;'\"=1+1;b"),
        ("x;'=1+1", "x;''=1+1"),
        ("a;b=c;d", "a;b=c;d"),
    ],
)
def test_nor_does_one_that_divides_cells_by_semicolons_or_tabs(capsys, cell, shown):
    print_csv(["a"], [[cell]])
    assert list(csv.reader(io.StringIO(sheet(capsys.readouterr().out), newline=""))) == [["a"], [shown]]


def test_other_cells_are_as_they_are(capsys):
    cells = ["mia", "a=b", "", 'say "hi", then\nleave', True, False, 7]
    print_csv(["x"], [cells])
    (_, found) = csv.reader(io.StringIO(sheet(capsys.readouterr().out), newline=""))
    assert found == ["mia", "a=b", "", 'say "hi", then\nleave', "yes", "no", "7"]


def test_decisions_are_asked_for_by_every_filter(script, run):
    decision = pb.LoggedDecision(
        decision_id="r-1", at=stamp(), caller="billing", user="mia", physician="dr-osei", action="claim:view",
        channel=decision_pb2.CHANNEL_MOBILE, reason=decision_pb2.REASON_NOT_GRANTED,
    )  # fmt: skip
    script.answers = [pb.ListDecisionsResponse(decisions=[decision])]
    found = run(
        "decisions", "--user", "mia", "--physician", "dr-osei", "--action", "claim:view", "--caller", "billing",
        "--id", "r-1", "--correlation", "c-1", "--denied", "--until", "2026-02-01T00:00+01:00",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "claim:view (mobile)" in found.output
    asked = script.asked[0]
    assert (asked.user, asked.physician, asked.action, asked.caller) == ("mia", "dr-osei", "claim:view", "billing")
    assert (asked.decision_id, asked.correlation_id, asked.outcome) == ("r-1", "c-1", pb.OUTCOME_FILTER_DENIED)
    assert asked.until.ToDatetime(UTC) == datetime(2026, 1, 31, 23, tzinfo=UTC)
    (row,) = csv.DictReader(io.StringIO(sheet(run("decisions", "--csv").stdout)))
    assert (row["allowed"], row["why"], row["channel"]) == ("no", "not granted", "mobile")
    assert json.loads(run("decisions", "--json").stdout)[0]["reason"] == "not granted"


def test_a_caller_may_be_named_as_in_the_seed(script, run):
    script.answers = [pb.ListDecisionsResponse()]
    run("decisions", "--caller", "service:billing")
    assert script.asked[0].caller == "billing"


def test_an_import_is_not_told_as_a_removal(script, run):
    detail = json.dumps({"counts": {"rule": 75, "user": 8}, "from_revision": 12})
    row = pb.PolicyRow(fields=["g", "service:local", "role:ops_caller", "system"])
    change = pb.Change(revision=2, at=stamp(), kind="policy.import", detail=detail, before=[row], hash="ab")
    script.answers = [pb.ListChangesResponse(changes=[change])]
    found = run("changes").output
    assert "everything of another database's revision 12: 75 rules, 8 users" in found
    assert "ops_caller" not in found


def test_of_many_rows_those_of_who_was_asked_about_come_first(script, run):
    rows = [pb.PolicyRow(fields=["g", f"user:u{n}", "role:data_entry", "physician:dr-osei"]) for n in range(30)]
    change = pb.Change(revision=2, at=stamp(), kind="grant", after=rows, detail="{}", hash="ab")
    script.answers = [pb.ListChangesResponse(changes=[change])]
    assert "u29 has" not in run("changes").output
    found = run("changes", "--user", "u29").output
    assert "+ u29 has data_entry" in found
    assert "19 more rows" in found


def test_a_review_shows_who_by_what_since_when_and_by_whom(script, run):
    script.answers = [REVIEW]
    found = run("review", "dr-osei", "--at", "7")
    assert found.exit_code == 0, found.output
    for words in ("Dr. Osei [bold]", "at revision 7", "✓m", "✗", "2026-01-31 12:00:00", "ops", "nina@x.example"):
        assert words in found.output, found.output
    assert script.asked[0].as_of == pb.Point(revision=7)
    rows = list(csv.DictReader(io.StringIO(sheet(run("review", "dr-osei", "--csv").stdout))))
    assert [(row["action"], row["shown"], row["mobile"], row["since"], row["granted_by"]) for row in rows] == [
        ("claim:view", "yes", "yes", NOW.isoformat(), "ops"),
        ("invoice:pay", "no", "no", "", ""),
    ]
    assert json.loads(run("review", "dr-osei", "--json").stdout)["pending"][0]["username"] == "nina"


def test_a_review_of_a_user_is_by_account(script, run):
    script.answers = [REVIEW]
    found = run("review", "--user", "ama", "--at", "2026-01-31")
    assert "physician" in found.output
    assert script.asked[0].WhichOneof("subject") == "user"
    assert script.asked[0].as_of.at.ToDatetime(UTC) == datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    script.answers = [pb.ReviewAccessResponse(revision=7, at=stamp())]
    assert "nothing anywhere" in run("review", "--user", "nobody").output
    invited = pb.ReviewedInvitation(physician="dr-tran", invited_at=stamp(), expires_at=stamp())
    script.answers = [pb.ReviewAccessResponse(revision=7, at=stamp(), pending=[invited])]
    assert "dr-tran" in run("review", "--user", "nobody").output


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (("--at", "2026-01-31"), NOW.replace(hour=0) + timedelta(days=1, microseconds=-1) - timedelta(days=90)),
        (
            ("--at", "2026-01-31", "--since", "7d"),
            NOW.replace(hour=0) + timedelta(days=1, microseconds=-1) - timedelta(days=7),
        ),
        (("--at", "7"), NOW - timedelta(days=90)),
        (("--at", "7", "--since", "1w"), NOW - timedelta(weeks=1)),
        (("--at", "7", "--since", "2026-01-01"), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_period_of_a_page_ends_with_what_is_reviewed(script, run, tmp_path, words, begins):
    """Counted back from today, a page of long ago said that nothing had been changed."""
    script.answers = [REVIEW, changes(1)]
    found = run("review", "dr-osei", "--html", str(tmp_path / "x.html"), *words)
    assert found.exit_code == 0, found.output
    assert {asked.since.ToDatetime(UTC) for asked in script.asked[1:]} == {begins}


def test_a_page_on_standard_output_is_a_page_and_nothing_else(script, run):
    script.answers = [REVIEW, changes(1)]
    found = run("review", "dr-osei", "--html", "-")
    assert (found.exit_code, found.stdout.strip().endswith("</html>")) == (0, True)


def test_a_page_of_a_revision_does_not_begin_after_it(script, run, tmp_path):
    script.answers = [REVIEW, changes(1)]
    found = run("review", "dr-osei", "--html", str(tmp_path / "x.html"), "--at", "7", "--since", "2026-02-01")
    assert (found.exit_code, "--since 2026-02-01 is after what is reviewed" in found.stderr) == (2, True)


def test_a_diff_shows_gains_and_losses(script, run):
    one = pb.AccessDifference(physician="dr-osei", user="mia", gained=["claim:view"], lost=["invoice:pay"])
    script.answers = [pb.DiffAccessResponse(earlier_revision=3, later_revision=9, differences=[one])]
    found = run("diff", "--from", "3", "--physician", "dr-osei")
    assert "changed from revision 3 to 9: 1" in found.output
    assert (script.asked[0].earlier, script.asked[0].HasField("later")) == (pb.Point(revision=3), False)
    (row,) = csv.DictReader(io.StringIO(sheet(run("diff", "--from", "3", "--csv").stdout)))
    assert (row["gained"], row["lost"]) == ("claim:view", "invoice:pay")
    assert json.loads(run("diff", "--from", "3", "--to", "9", "--json").stdout)["later_revision"] == 9


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("review",), "audit review PHYSICIAN"),
        (("review", "dr-osei", "--user", "mia"), "audit review PHYSICIAN"),
        (("review", "dr-osei", "--at", "31.1.2026"), "--at"),
        (("diff", "--from", "yesterday"), "--from"),
        (("diff", "--from", "1", "--to", "tomorrow"), "--to"),
        (("changes", "--since", "12"), "--since"),
        (("changes", "--until", "2026-02-30"), "--until"),
        (("changes", "--json", "--csv"), "--json or --csv"),
        (("changes", "--limit", "5", "--all"), "--limit or --all"),
        (("changes", "--limit", "0"), "--limit"),
        (("diff",), "--from"),
        (("review", "dr-osei", "--html", "x.html", "--csv"), "--html or --csv"),
        (("review", "dr-osei", "--html", "x.html", "--since", "2999-01-01"), "is after what is reviewed"),
        (
            ("review", "dr-osei", "--html", "no/such/folder/x.html", "--since", "2999-01-01"),
            "is after what is reviewed",
        ),
        (("review", "dr-osei", "--html", "x.html", "--at", "2026-01-01", "--since", "2026-01-02"), "after what is"),
        (("review", "dr-osei", "--at", "2999-01-01"), "--at 2999-01-01 is still to come"),
        (("review", "dr-osei", "--at", ""), "--at is empty"),
        (("review", "--user", ""), "--user is empty"),
        (("changes", "--physician", ""), "--physician is empty"),
        (("changes", "--since", "2999-01-01"), "--since 2999-01-01 is still to come"),
        (("decisions", "--since", "2999-01-01"), "--since 2999-01-01 is still to come"),
        (("diff", "--from", "2999-01-01"), "--from 2999-01-01 is still to come"),
        (("changes", "--kind", "access.revok"), "access.revoke"),
        (("changes", "--since", "1d", "--until", "2d"), "the one is not before the other"),
        (("changes", "--address", "localhost"), "HOST:PORT"),
        (("changes", "--address", "https://policy.example:1"), "HOST:PORT"),
        (("changes", "--address", "policy.example:50052"), "--tls-ca"),
    ],
)
def test_what_cannot_be_read_is_named_and_exits_with_2(script, run, words, named):
    found = run(*words)
    assert (found.exit_code, script.asked) == (2, [])
    assert named in found.output


def test_an_error_is_told_and_exits_with_2(script, run):
    script.answers = [failing(grpc.StatusCode.NOT_FOUND, "UNKNOWN_REVISION", words="No such revision")]
    for words in (("changes",), ("decisions",), ("review", "dr-osei"), ("diff", "--from", "99")):
        found = run(*words)
        assert (found.exit_code, found.stderr) == (2, "error: No such revision\n")


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("", None),
        ("17", 17),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-30T14:30", datetime(2026, 1, 30, 14, 30, tzinfo=UTC)),
        ("2026-01-30T14:30+02:00", datetime(2026, 1, 30, 12, 30, tzinfo=UTC)),
        ("2026-01-30T14:30:05Z", datetime(2026, 1, 30, 14, 30, 5, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_points_as_people_write_them(text, point):
    assert read_point(text, "--at", NOW) == point


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "-1",
        "7y",
        "2026-13-01",
        "１７",
        "1e3",
        "d",
        "99999999d",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-12:00",
    ],
)
def test_what_is_no_point_is_refused(text):
    with pytest.raises(ValueError, match="--at"):
        read_point(text, "--at", NOW)


def test_a_time_before_the_calendar_is_none():
    with pytest.raises(ValueError, match="--since '90d' is not a time"):
        read_time("90d", "--since", datetime(1, 1, 2, tzinfo=UTC))


def test_a_number_is_no_time():
    with pytest.raises(ValueError, match="--since"):
        read_time("17", "--since", NOW)
