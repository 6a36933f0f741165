"""What letters are made with is judged at the start and at the import, not when the first letter is written."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from policy_service.policy_text import BrokenPolicy
from policy_service.settings import Settings
from policy_service.transfer.moving_check import _Reader


@pytest.mark.parametrize("sender", ["Billing <no-reply@billing.invalid>", "no-reply@b.ca", "Dr. X <a@b.ca>"])
def test_a_sender_is_one_address(sender):
    assert Settings(mail_from=sender).mail_from == sender


@pytest.mark.parametrize("sender", ["nonsense", "", "a@b.ca, c@d.ca", "a@b.ca\r\nBcc: c@d.ca", "B\u202e <a@b.ca>"])
def test_a_sender_that_no_letter_could_name_stops_the_start(sender):
    with pytest.raises(ValidationError, match="mail_from"):
        Settings(mail_from=sender)


def test_a_link_that_no_line_of_a_letter_holds_stops_the_start():
    with pytest.raises(ValidationError, match="link_base"):
        Settings(link_base="https://billing.example/" + "x" * 1000)


def test_a_file_of_a_moved_policy_brings_no_name_and_no_address_that_poisons_a_letter():
    reader = _Reader(Path("policy.jsonl"), [])
    reader._user("ama", "ama@clinic.example", True)
    for bring in (
        lambda: reader._physician("dr-a", "ama", "=?utf-7?q?+2AA-?="),
        lambda: reader._physician("dr-a", "ama", "www.evil.example"),
        lambda: reader._address("=?utf-8?q?a?=@example.org"),
    ):
        with pytest.raises(Exception) as refused:
            bring()
        assert isinstance(refused.value, BrokenPolicy) or "email" in str(refused.value)
