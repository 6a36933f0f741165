"""Identifiers: what is a name, and what is refused before anything else sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.errors import InvalidRequest
from policy_service.vocabulary import parse_action, parse_physician, parse_role, parse_user, row_fault

BAD_NAMES = [
    "",
    " ",
    "a" * 65,
    "*",
    "1001*",
    "dr-*",
    "a b",
    "a\tb",
    "a\nb",
    "a,b",
    "a;b",
    "a|b",
    "a/b",
    "a\\b",
    "a:b",
    "user:ann",
    "role:administrator",
    'a"b',
    "a'b",
    "a#b",
    "[a]",
    "a(b)",
    "a\x00b",
    "a\x1b[31m",
    "-a",
    ".a",
    "é",
    "ſam",  # long s, folds to s
    "\u212aate",  # Kelvin sign, folds to k
    "ıvan",  # dotless i
    "ａnn",  # full width
    "ann\u200b",  # zero width space
    "ann\n",
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("parse", [parse_user, parse_physician, parse_role])
def test_a_name_outside_the_grammar_is_refused_by_field(parse, name):
    with pytest.raises(InvalidRequest) as refused:
        parse(name)
    (violation,) = refused.value.violations
    assert violation.field in ("user", "physician", "role")
    assert not name.strip() or name not in violation.description  # raw input is never echoed


@pytest.mark.parametrize(
    "text", ["", "claim", "claim:", ":view", "a:b:c", "Claim:view", "claim:*", "*", "claim: view", "a" * 64 + ":b"]
)
def test_an_action_outside_the_grammar_is_refused(text):
    with pytest.raises(InvalidRequest, match="action"):
        parse_action(text)


@pytest.mark.parametrize("name", ["ann", "Ann", "0", "a" * 64, "ann.b-c_d@e.org", "a+b"])
def test_a_username_within_the_grammar_is_taken_as_it_is(name):
    assert parse_user(name) == name


def test_an_action_is_read_whether_there_is_one_or_not():
    assert parse_action("claim:frame") == "claim:frame"
    with pytest.raises(InvalidRequest):
        parse_action("claim")


@given(st.text())
def test_whatever_is_taken_has_no_separator_and_no_pattern(text):
    for parse in (parse_user, parse_physician, parse_role):
        try:
            name = parse(text)
        except InvalidRequest:
            continue
        assert name.isascii()
        assert not set(name) & set("*?[](){}|/\\:,;#\"' \t\r\n$^&%")


@pytest.mark.parametrize(
    ("ptype", "values", "word"),
    [
        ("p", ("role:a", "*", "claim:view"), "4 fields"),
        ("p", ("role:a", "*", "claim:view", "allow", "x"), "4 fields"),
        ("p", ("role:a", "*", "claim:view", "alow"), "effect"),
        ("p", ("role:a", "*", "claim submit", "allow"), "not an action"),
        ("p", ("a", "*", "claim:view", "allow"), "role:NAME"),
        ("p", ("user:mallory", "*", "claim:view", "allow"), "role:NAME"),
        ("p", ("service:a", "*", "claim:view", "allow"), "role:NAME"),
        ("p", ("role:*", "*", "claim:view", "allow"), "role:NAME"),
        ("p", ("role:a", "physician:1001*", "claim:view", "allow"), "physician:NAME"),
        ("p", ("role:a", "physician:dr", "*", "allow"), "built-in rules only"),
        ("p", ("role:a", "system", "claim:view", "allow"), "Service/Method"),
        ("g", ("user:a", "role:b"), "3 fields"),
        ("g", ("user:a", "role:b", "*"), "one domain"),
        ("g", ("user:a", "user:b", "physician:x"), "role:NAME"),
        ("g", ("service:a", "role:b", "physician:x"), "user:NAME"),
        ("g", ("user:a", "role:b", "system"), "service:NAME"),
        ("P", ("role:a", "*", "claim:view", "allow"), "none of p, g and a"),
        ("p2", (), "none of p, g and a"),
    ],
)
def test_a_row_is_refused_with_what_is_wrong(ptype, values, word):
    assert word in str(row_fault(ptype, values))
