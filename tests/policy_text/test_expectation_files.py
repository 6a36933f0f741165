"""Expectation files are read whole, or refused whole with every line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.policy_text import BrokenPolicy, CallerQuestion, UserQuestion, read_expectations
from policy_service.settings import policies_dir
from tests.support.actions import Action

GOOD = """\
# A clinic.
world:
  - g, user:ann, role:owner, physician:dr-a
  - g, user:bea, role:data_entry, physician:dr-a
expect:
  - why: The account is hers.
    user: ann
    physician: dr-a
    allowed: "*"
  - why: Claims only.
    users: [bea]
    physicians:
      - dr-a
      - dr-b
    channels: [web, mobile]
    allowed: [claim:view, claim:save]
  - why: Billing asks.
    caller: billing
    allowed:
      - DecisionService/Check
"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "some.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def faults(path):
    with pytest.raises(BrokenPolicy) as refused:
        read_expectations(path)
    assert all(line.startswith(f"{path}:") for line in str(refused.value).splitlines())
    return [(fault.line, fault.text) for fault in refused.value.faults]


@pytest.mark.parametrize("path", sorted((policies_dir() / "tests").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_files_are_sound(path):
    assert read_expectations(path).expectations


def test_a_file_knows_its_expectations_lines(write):
    found = read_expectations(write(GOOD))
    assert [line for line, _ in found.expectations] == [6, 10, 17]
    assert [row.values[0] for row in found.world] == ["user:ann", "user:bea"]


def test_what_is_not_allowed_is_expected_to_be_denied(write):
    (_, owner), (_, entry), (_, caller) = read_expectations(write(GOOD)).expectations
    assert [allowed for _, allowed in owner.questions(list(Action))] == [True] * len(Action)
    asked = list(entry.questions(list(Action)))
    assert len(asked) == 2 * 2 * len(Action)
    assert {question.action for question, allowed in asked if allowed} == {"claim:view", "claim:save"}
    assert isinstance(asked[0][0], UserQuestion)
    assert list(caller.questions(["DecisionService/Explain"])) == [
        (CallerQuestion(caller="billing", method="DecisionService/Explain"), False),
        (CallerQuestion(caller="billing", method="DecisionService/Check"), True),
    ]


def test_names_are_text_whatever_yaml_would_make_of_them(write):
    path = write(GOOD.replace("users: [bea]", "users: [1001, no, 2024-01-01, 007, null]"))
    questions = read_expectations(path).expectations[1][1].questions(list(Action))
    assert {question.user for question, _ in questions} == {"1001", "no", "2024-01-01", "007", "null"}


@pytest.mark.parametrize(
    ("sound", "faulty", "line", "words"),
    [
        ("user: ann", "user: an*n", 7, "user: 'an*n' is not 1 to 64 of"),
        ("user: ann", "user: role:owner", 7, "user: 'role:owner' is not 1 to 64 of"),
        ("user: ann", "user: ''", 7, "user: '' is empty"),
        ("    user: ann\n", "", 6, "give either user or users"),
        ("user: ann", "user: ann\n    users: [bea]", 6, "give either user or users"),
        ("user: ann", "usr: ann", 7, "usr: is not a key"),
        ("user: ann", "line: 3\n    user: ann", 7, "line: is not a key"),
        ("user: ann", "user: [ann]", 7, "user: is not text"),
        ("user: ann", "user: ann\n    user: bea", 8, "user stands twice"),
        ("users: [bea]", "users: [bea, 'b b']", 11, "users: 'b b' is not 1 to 64 of"),
        ("      - dr-b", "      - dr*", 14, "physicians: 'dr*' is not 1 to 64 of"),
        ("[web, mobile]", "[web, fax]", 15, "channels: Input should be 'web' or 'mobile'"),
        ("[web, mobile]", "[]", 15, "channels: is empty"),
        ("[claim:view, claim:save]", "[claim:view, submit]", 16, "allowed: 'submit' is not two words"),
        ("[claim:view, claim:save]", "[claim:view, '*']", 16, "allowed: '*' is not two words"),
        ("[claim:view, claim:save]", "claim:view", 16, "allowed: is not a list"),
        ("    allowed: [claim:view, claim:save]\n", "", 10, "allowed: is missing"),
        ("why: Claims only.", "why: ''", 10, "why: is empty"),
        ("why: Claims only.", r'why: "\ud800"', 10, "why: is not text"),
        ("caller: billing", "caller: service:billing", 18, "caller: 'service:billing' is not 1 to 64 of"),
        ("caller: billing", "caller: billing\n    callers: [local]", 17, "give either caller or callers"),
        ("caller: billing", "caller: billing\n    physician: dr-a", 19, "physician: is not a key"),
        ("- DecisionService/Check", "- Check", 20, "allowed: 'Check' is not Service/Method"),
        ("    allowed:\n      - DecisionService/Check", '    allowed: "*"', 19, "allowed: is not a list"),
        ("expect:", "live: true\nexpect:", 2, "it has no world"),
        ("# A clinic.", "live: perhaps", 1, "live: Input should be a valid boolean"),
        ("# A clinic.", "colour: red", 1, "colour: is not a key"),
        ("role:data_entry", "role:data entry", 4, "'role:data entry' is not role:NAME"),
        ("user:bea, role:data_entry", "user:ann, role:owner", 4, "the same row stands in line 3"),
        ("g, user:bea, role:data_entry, physician:dr-a", "p, role:x, '*', claim:view, allow", 4, "is not *, system"),
        ("g, user:bea, role:data_entry, physician:dr-a", "p, role:x, *, claim:view, allow", 4, "not those of domain *"),
        (
            "g, user:bea, role:data_entry, physician:dr-a",
            "g, service:x, role:y, system",
            4,
            "not those of domain system",
        ),
        ("  - g, user:bea", "  - # nobody\n  - g, user:bea", 4, "world: one row is to stand here, not 0"),
        ("  - g, user:bea", "  - [g, user:bea]\n  - g, user:bea", 4, "world: is not text"),
        ("expect:\n", "expect:\n  - ann\n", 6, "expect: is not a mapping"),
        ("user: ann", "user: {ann", 8, "is not YAML"),
        ("user: ann", "user: a\x07n", 7, "is not YAML: special characters are not allowed"),
        ("user: ann", "? [ann]\n    : bea", 7, "is not YAML: found unhashable key"),
        ("      - DecisionService/Check\n", "      - DecisionService/Check\n---\n", 21, "but found another document"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(write, sound, faulty, line, words):
    assert GOOD.count(sound) == 1
    named = faults(write(GOOD.replace(sound, faulty)))
    assert any(number == line and words in text for number, text in named), named


def test_every_fault_is_named_at_once(write):
    broken = GOOD.replace("user: ann", "user: '*'").replace("claim:save", "save").replace("billing", "b b")
    assert [line for line, _ in faults(write(broken))] == [7, 16, 18]
    world = GOOD.replace("role:owner", "owner").replace("role:data_entry", "data_entry")
    assert [line for line, _ in faults(write(world))] == [3, 4]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "expect:", "expect: []", "text", "world: []\nexpect: 1\n"])
def test_a_file_that_expects_nothing_is_refused(write, text):
    assert len(faults(write(text))) == 1


def test_a_world_that_was_forgotten_is_refused(write):
    """Else everybody would be denied, and an expectation of denials would hold for nothing."""
    text = "expect:\n  - {why: Nothing., user: ann, physician: dr-a, allowed: []}\n"
    assert faults(write(text)) == [(1, "without a world nobody is in it: give world or include, or say live: true")]
    assert read_expectations(write(f"live: true\n{text}")).live


def test_callers_need_no_world_and_are_no_accounts_at_the_service(write):
    text = "expect:\n  - {why: It asks., caller: billing, allowed: []}\n"
    assert read_expectations(write(text)).world == ()
    assert "callers' rights are in the seed" in faults(write(f"live: true\n{text}"))[0][1]


def test_what_is_no_file_or_no_text_is_refused(tmp_path):
    assert "cannot be read" in faults(tmp_path / "none.yaml")[0][1]
    assert "cannot be read" in faults(tmp_path)[0][1]
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in faults(tmp_path / "bytes.yaml")[0][1]
    (tmp_path / "deep.yaml").write_text("[" * 20_000)
    assert faults(tmp_path / "deep.yaml") == [(1, "is nested too deeply")]
    (tmp_path / "round.yaml").write_text("expect: &a [*a]")
    assert "recursive" in faults(tmp_path / "round.yaml")[0][1]


def test_an_included_file_that_is_not_there_is_named(write, tmp_path):
    with pytest.raises(BrokenPolicy, match="cannot be read") as refused:
        read_expectations(write(f"include: [none.csv]\n{GOOD}"))
    assert refused.value.name == str(tmp_path / "none.csv")


def test_an_included_file_is_read_beside_the_file_that_names_it(tmp_path, write):
    (tmp_path / "accounts.csv").write_text("g, user:cleo, role:owner, physician:dr-c\n")
    rows = read_expectations(write(f"include: [accounts.csv]\n{GOOD}")).world
    assert [row.values[0] for row in rows] == ["user:cleo", "user:ann", "user:bea"]
    (tmp_path / "accounts.csv").write_text("p, role:owner, *, *, allow\n")
    assert faults(write(f"include: [accounts.csv]\n{GOOD}"))[0][0] == 1


@given(st.text(alphabet=st.sampled_from("expct: [],{}-\n&*a!'\"#?|<0\tworldivesu"), max_size=60))
def test_any_text_is_read_or_refused_by_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        read_expectations(path)
    except BrokenPolicy as refused:
        assert all(1 <= fault.line <= text.count("\n") + 1 for fault in refused.faults)
