"""A role that operators added to the seed is told as what it is: one role of every account."""

import pytest

from policy_service.cli.report_words import legend, marks_of
from tests.support.reviews import access, held, review

SEES = ["claim:view"]


@pytest.mark.parametrize("by_user", [False, True])
def test_a_role_that_operators_added_is_built_in_and_the_accounts_own_are_its_own(by_user):
    about = {"physician": "", "user": "mia"} if by_user else {}
    found = review(
        **about,
        access=(
            access("mia", held("auditor"), physician="dr-osei", allowed=SEES),
            access("mia", held("auditor"), physician="dr-tran", allowed=SEES),
            access("ben", held("reception"), physician="dr-osei", allowed=SEES),
        ),
        built_in_roles=("administrator", "auditor", "owner"),
    )
    told = [(mark.letter, mark.name, mark.note) for mark in legend(marks_of(found))]
    assert told == [
        ("1", "auditor", "built in"), ("2", "reception", "of dr-osei" if by_user else "of this account"),
    ]  # fmt: skip
