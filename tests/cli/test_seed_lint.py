"""``seed lint`` speaks to people, programs, GitHub and code scanning, and its exit status is to be relied on."""

import io
import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from policy_service.cli import findings
from policy_service.cli.main import app, main
from policy_service.policy_text import CODES, lint
from policy_service.policy_text.lint import Code
from policy_service.settings import policies_dir
from tests.support.patience import PATIENCE

SEED = (policies_dir() / "seed.csv").read_text()
NEXT = SEED.count("\n") + 1
BROKEN = SEED + "p, role:data_entry, *, claim:sumbit, allow\n"
WARNED = SEED + "p, role:data-entry, *, claim:view, allow\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs ``seed lint`` on a seed; the result."""
    monkeypatch.chdir(tmp_path)

    def command(text: str, *words: str, name: str = "seed.csv") -> Any:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        return CliRunner().invoke(app, ["seed", "lint", name, *words])

    return command


@pytest.mark.parametrize(
    ("text", "words", "status"),
    [
        (SEED, (), 0),
        (WARNED, (), 0),
        (WARNED, ("--strict",), 1),
        (BROKEN, (), 1),
        ("", (), 1),
        ("\udcff", (), 1),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_the_exit_status_is_the_same_in_every_form(run, text, words, status, form):
    assert run(text, *words, "--format", form).exit_code == status


def test_people_see_the_place_and_the_way_to_mend_it(run):
    assert run(BROKEN).stdout == (
        f"seed.csv:{NEXT}:24: error: 'claim:sumbit' is not an action [action]\n"
        f"{NEXT:>5} | p, role:data_entry, *, claim:sumbit, allow\n"
        "      |                        ^^^^^^^^^^^^\n"
        " hint: did you mean 'claim:submit'?\n"
        "\n"
        "seed.csv: 1 error, 0 warnings\n"
    )
    assert run(SEED).stdout == "seed.csv: sound\n"


@pytest.mark.parametrize(
    ("line", "shown", "carets"),
    [
        ("\tp,\trole:ｘ, *, claim:view, allow", " p, role:ｘ, *, claim:view, allow", "    ^^^^^^^"),
        ("p, role:ｘ王, *, claim:vie, allow", "p, role:ｘ王, *, claim:vie, allow", "   ^^^^^^^^^"),
        ("p, \x1b[31mrole:x, *, claim:view, allow", "p, \\x1b[31mrole:x, *, claim:view, allow", "   ^^^^"),
        ("# \udcff", "# \\xff", "  ^^^^"),
        ("p, role:x, *, claim:view, ", "p, role:x, *, claim:view, ", "                          ^"),
        ("p, [red]x[/red], *, claim:view, deny", "p, [red]x[/red], *, claim:view, deny", "   ^^^^^^^^^^^^"),
    ],
)
def test_the_carets_stand_below_the_place_and_nothing_reaches_the_terminal_raw(run, line, shown, carets):
    output = run(SEED + line + "\n").stdout
    assert f"{NEXT:>5} | {shown}\n      | {carets}\n" in output
    assert "\x1b" not in output
    assert all(character.isprintable() or character == "\n" for character in output)


def test_of_a_long_line_the_part_around_the_place_is_shown(run):
    output = run(f"{SEED}p, role:{'x' * 300}, *, claim vie, allow\n").stdout
    shown, carets = output.split("\n")[6:8]
    assert len(shown) < 150
    assert shown[carets.index("^") :].startswith("claim vie,")


def test_colours_are_for_terminals(capsys, monkeypatch):
    text, found = BROKEN, lint(BROKEN).findings
    findings.write_text("seed.csv", text, found)
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    terminal = io.StringIO()
    monkeypatch.setattr(findings, "Console", lambda **given: Console(file=terminal, force_terminal=True, **given))
    findings.write_text("seed.csv", text, found)
    assert "\x1b[1;31merror:" in terminal.getvalue()


def test_programs_read_json(run):
    found = json.loads(run(BROKEN, "--json").stdout)
    assert found == json.loads(run(BROKEN, "--format", "json").stdout)
    assert found == {
        "file": "seed.csv",
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "level": "error",
                "code": "action",
                "line": NEXT,
                "column": 24,
                "end_column": 36,
                "text": "'claim:sumbit' is not an action",
                "hint": "did you mean 'claim:submit'?",
            }
        ],
    }
    assert json.loads(run(SEED, "--json").stdout)["findings"] == []


def test_github_reads_a_command_a_line_and_nothing_can_forge_one(run):
    output = run(BROKEN + "p, role:x%, *, claim:view, ::error::100%\n", "--format", "github", name="a:b,c%.csv").stdout
    first, second, third = output.splitlines()
    assert first == (
        f"::error file=a%3Ab%2Cc%25.csv,line={NEXT},col=24,endColumn=36,title=policy-service seed lint%3A action"
        "::'claim:sumbit' is not an action; did you mean 'claim:submit'?"
    )
    assert "'role:x%25'" in second
    assert "'::error::100%25'" in third
    warned = run(WARNED, "--format", "github").stdout
    assert warned.startswith(f"::warning file=seed.csv,line={NEXT},col=4,endColumn=19,")
    assert run(SEED, "--format", "github").stdout == ""


def test_code_scanning_reads_sarif(run):
    """The parts of SARIF 2.1.0 (OASIS) that a reader needs."""
    document = json.loads(run(BROKEN + "\ufeff\n", "--format", "sarif", name="my seed.csv").stdout)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run_,) = document["runs"]
    driver = run_["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == [str(code) for code in CODES]
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert {rule["defaultConfiguration"]["level"] for rule in driver["rules"]} == {"error", "warning"}
    assert run_["columnKind"] == "unicodeCodePoints"
    assert len(run_["results"]) == 2
    for result in run_["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "my%20seed.csv"
        region = location["physicalLocation"]["region"]
        assert all(isinstance(region[key], int) and region[key] >= 1 for key in region)
        assert region["endColumn"] >= region["startColumn"]
    assert run_["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": NEXT,
        "startColumn": 24,
        "endColumn": 36,
    }
    assert json.loads(run(SEED, "--format", "sarif").stdout)["runs"][0]["results"] == []


def test_an_absolute_path_is_a_file_address(tmp_path):
    path = tmp_path / "ä.csv"
    path.write_text(BROKEN)
    found = json.loads(CliRunner().invoke(app, ["seed", "lint", str(path), "--format", "sarif"]).stdout)
    place = found["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == path.as_uri()


@pytest.mark.parametrize("path", ["/nowhere/seed.csv", "/"])
def test_a_file_that_cannot_be_read_exits_with_2(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["policy-service", "seed", "lint", path])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {path}: cannot be read: ")


def test_without_a_file_the_seed_of_the_settings_is_judged(tmp_path, monkeypatch):
    assert CliRunner().invoke(app, ["seed", "lint"]).exit_code == 0
    path = tmp_path / "other.csv"
    path.write_text(BROKEN)
    monkeypatch.setenv("POLICY_SEED_FILE", str(path))
    result = CliRunner().invoke(app, ["seed", "lint"])
    assert result.exit_code == 1
    assert str(path) in result.stdout


def test_standard_input_is_read_whole_in_a_process_of_its_own():
    """As in a pipe; and a method that only the contract knows is wrong is found."""
    text = SEED + "p, role:decision_caller, system, DecisionService/Chek, allow\n"
    done = subprocess.run(
        [sys.executable, "-m", "policy_service", "seed", "lint", "-"],
        input=text.encode(),
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert f"stdin:{NEXT}:34: error:" in done.stdout.decode()
    assert "did you mean 'DecisionService/Check'?" in done.stdout.decode()
    assert done.stderr == b""


def test_an_unknown_form_is_an_error(run):
    assert run(SEED, "--format", "xml").exit_code == 2


def test_each_code_is_a_word_of_its_own():
    assert len(set(Code)) == len(CODES)
    assert all(code == code.lower() and code.replace("-", "").isalnum() for code in Code)
    assert yaml.safe_load("\n".join(f"- {code}" for code in Code)) == [str(code) for code in Code]
