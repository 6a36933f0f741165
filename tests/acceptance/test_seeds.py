"""Whoever changes the built-in policy, at the real command with the real process: look, change, go back, move house."""

import json
from pathlib import Path

import pytest

from policy_service.settings import policies_dir
from tests.acceptance.conftest import Service
from tests.support.seeds import SEED

PAY = "p, role:financial_viewer, *, invoice:pay, allow\n"
OPS = ("--as", "ops", "--reason", "as agreed")


@pytest.fixture
def edited(tmp_path: Path) -> str:
    """A seed in which financial viewers only view."""
    path = tmp_path / "edited.csv"
    path.write_text(SEED.replace(PAY, ""))
    return str(path)


def allowed(service: Service, user: str, physician: str, action: str) -> bool:
    return service.cli("check", user, physician, action).returncode == 0


def done(service: Service, *words: str) -> str:
    run = service.cli("seed", *words)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_from_an_edited_file_to_a_change_and_back(service, edited, tmp_path):
    with service.running():
        first = json.loads(done(service, "plan", "--json"))["revision"]
        # Look.
        shown = done(service, "plan", edited)
        assert shown.startswith(
            f"- {PAY}\n2 users in 3 accounts are affected (4 memberships):\n"
            "  financial_viewer: 4\n    lose invoice:pay\n      noah for dr-osei\n"
        )
        assert "1 row removed, 0 added; plan " in shown
        plan = json.loads(done(service, "plan", edited, "--json"))
        assert set(plan) == {
            "revision", "token", "digest", "added", "removed", "groups", "users", "physicians", "guarded",
        }  # fmt: skip
        assert (plan["removed"], plan["added"], plan["guarded"]) == ([PAY.strip()], [], [])
        assert [set(group) for group in plan["groups"]] == [{"roles", "gained", "lost", "count", "members"}]
        assert plan["groups"][0]["members"][0] == {"user": "noah", "physician": "dr-osei"}
        # Nobody is there to be asked.
        unasked = service.cli("seed", "apply", edited, *OPS)
        assert (unasked.returncode, "give --yes" in unasked.stderr) == (2, True)
        assert allowed(service, "noah", "dr-osei", "invoice:pay")
        # The plan in a file, exactly; and not a second time.
        file = str(tmp_path / "plan.json")
        done(service, "plan", edited, "--out", file, "--json")
        # What is shown is the service's own, whatever somebody wrote into the file.
        told = json.loads(Path(file).read_text())
        Path(file).write_text(
            json.dumps({**told, "removed": [], "added": ["p, role:x, *, claim:view, allow"], "groups": []})
        )
        applied = done(service, "apply", "--plan", file, *OPS, "--yes")
        assert f"- {PAY.strip()}\n" in applied
        assert "role:x" not in applied
        assert "      noah for dr-osei\n" in applied
        assert "No user" not in applied
        assert f"done: the seed is applied (revision {first + 1})" in applied
        assert not allowed(service, "noah", "dr-osei", "invoice:pay")
        assert "nothing changed" in done(service, "apply", "--plan", file, *OPS, "--yes")
        assert "nothing changed" in done(service, "apply", edited, *OPS)
        # The file that people keep, as it is now.
        shipped = str(policies_dir() / "seed.csv")
        assert done(service, "export", "--like", shipped) == Path(edited).read_text()
        bare = tmp_path / "bare.csv"
        done(service, "export", "-o", str(bare))
        assert set(bare.read_text().splitlines()) == {line for line in Path(edited).read_text().splitlines() if line and line[0] != "#"}  # fmt: skip
        assert not list(tmp_path.glob("*.part"))
        assert "this is the seed in force" in done(service, "plan", str(bare))
        # Back, and known to auditors with its reason.
        back = json.loads(done(service, "rollback", "--to", str(first), *OPS, "--yes", "--json"))
        again = service.cli("seed", "apply", "--plan", file, *OPS, "--yes")
        assert (again.returncode, "plan again" in again.stderr) == (1, True)
        assert (back["revision"], back["changed"]) == (first + 2, True)
        assert allowed(service, "noah", "dr-osei", "invoice:pay")
        run = service.cli("audit", "changes", "--json", "--limit", "2")
        kinds = [(change["kind"], change["actor"], change["reason"]) for change in json.loads(run.stdout)]
        assert kinds == [("seed.rollback", "ops", "as agreed"), ("seed.apply", "ops", "as agreed")]
        unknown = service.cli("seed", "rollback", "--to", "999", *OPS, "--yes")
        assert (unknown.returncode, "No such revision" in unknown.stderr) == (2, True)


def test_what_removes_much_or_is_broken_is_refused(service, tmp_path):
    path = tmp_path / "seed.csv"
    with service.running():
        path.write_text("".join(line for line in SEED.splitlines(keepends=True) if "administrator, *" not in line))
        refused = service.cli("seed", "apply", str(path), *OPS, "--yes")
        assert (refused.returncode, "--allow-emptied-role" in refused.stderr) == (1, True)
        assert "guarded: EMPTIED_ROLE" in done(service, "plan", str(path))
        assert allowed(service, "priya", "dr-osei", "claim:view")
        done(service, "apply", str(path), *OPS, "--yes", "--allow-emptied-role")
        assert not allowed(service, "priya", "dr-osei", "claim:view")
        path.write_text(SEED + "p, role:data_entry, *, claim:sumbit, allow\n")
        for words in (("plan",), ("apply", *OPS, "--yes")):
            broken = service.cli("seed", words[0], str(path), *words[1:])
            assert broken.returncode != 0
            assert "claim:sumbit" in broken.stderr
            assert "Traceback" not in broken.stderr
        path.write_text("{}")
        for words in (("--plan", str(path)), ("--plan", str(path), str(path)), ("--plan", str(tmp_path / "none"))):
            wrong = service.cli("seed", "apply", *words, *OPS, "--yes")
            assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)


def test_a_plan_without_any_service(service, edited):
    shipped, demo = str(policies_dir() / "seed.csv"), str(policies_dir() / "demo.csv")
    shown = done(service, "plan", edited, "--against", shipped, "--world", demo)
    assert "      noah for dr-osei\n" in shown
    assert "Whom it touches is not known" in done(service, "plan", edited, "--against", shipped)
    kept = service.cli("seed", "plan", edited, "--against", shipped, "--out", str(service.data_dir / "plan.json"))
    assert (kept.returncode, "can never be applied" in kept.stderr) == (2, True)
    nobody = service.cli("seed", "plan", edited, "--against", shipped, "--world", shipped)
    assert (nobody.returncode, "has no accounts" in nobody.stderr) == (2, True)
    alone = json.loads(done(service, "plan", edited, "--against", shipped, "--json"))
    assert (alone["removed"], alone["groups"], alone["revision"]) == ([PAY.strip()], [], 0)
    world = service.cli("seed", "plan", edited, "--world", demo)
    assert (world.returncode, "--against" in world.stderr) == (2, True)


WIDENED = "--allow-widened-callers"


def test_a_right_that_ops_took_from_themselves_is_given_back_without_the_service(service, tmp_path):
    path = tmp_path / "seed.csv"
    path.write_text(SEED.replace("p, role:ops_caller, system, SeedService/ApplySeed, allow\n", ""))
    with service.running():
        done(service, "apply", str(path), *OPS, "--yes", "--allow-emptied-role")
        locked = service.cli("seed", "apply", str(policies_dir() / "seed.csv"), *OPS, "--yes", WIDENED)
        assert (locked.returncode, "no right to call" in locked.stderr) == (2, True)
        in_use = service.cli("seed", "apply", str(policies_dir() / "seed.csv"), *OPS, "--yes", "--direct")
        assert (in_use.returncode, "Traceback" in in_use.stderr) == (2, False)
    direct = done(service, "apply", str(policies_dir() / "seed.csv"), *OPS, "--yes", "--direct", WIDENED)
    assert "+ p, role:ops_caller, system, SeedService/ApplySeed, allow\n" in direct
    assert "No user gains or loses anything." in direct
    with service.running():
        assert "nothing changed" in done(service, "apply", str(policies_dir() / "seed.csv"), *OPS)


def test_moving_house(service, edited, tmp_path):
    file = str(tmp_path / "policy.jsonl")
    with service.running():
        done(service, "apply", edited, *OPS, "--yes")
        done(service, "export", "--jsonl", "--output", file)
        assert done(service, "export", "--jsonl") == Path(file).read_text()
        # It has people's addresses.
        assert Path(file).stat().st_mode & 0o077 == 0
        wrong = service.cli("seed", "export", "--jsonl", "--like", edited)
        assert wrong.returncode == 2
    new = Service(service.data_dir / "new", command=(service.command[0], "serve"))
    cut = tmp_path / "cut.jsonl"
    cut.write_text(Path(file).read_text()[:-20])
    refused = new.cli("seed", "import", str(cut), "--as", "ops")
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    moved = done(new, "import", file, "--as", "ops")
    assert "3 physicians" in moved
    for words, fault in (
        (("-", "--as", "ops"), "reads it twice"),
        ((file, "--as", "ops", "--reason", "two\nlines"), "reason holds a control character"),
    ):
        refused = new.cli("seed", "import", *words)
        assert (refused.returncode, fault in refused.stderr) == (2, True), refused.stderr
    twice = new.cli("seed", "import", file, "--as", "ops")
    assert (twice.returncode, "empty store" in twice.stderr) == (2, True)
    with new.running():
        assert not allowed(new, "noah", "dr-osei", "invoice:pay")
        assert allowed(new, "leo", "dr-osei", "claim:submit")
        assert not allowed(new, "vera", "dr-tran", "report:patient_details")
