"""Which names could be taken for each other."""

import json

import pytest
from typer.testing import CliRunner

from policy_service.cli.main import app
from policy_service.vocabulary import alike, collisions


@pytest.mark.parametrize(
    ("one", "other"),
    [("BEN", "ben"), ("Ian", "lan"), ("user1", "userl"), ("dr-o", "dr-0"), ("verna", "vema"), ("O0", "00"), ("a", "a")],
)
def test_13_names_that_deceive_the_eye_are_alike(one, other):
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("neil", "nell"), ("mia", "mla"), ("n1", "n2"), ("ann", "anne"), ("a.b", "ab"), ("vv", "w")]
)
def test_names_of_two_people_are_not(one, other):
    assert not alike(one, other)


def test_collisions_come_in_groups_in_byte_order():
    assert collisions(["ben", "BEN", "Ben", "ann", "lan", "Ian", "ian"]) == [
        ("BEN", "Ben", "ben"), ("Ian", "ian"), ("Ian", "lan"),
    ]  # fmt: skip
    assert collisions(["ann", "ann", "bob"]) == []


def test_collisions_of_an_export_are_listed_by_kind_and_account(tmp_path):
    rows = [
        {"user": ["BEN", None, True]}, {"user": ["ben", None, True]}, {"user": ["neil", None, True]},
        {"user": ["nell", None, True]}, {"physician": ["dr-o", "ben", ""]}, {"physician": ["dr-0", "neil", ""]},
        {"rule": ["seed", "p", "role:data_entry", "*", "claim:view", "allow"]},
        {"rule": ["api", "p", "role:desk1", "physician:dr-o", "claim:view", "allow"]},
        {"rule": ["api", "g", "role:deskl", "role:data_entry", "physician:dr-o", ""]},
        {"rule": ["api", "p", "role:desk1", "physician:dr-0", "claim:view", "allow"]},
        {"rule": ["api", "p", "role:custom.ben", "physician:dr-0", "claim:view", "allow"]},
    ]  # fmt: skip
    file = tmp_path / "policy.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = CliRunner().invoke(app, ["audit", "collisions", str(file), "--json"])
    assert run.exit_code == 1, run.output
    assert json.loads(run.stdout) == [
        {"kind": "user", "where": "", "names": ["BEN", "ben"]},
        {"kind": "account", "where": "", "names": ["dr-0", "dr-o"]},
        {"kind": "role", "where": "dr-o", "names": ["desk1", "deskl"]},
    ]
    file.write_text(json.dumps(rows[0]) + "\n")
    assert CliRunner().invoke(app, ["audit", "collisions", str(file)]).exit_code == 0
