"""Open files: raised to what connections need, as far as the system lets; too few stop the start."""

import resource

import pytest

from policy_service.errors import StartError
from policy_service.rpc import open_files


@pytest.fixture
def limits(monkeypatch):
    """A system whose limit is ours."""

    class Limits:
        soft, hard = 1_024, 4_096

    monkeypatch.setattr(resource, "getrlimit", lambda _: (Limits.soft, Limits.hard))

    def setrlimit(which, wanted):
        assert wanted[0] <= Limits.hard or Limits.hard == resource.RLIM_INFINITY
        Limits.soft, Limits.hard = wanted

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return Limits


def test_the_limit_is_raised_to_what_is_needed_and_no_further(limits):
    limits.hard = 1 << 20
    assert open_files.connections_within(5_000) == 5_000
    assert (limits.soft, limits.hard) == (10_256, 1 << 20)


def test_fewer_files_are_fewer_connections(limits):
    assert open_files.connections_within(5_000) == (4_096 - 256) // 2
    assert limits.soft == 4_096


def test_a_limit_that_is_high_enough_stays(limits):
    assert open_files.connections_within(100) == 100
    assert limits.soft == 1_024


def test_no_limit_is_enough(limits):
    limits.soft = limits.hard = resource.RLIM_INFINITY
    assert open_files.connections_within(5_000) == 5_000


def test_files_of_the_decision_log_are_kept_for_it(limits):
    assert open_files.connections_within(5_000, segments=1_000) == (4_096 - 1_256) // 2
    limits.hard = 1_200
    with pytest.raises(StartError, match=r"1200 files.* 1512"):
        open_files.connections_within(5_000, segments=1_000)


def test_too_few_files_stop_the_start(limits):
    limits.soft = limits.hard = 256
    with pytest.raises(StartError, match="256 files"):
        open_files.connections_within(5_000)
