"""The command ``seed test``: what it shows, writes and exits with."""

import json
import sys
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from policy_service.cli import main, output
from policy_service.cli.junit import write_junit
from policy_service.cli.main import app
from policy_service.policy_text import read_expectations, read_seed
from policy_service.seed import run
from policy_service.settings import policies_dir

SEED = (policies_dir() / "seed.csv").read_text()
ROWS = len(read_seed(policies_dir() / "seed.csv"))
CLINIC = """\
world: ["g, user:dan, role:data_entry, physician:dr-a"]
expect:
  - why: Claims only.
    user: dan
    physician: dr-a
    allowed: [claim:view, claim:save, claim:submit]
"""


@pytest.fixture
def seed_test(monkeypatch):
    """Runs the command; the result."""
    monkeypatch.setattr(output.out, "_width", 300)

    def command(*words):
        return CliRunner().invoke(app, ["seed", "test", *map(str, words)])

    return command


@pytest.fixture
def clinic(tmp_path):
    path = tmp_path / "clinic.yaml"
    path.write_text(CLINIC)
    return path


def xml(path):
    return ET.parse(path).getroot()  # noqa: S314 - our own report


def table_row(result, first):
    return next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [first])


def test_all_as_expected_exits_with_0(seed_test):
    result = seed_test("--require-coverage")
    assert (result.exit_code, result.stderr) == (0, "")
    assert table_row(result, "built_in_roles.yaml") == ["built_in_roles.yaml", "208", "208", "0"]
    assert f"all as expected; {ROWS} of {ROWS} rows of seed.csv reached." in result.stdout
    assert "expected  found" not in result.stdout


def test_a_decision_that_is_not_as_expected_is_shown_and_exits_with_1(seed_test, clinic):
    result = seed_test(clinic)
    assert result.exit_code == 1
    row = ["clinic.yaml:3", "dan", "dr-a", "claim:delete", "web", "denied", "allowed", "granted", "Claims", "only."]
    assert table_row(result, "clinic.yaml:3") == row
    assert table_row(result, "clinic.yaml") == ["clinic.yaml", "13", "12", "1"]
    assert result.stdout.count("clinic.yaml:3") == 1


def test_verbose_shows_every_decision(seed_test, clinic):
    assert seed_test(clinic, "--verbose").stdout.count("clinic.yaml:3") == 13


def test_rows_that_are_never_reached_are_named_with_their_line(seed_test, clinic, tmp_path):
    clinic.write_text(CLINIC.replace("claim:submit]", "claim:submit, claim:delete]"))
    result = seed_test(clinic)
    assert result.exit_code == 0
    lines = SEED.split("\n")
    named = [line.removeprefix("never reached: seed.csv:") for line in result.stderr.splitlines()]
    assert len(named) == ROWS - 8
    for number, _, row in (line.partition(": ") for line in named):
        assert lines[int(number) - 1] == row
    assert f"8 of {ROWS} rows of seed.csv reached" in result.stdout
    assert seed_test(clinic, "--require-coverage").exit_code == 1


def test_json_tells_the_same(seed_test, clinic):
    result = seed_test(clinic, "--json", "--require-coverage")
    assert (result.exit_code, result.stderr) == (1, "")
    found = json.loads(result.stdout)
    (failed,) = found["failed"]
    assert failed == {
        "file": "clinic.yaml",
        "line": 3,
        "why": "Claims only.",
        "user": "dan",
        "physician": "dr-a",
        "channel": "web",
        "action": "claim:delete",
        "expected": False,
        "found": True,
        "reason": "granted",
    }
    assert (found["decisions"], found["left_out"]) == (13, [])
    assert found["files"] == [{"file": "clinic.yaml", "decisions": 13, "failed": 1, "revisions": []}]
    coverage = found["coverage"]
    assert (coverage["seed"], coverage["rows"], len(coverage["unreached"])) == ("seed.csv", ROWS, ROWS - 8)
    for missed in coverage["unreached"]:
        assert SEED.split("\n")[missed["line"] - 1] == missed["row"]
    assert "results" not in found
    verbose = json.loads(seed_test(clinic, "--json", "--verbose").stdout)
    assert len(verbose["results"]) == 13


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_decision(seed_test, clinic, tmp_path):
    shipped = policies_dir() / "tests" / "callers.yaml"
    assert seed_test(clinic, shipped, "--junit", tmp_path / "report.xml").exit_code == 1
    root = xml(tmp_path / "report.xml")
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["clinic.yaml", "callers.yaml"]
    cases = suites["clinic.yaml"].findall("testcase")
    assert (len(cases), suites["clinic.yaml"].get("tests"), suites["clinic.yaml"].get("failures")) == (13, "13", "1")
    (failed,) = [case for case in cases if case.find("failure") is not None]
    assert (failed.get("name"), failed.get("classname"), failed.get("line")) == (
        "dan dr-a claim:delete web",
        "clinic",
        "3",
    )
    failure = failed.find("failure")
    assert failure.get("message") == "expected denied, found allowed: granted"
    assert [line.split(maxsplit=1) for line in failure.text.splitlines()] == [
        ["expected:", "denied"],
        ["found:", "allowed"],
        ["reason:", "granted"],
        ["why:", "Claims only."],
        ["line:", "clinic.yaml:3"],
    ]
    assert suites["callers.yaml"].find("testcase").get("name") == "service:local system DecisionService/Check"
    assert (root.get("tests"), root.get("failures")) == (str(13 + len(suites["callers.yaml"])), "1")


def test_junit_is_xml_whatever_characters_the_words_have(seed_test, tmp_path):
    why = r'"]]> <&\" \x00 \x08 \e[31m \uFFFE \uFFFF \x85 \u2028 \U0001F512 [red]"'
    path = tmp_path / "a<&\x01.yaml"
    path.write_text(CLINIC.replace("Claims only.", why))
    result = seed_test(path, "--junit", tmp_path / "report.xml")
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout + result.stderr
    assert "[red]" in result.stdout
    root = xml(tmp_path / "report.xml")
    assert root[0].get("name") == "a<&\ufffd.yaml"
    assert (
        'why:      ]]> <&" \ufffd \ufffd \ufffd[31m \ufffd \ufffd \x85 \u2028 \U0001f512 [red]\n'
        in root.find(".//failure").text
    )


def test_a_report_that_cannot_be_written_exits_with_2(seed_test, clinic, tmp_path):
    result = seed_test(clinic, "--junit", tmp_path / "none" / "report.xml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "The report cannot be written" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"), [("expect:\n", "clinic.yaml:1: expect: "), (None, "clinic.yaml:1: cannot be read")]
)
def test_a_file_that_cannot_be_read_exits_with_2(monkeypatch, capsys, clinic, text, words):
    clinic.write_text(text) if text else clinic.unlink()
    monkeypatch.setattr(sys, "argv", ["policy-service", "seed", "test", str(clinic)])
    with pytest.raises(SystemExit) as stopped:
        main()
    told = capsys.readouterr()
    assert (stopped.value.code, told.out) == (2, "")
    assert words in told.err


def test_offline_no_client_is_made(seed_test, monkeypatch):
    """An address that no client would take in plain text does not matter."""
    monkeypatch.setenv("POLICY_DECISION_ADDRESS", "policy.example:50051")
    monkeypatch.setenv("POLICY_TLS_CERT_FILE", "/cert")
    monkeypatch.setenv("POLICY_TLS_KEY_FILE", "/key")
    monkeypatch.setenv("POLICY_TLS_CLIENT_CA_FILE", "/ca")
    assert seed_test().exit_code == 0


def test_the_report_counts_what_it_holds(model, seed, clinic, tmp_path):
    files = run(model, seed, [read_expectations(clinic)] * 2).files
    write_junit(tmp_path / "report.xml", files)
    root = xml(tmp_path / "report.xml")
    assert [(suite.get("tests"), suite.get("failures")) for suite in (root, *root)] == [
        ("26", "2"),
        ("13", "1"),
        ("13", "1"),
    ]
