"""The secrets in invitation links, by themselves."""

import pytest

from policy_service.members.errors import InvalidToken
from policy_service.members.tokens import TokenKey, hash_of

KEY = TokenKey(bytes(range(32)))


def test_no_token_looks_like_an_option():
    tokens = [KEY.token(f"inv-{number}", 1) for number in range(2_000)]
    assert {token[0] for token in tokens} >= {"_", "A", "9"}
    assert not any(token.startswith("-") for token in tokens)
    assert len(set(tokens)) == len(tokens)
    # Each is one by all the rules.
    assert all(KEY.made(hash_of(token), f"inv-{number}", 1) for number, token in enumerate(tokens))


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "ü" * 43, "a" * 43 + "\n"])
def test_what_cannot_be_a_token_is_refused(text):
    with pytest.raises(InvalidToken):
        hash_of(text)
