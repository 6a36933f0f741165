"""The command asks several addresses, given or from the environment; each is on this machine, or all have TLS."""

import pytest
from policy_client.testing import FakePolicyService

from tests.acceptance.conftest import environment
from tests.support.command import run_command

CHECK = ("check", "ama", "dr-osei", "claim:view")


@pytest.fixture(scope="module")
def fake():
    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        yield fake


def test_the_next_is_asked_where_nothing_listens(fake):
    several = f"127.0.0.1:1,{fake.decision_target}"
    given = run_command(*CHECK, "--address", several, environment=environment())
    found = run_command(*CHECK, environment=environment(POLICY_DECISION_ADDRESS=several))
    assert (given.returncode, found.returncode) == (0, 0), given.stderr + found.stderr


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1,10.0.0.1:1", "is not on this machine, so it needs TLS"),
        ("127.0.0.1:1,", "--address is empty in '127.0.0.1:1,'"),
        ("127.0.0.1:1,127.0.0.1", "has no port"),
    ],
)
def test_one_wrong_address_is_refused_with_the_whole_list(address, words):
    refused = run_command(*CHECK, "--address", address, environment=environment())
    assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
