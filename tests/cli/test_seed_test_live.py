"""``seed test --live`` against a server that says what the test tells it to."""

import json
from xml.etree import ElementTree as ET

import grpc
import pytest
from policy_client import PolicyClient
from policy_client._pb import decision_pb2 as pb
from typer.testing import CliRunner

from clients.python.tests.scripted import Scripted, failing
from policy_service.cli import live, output
from policy_service.cli.main import app
from policy_service.policy_text import read_expectations
from tests.support.actions import Action

CLINIC = """\
world: ["g, user:dan, role:data_entry, physician:dr-a"]
expect:
  - {why: Claims only., user: dan, physician: dr-a, allowed: [claim:view]}
"""
LIVE = """\
live: true
expect:
  - why: Claims only.
    users: [{users}]
    physician: dr-osei
    allowed: [claim:view]
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


@pytest.fixture
def script():
    return Scripted()


@pytest.fixture
def port(script):
    server, port = script.start()
    yield port
    server.stop(None).wait()


@pytest.fixture
def live_file(tmp_path):
    def written(users=1):
        path = tmp_path / "live.yaml"
        path.write_text(LIVE.format(users=", ".join(f"u{number}" for number in range(users))))
        return path

    return written


@pytest.fixture
def at(script):
    """Makes the server answer each batch at the next of some revisions: claim:view is granted, nothing else."""

    def answering(*revisions):
        left = list(revisions)

        def answer(context):
            if isinstance(script.asked[-1], pb.ListActionsRequest):
                # Of no question, so that tests see the batches alone.
                script.asked.pop()
                return pb.ListActionsResponse(catalogue=[pb.ActionInfo(action=action) for action in Action])
            revision = left.pop(0) if len(left) > 1 else left[0]
            return pb.BatchCheckResponse(
                revision=revision,
                answers=[
                    pb.CheckResponse(
                        allowed=check.action == "claim:view",
                        reason=pb.REASON_GRANTED if check.action == "claim:view" else pb.REASON_NOT_GRANTED,
                        revision=revision,
                    )
                    for check in script.asked[-1].checks
                ],
            )

        script.answers = [answer]

    return answering


def test_a_live_file_is_left_out_offline(seed_test, live_file, clinic):
    result = seed_test(live_file(), clinic)
    assert result.exit_code == 1
    assert "left out: live.yaml: about accounts of the running service; --live asks it" in result.stderr
    assert json.loads(seed_test(live_file(), clinic, "--json").stdout)["left_out"][0]["file"] == "live.yaml"


def test_nothing_to_ask_is_an_error(seed_test, live_file):
    result = seed_test(live_file())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Nothing to ask" in result.stderr


def test_a_service_that_does_not_tell_its_seed_is_an_error(seed_test, clinic, port):
    words = ("--live", "--address", f"127.0.0.1:{port}", "--management-address", "127.0.0.1:1", "--timeout", "2")
    result = seed_test(clinic, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error:" in result.stderr


def test_the_service_is_asked_and_its_revision_told(seed_test, live_file, port, at, tmp_path):
    at(7)
    words = (live_file(), "--live", "--address", f"127.0.0.1:{port}")
    result = seed_test(*words, "--junit", tmp_path / "report.xml")
    assert result.exit_code == 0, result.stderr
    assert ["live.yaml", "13", "13", "0", "7"] in [line.split() for line in result.stdout.splitlines()]
    report = ET.parse(tmp_path / "report.xml")  # noqa: S314 - our own
    assert len(report.findall(".//testcase")) == 13
    found = json.loads(seed_test(*words, "--json").stdout)
    assert (found["files"][0]["revisions"], found["coverage"]) == ([7], None)


def test_a_live_decision_that_is_not_as_expected_exits_with_1(seed_test, live_file, port, at):
    at(7)
    path = live_file()
    path.write_text(path.read_text().replace("claim:view", "claim:save"))
    result = seed_test(path, "--live", "--address", f"127.0.0.1:{port}", "--json")
    assert result.exit_code == 1
    failed = json.loads(result.stdout)["failed"]
    assert [(entry["action"], entry["found"], entry["reason"]) for entry in failed] == [
        ("claim:view", True, "granted"),
        ("claim:save", False, "not granted"),
    ]


def test_a_file_is_asked_in_batches_at_one_revision(live_file, port, script, at):
    at(7)
    file = read_expectations(live_file(users=200))
    with PolicyClient(f"127.0.0.1:{port}") as client:
        tested = live.ask(client, file)
    assert [len(asked.checks) for asked in script.asked] == [1_000, 1_000, 600]
    assert [{check.min_revision for check in asked.checks} for asked in script.asked] == [{0}, {7}, {7}]
    assert (len(tested.results), tested.failed, tested.revisions) == (2_600, (), (7,))


def test_a_policy_that_changes_meanwhile_is_asked_anew(live_file, port, script, at):
    at(7, 8, 8, 8, 8)
    with PolicyClient(f"127.0.0.1:{port}") as client:
        tested = live.ask(client, read_expectations(live_file(users=100)))
    assert (len(script.asked), tested.revisions) == (4, (8,))


def test_a_policy_that_keeps_changing_is_told_with_its_revisions(live_file, port, script, at):
    at(*range(1, 50))
    with PolicyClient(f"127.0.0.1:{port}") as client:
        tested = live.ask(client, read_expectations(live_file(users=100)))
    assert len(script.asked) == 2 * live.ATTEMPTS
    assert tested.revisions == (2 * live.ATTEMPTS - 1, 2 * live.ATTEMPTS)


@pytest.mark.parametrize("answer", [failing(grpc.StatusCode.INTERNAL, "INTERNAL"), None])
def test_a_service_that_does_not_answer_exits_with_2(seed_test, live_file, port, script, answer):
    script.answers = [answer]
    address = f"127.0.0.1:{port if answer else 1}"
    result = seed_test(live_file(), "--live", "--address", address, "--timeout", "2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error:" in result.stderr


def test_what_cannot_go_together_is_refused(seed_test, live_file, port):
    for words, told in ((("--seed", "seed.csv"), "--seed"), (("--require-coverage",), "coverage")):
        result = seed_test(live_file(), "--live", "--address", f"127.0.0.1:{port}", *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in result.stderr


def test_worlds_are_asked_on_the_seed_in_force_where_the_service_tells_it(
    seed_test, live_file, clinic, port, at, monkeypatch, seed
):
    """Not the local file: a seed in which data entry may only view claims."""
    at(7)
    narrow = [row for row in seed if row.values[0] != "role:data_entry" or row.values[2] == "claim:view"]
    monkeypatch.setattr(live, "seed_in_force", lambda *_: tuple(narrow))
    result = seed_test(live_file(), clinic, "--live", "--address", f"127.0.0.1:{port}", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {tested["file"]: tested["revisions"] for tested in found["files"]} == {"clinic.yaml": [], "live.yaml": [7]}
    assert (found["coverage"]["seed"], found["coverage"]["rows"]) == ("the seed in force", len(narrow))
    assert {missed["line"] for missed in found["coverage"]["unreached"]} == {None}
    words = (clinic, "--live", "--require-coverage", "--address", f"127.0.0.1:{port}")
    assert seed_test(*words).exit_code == 1
    assert "never reached: the seed in force: p, role:owner, *, *, allow" in seed_test(*words).stderr
