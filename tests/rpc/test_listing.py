"""Pages: complete, of one list, and never of a forged token."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.errors import InvalidRequest
from policy_service.rpc import Cursors
from policy_service.rpc.errors import ListChanged
from policy_service.rpc.listing import MOST_ITEMS
from policy_service.rpc.listing import page as page_under

pytestmark = pytest.mark.over_tls

CURSORS = Cursors(b"k" * 32)


def page(items, **asked):
    return page_under(items, cursors=CURSORS, **asked)


def walk(items, size, question=("q",), revision=7):
    found, token = [], ""
    while True:
        got = page(items, question=question, revision=revision, size=size, token=token)
        found += got.items
        if not (token := got.next_token):
            return found


@given(st.lists(st.text(max_size=5), max_size=40), st.integers(min_value=1, max_value=50))
def test_pages_together_are_the_list(items, size):
    assert walk(items, size) == items


def test_no_page_is_longer_than_the_most():
    assert len(page(range(5000), question=(), revision=1, size=0, token="").items) == MOST_ITEMS
    assert len(page(range(5000), question=(), revision=1, size=4000, token="").items) == MOST_ITEMS


def first_token():
    return page(list("abcdef"), question=("q",), revision=7, size=2, token="").next_token


def test_a_later_page_names_the_first_ones_revision_though_other_things_changed():
    assert page(list("abcdef"), question=("q",), revision=9, size=2, token=first_token()).revision == 7


@pytest.mark.parametrize("items", ["abcdeX", "abcde", "", "fedcba"])
def test_a_page_of_a_list_that_changed_is_refused(items):
    with pytest.raises(ListChanged):
        page(list(items), question=("q",), revision=7, size=2, token=first_token())


def test_a_token_of_another_question_or_another_installation_is_no_token():
    for question, cursors in ((("other",), CURSORS), (("q",), Cursors(b"o" * 32))):
        with pytest.raises(InvalidRequest) as refused:
            page_under(list("abcdef"), cursors=cursors, question=question, revision=7, size=2, token=first_token())
        assert [at.field for at in refused.value.violations] == ["page_token"]


def test_every_altered_token_is_refused():
    raw = base64.urlsafe_b64decode(first_token())
    for place in range(len(raw)):
        for bit in range(8):
            forged = bytearray(raw)
            forged[place] ^= 1 << bit
            token = base64.urlsafe_b64encode(bytes(forged)).decode()
            with pytest.raises(InvalidRequest):
                page(list("abcdef"), question=("q",), revision=7, size=2, token=token)


@given(st.text())
def test_any_text_for_a_token_is_refused_and_nothing_else(token):
    if token and token != first_token():
        with pytest.raises(InvalidRequest):
            page(list("abcdef"), question=("q",), revision=7, size=2, token=token)
