"""Which names could be taken for each other."""

import pytest

from policy_service.names import alike, collisions


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
