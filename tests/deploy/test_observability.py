"""Alerts, dashboard and runbook name only what there is, and leave out nothing that they should name."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from policy_service.cli.main import app as command
from tests.support.log_events import loud_events
from tests.support.promql import OF_EVERY_TARGET, labels_used, selectors, told, values

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
# What Prometheus itself says of each target.
PROMETHEUS_OWN = {"up": set()}
CLOSED = {"state", "plane"}


@pytest.fixture
async def metrics_told(app, wire):
    """The names and labels of a service that has answered."""
    await wire.check("olive", "dr-a", "claim:view")
    return {**told(), **PROMETHEUS_OWN}


def shown(panels: list) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def faults(expression: str, there: dict[str, set[str]]) -> list[str]:
    """What an expression names that is not there."""
    found, labels = [], set(OF_EVERY_TARGET)
    for name, matchers in selectors(expression):
        if name not in there:
            found.append(f"no metric {name}")
            continue
        labels |= there[name]
        for label, operator, value in matchers:
            if label not in there[name] | OF_EVERY_TARGET:
                found.append(f"{name} has no label {label}")
            elif label in CLOSED and operator in ("Equal", "Re"):
                found += [f"{name} is never {one}" for one in value.split("|") if one not in values(name, label)]
    return found + [f"nothing has the label {label}" for label in labels_used(expression) - labels]


async def test_each_alert_asks_for_what_there_is(metrics_told):
    assert {rule["alert"]: found for rule in RULES if (found := faults(rule["expr"], metrics_told))} == {}


async def test_the_dashboard_asks_for_what_there_is(metrics_told):
    expressions = shown(DASHBOARD["panels"])
    assert len(expressions) > 30
    found = {}
    for expression in expressions:
        plain = expression.replace("$__rate_interval", "5m").replace("$job", "x").replace("$instance", "y")
        assert "$" not in plain
        if wrong := faults(plain, metrics_told):
            found[expression] = wrong
    assert found == {}


async def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert(metrics_told):
    asked = {name for rule in RULES for name, _ in selectors(rule["expr"])}
    for expression in shown(DASHBOARD["panels"]):
        asked |= {name for name, _ in selectors(expression.replace("$__rate_interval", "5m"))}
    families = {
        re.sub("_(total|created|bucket|count|sum|info)$", "", name)
        for name in metrics_told
        if name.startswith("policy_")
    }
    # Its codes are also those of policy_calls_total, by which they are asked for.
    families -= {"policy_refusals"}
    assert families - {re.sub("_(total|bucket|info)$", "", name) for name in asked} == {"policy_checkpoint_revision"}


def test_the_test_finds_what_is_wrong():
    there = {"policy_tasks_down": {"task"}, "a_bucket": {"le"}}
    assert faults("policy_tasks_up == 1", there) == ["no metric policy_tasks_up"]
    assert faults('policy_tasks_down{tusk="x"} > 0', there) == ["policy_tasks_down has no label tusk"]
    assert faults("sum by (tusk) (rate(policy_tasks_down[5m]))", there) == ["nothing has the label tusk"]
    assert faults("histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m]))) / (b - c) > 0", there) == [
        "no metric b",
        "no metric c",
    ]
    with pytest.raises(ValueError, match="parenthesis"):
        faults("sum by (", there)


def test_alerts_are_whole():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert re.fullmatch("[0-9]+[smh]", rule.get("for", "1m"))


def test_where_promtool_is_at_hand_it_finds_no_fault():
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_has_a_section_and_each_section_an_alert():
    alerts = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = re.split("^### ", alerts, flags=re.MULTILINE)[1:]
    assert {section.splitlines()[0] for section in sections} == {rule["alert"] for rule in RULES}
    for section in sections:
        missing = [
            part for part in ("**Symptom**", "**Means**", "**Look**", "**do**") if part.lower() not in section.lower()
        ]
        assert not missing, (section.splitlines()[0], missing)


def test_each_loud_event_of_the_log_has_its_line_and_each_line_its_event():
    lines = RUNBOOK.partition("\n## Lines of the log\n")[2]
    rows = dict(re.findall(r"^\| `(.*?)` \| (.+) \|$", lines, flags=re.MULTILINE))
    events = loud_events()
    assert len(events) > 30
    assert set(rows) - set(events) == set(), "rows of no event"
    assert {event: where for event, where in events.items() if event not in rows} == {}


def test_links_within_the_runbook_lead_somewhere():
    titles = {
        re.sub("[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall("^#+ (.+)$", RUNBOOK, re.MULTILINE)
    }
    for _, target in re.findall(r"\[(.+?)\]\((.+?)\)", RUNBOOK):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / "docs" / file).exists(), target
        assert not anchor or file or anchor in titles, target


def commands() -> list[list[str]]:
    blocks = re.findall("```sh\n(.+?)```", RUNBOOK, flags=re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_the_runbooks_commands_are_there_with_their_options():
    ours = [words[1:] for words in commands() if words[0] == "policy-service"]
    assert len(ours) > 5
    for words in ours:
        path = [word for word in words if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
        told = CliRunner().invoke(command, [*path, "--help"])
        assert told.exit_code == 0, words
        assert all(word in told.output for word in words if word.startswith("--")), words


async def test_what_the_runbook_looks_for_on_the_operations_port_is_there(metrics_told, app):
    assert app.replica.is_fresh()
    asked = [words for words in commands() if words[0] == "curl"]
    assert len(asked) > 20
    paths = {words[2].removeprefix("http://OPERATIONS") for words in asked}
    assert paths == {"/metrics", "/livez", "/readyz", "/readyz/management"}
    lines = [f'{name}{{code="INTERNAL"}}{{code="UNAVAILABLE"}}' for name in metrics_told]
    for words in asked:
        if "grep" in words:
            before, alternatives, after = re.fullmatch(r"([^(]*)\(?([^)]*)\)?(.*)", words[-1]).groups()
            for one in alternatives.split("|"):
                assert any(re.search(before + one + after, line) for line in lines), words
