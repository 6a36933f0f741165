"""What was copied of an e-mail is what the command takes: the link, or the token in it."""

import pytest
from policy_client._pb import manage_users_pb2 as mu

from policy_service.cli.links import token_of
from tests.cli.test_manage import run, script  # noqa: F401 - the fixtures.

TOKEN = "tOkEn_" + "-x" * 18 + "y"
LINK = f"https://billing.example/accept?from=mail#token={TOKEN}"


@pytest.mark.parametrize("copied", [TOKEN, LINK, f"  {LINK}\r\n", f"<{LINK}>", f"https://b.example/#a=1&token={TOKEN}"])
def test_a_link_and_its_token_are_one(copied):
    assert token_of(copied) == TOKEN


@pytest.mark.parametrize("typed", [None, f"{LINK}\n"])
def test_accepting_takes_the_whole_link_given_or_read(script, run, typed):  # noqa: F811
    script.answers = [mu.AcceptInvitationResponse(revision=7, username="ellie", physician="dr-osei")]
    result = run("users", "accept", *([] if typed else [LINK]), typed=typed)
    assert result.exit_code == 0, result.output
    assert script.asked[0].token == TOKEN
