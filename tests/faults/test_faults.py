"""The short form of ``make faults``: each kind of fault once or a few times (ATTACKS 27 and 28)."""

import subprocess
from pathlib import Path

import pytest

from tests.faults import failover, kills, replicas, staleness, upgrade
from tests.faults.figures import Figures, table


def judged(*found: Figures) -> None:
    print(table(found))
    for figures in found:
        figures.refuse()


def test_27_kills_lose_no_acknowledged_write_and_leave_none_half_done():
    judged(kills.run(3))


def test_28_a_promoted_standby_has_every_acknowledged_write_and_is_found():
    judged(failover.run(1))


def test_28_without_its_database_a_replica_is_right_until_its_limit_and_says_nothing_after():
    judged(*staleness.run(["frozen", "cut"], 2.0))


def test_27_what_has_to_be_done_once_is_done_once_among_replicas_that_are_killed():
    judged(replicas.run(1, 2))


def test_the_release_before_answers_through_an_upgrade():
    judged(upgrade.run())


def test_a_clone_without_the_release_before_says_so(tmp_path, monkeypatch):
    """It fails, and is no test that was left out."""
    shallow = tmp_path / "shallow"
    source = f"file://{upgrade.ROOT}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", source, shallow], check=True, capture_output=True)
    monkeypatch.setattr(upgrade, "ROOT", Path(shallow))
    with (
        pytest.raises(AssertionError, match=r"which this clone does not have: clone it with its history"),
        upgrade.release(upgrade.BEFORE),
    ):
        pytest.fail("there is none")
