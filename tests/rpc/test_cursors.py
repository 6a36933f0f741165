"""Page tokens: what was written is read, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.errors import InvalidRequest
from policy_service.members.tokens import TokenKey
from policy_service.rpc import Cursors

KEY = TokenKey(bytes(range(32)))
CURSORS = Cursors(KEY.derived("page tokens"))
places = st.lists(st.integers() | st.text(), max_size=5)


@given(question=st.binary(max_size=50), place=places)
def test_a_place_comes_back_as_it_was(question, place):
    assert CURSORS.read(question, CURSORS.write(question, place)) == place


@given(question=st.binary(max_size=50), other=st.binary(max_size=50), place=places)
def test_a_token_belongs_to_one_question(question, other, place):
    if question != other:
        with pytest.raises(InvalidRequest):
            CURSORS.read(other, CURSORS.write(question, place))


@given(token=st.text(max_size=200))
def test_no_text_is_a_token_by_chance(token):
    with pytest.raises(InvalidRequest):
        CURSORS.read(b"question", token)


@given(place=places, at=st.integers(min_value=0), other=st.characters())
def test_a_changed_token_is_none(place, at, other):
    token = CURSORS.write(b"question", place)
    at %= len(token)
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(InvalidRequest):
            CURSORS.read(b"question", changed)


def test_bytes_moved_from_question_to_place_make_another_token():
    token = CURSORS.write(b"question", ["a"])
    for question in (b"questio", b'question["a"]', b""):
        with pytest.raises(InvalidRequest):
            CURSORS.read(question, token)


def test_keys_of_two_purposes_and_of_two_services_differ():
    assert len({KEY.derived("a"), KEY.derived("b"), TokenKey(bytes(32)).derived("a")}) == 3
    assert len(KEY.derived("a")) == 32
