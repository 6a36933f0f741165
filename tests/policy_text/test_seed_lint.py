"""One lint judges every seed: each fault has its place, its code and a way to mend it, and none gets through."""

import random
import string
import time
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy_service.policy_text import CODES, BrokenPolicy, Level, lint, read_seed, seed_rows
from policy_service.policy_text.lint import MOST_LINES, Code
from policy_service.rpc import contract_methods
from policy_service.vocabulary import MOST_ACTIONS
from tests.support.actions import ACTION_ROWS, Action
from tests.support.seeds import SEED, SEED_FILE, broken_seeds, hold_promises

ERRORS, WARNINGS = broken_seeds("errors"), broken_seeds("warnings")
each_error = pytest.mark.parametrize("case", ERRORS, ids=lambda case: case.why)
each_warning = pytest.mark.parametrize("case", WARNINGS, ids=lambda case: case.why)


def found_in(text: str, level: Level) -> list[tuple[str, int, int, int]]:
    return [
        (each.code, each.line, each.column, each.end_column)
        for each in lint(text, methods=contract_methods()).findings
        if each.level is level
    ]


def test_the_shipped_seed_is_sound_without_a_warning():
    linted = lint(SEED, methods=contract_methods())
    assert linted.findings == ()
    assert linted.rows == read_seed(SEED_FILE)
    lines = SEED.split("\n")
    assert all(lines[linted.lines[row] - 1] == ", ".join((row.ptype, *row.values)) for row in linted.rows)


def test_the_corpus_has_every_code_and_faults_enough():
    assert len({case.text for case in ERRORS}) >= 60
    # These need more than a changed line; they have tests of their own.
    elsewhere = {
        "byte-order-mark",
        "line-too-long",
        "too-large",
        "too-many",
        "empty-role",
        "no-mender",
        "no-actions",
        "no-channel",
        "too-many-actions",
    }
    assert {code for case in ERRORS + WARNINGS for code, *_ in case.found} | elsewhere == set(Code) == set(CODES)


@each_error
def test_a_broken_seed_is_refused_whole_with_its_line(tmp_path, case):
    assert found_in(case.text, Level.ERROR) == case.found
    path = tmp_path / "seed.csv"
    path.write_bytes(case.text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BrokenPolicy) as refused:
        read_seed(path, methods=contract_methods())
    assert [fault.line for fault in refused.value.faults] == [line for _, line, *_ in case.found]
    with pytest.raises(BrokenPolicy):
        seed_rows(case.text, "wire", methods=contract_methods())


@each_warning
def test_a_warning_refuses_nothing(case):
    assert found_in(case.text, Level.WARNING) == case.found
    assert seed_rows(case.text, "wire", methods=contract_methods()) == lint(case.text).rows


@pytest.mark.parametrize("case", ERRORS + WARNINGS, ids=lambda case: case.why)
def test_every_finding_says_how_to_mend_it(case):
    findings = lint(case.text, methods=contract_methods()).findings
    assert all(each.text and each.hint for each in findings)
    assert any(case.hint in each.hint for each in findings if each.code == case.found[0][0])
    assert all(each.text.isprintable() and each.hint.isprintable() for each in findings)


def test_all_faults_are_found_at_once():
    text = "".join(case.text.removeprefix(SEED) for case in ERRORS if case.text.startswith(SEED))
    found = found_in(SEED + text, Level.ERROR)
    assert len(found) >= 60
    assert {code for code, *_ in found} >= {"row-type", "effect", "action", "contradiction", "role-cycle", "not-utf8"}
    assert found == sorted(found, key=lambda each: each[1:])


# What no changed line can show.


def test_a_byte_order_mark_is_found_and_nothing_else():
    assert found_in("\ufeff" + SEED, Level.ERROR) == [("byte-order-mark", 1, 1, 2)]


def test_line_ends_of_windows_are_sound():
    assert lint(SEED.replace("\n", "\r\n")).findings == ()
    assert lint(SEED.replace("\n", "\r\n")).rows == lint(SEED).rows
    assert lint(SEED.removesuffix("\n")).findings == ()


def test_a_row_without_its_line_end_is_too_long_and_a_comment_may_be_long():
    last = SEED.count("\n") + 1
    assert found_in(f"{SEED}p, role:x, *, claim:view,{' ' * 2000}allow\n", Level.ERROR) == [
        ("line-too-long", last, 1, 2031)
    ]
    assert found_in(f"{SEED}# {'why ' * 2000}\n", Level.ERROR) == []


def test_a_seed_may_quote_any_language_in_comments():
    assert lint(f"{SEED}# Dr. Günther, Dr. Łukasz, 王医生 👩‍⚕️\xa0\tØ\n").findings == ()


def test_a_seed_larger_than_any_is_not_judged(tmp_path):
    path = tmp_path / "seed.csv"
    for text in (SEED + "#\n" * MOST_LINES, SEED + "#" * (512 << 10), "\U0001f600" * (1 << 18)):
        assert found_in(text, Level.ERROR) == [("too-large", 1, 1, 1)]
        path.write_text(text)
        with pytest.raises(BrokenPolicy, match="larger than a seed can be"):
            read_seed(path)


def test_after_a_thousand_findings_the_rest_is_not_judged():
    found = found_in("x\n" * 4_000, Level.ERROR)
    assert len(found) == 1_001 + 2
    assert {code for code, *_ in found[:2]} == {"no-actions", "owner-rule"}
    assert found[-1][:2] == ("too-many", 1_001)


def without(*actions: str) -> str:
    """The seed without these actions' rows."""
    return "".join(f"{line}\n" for line in SEED.split("\n") if not line.startswith(tuple(f"a, {a}," for a in actions)))


def test_a_seed_without_actions_is_refused():
    text = without(*(row.values[0] for row in ACTION_ROWS))
    assert ("no-actions", 1, 1, 1) in found_in(text, Level.ERROR)


def test_a_mobile_app_that_nothing_opens_is_a_warning():
    assert found_in(SEED.replace(" opens=mobile", ""), Level.WARNING) == [("no-channel", 1, 1, 1)]


def test_what_nothing_guards_is_an_error_and_names_it():
    text = SEED.replace(" guards=InviteUser", "")
    (found,) = (each for each in lint(text).findings if each.level is Level.ERROR)
    assert (found.code, found.line) == ("guard", 1)
    assert "InviteUser" in found.text
    assert "guards=InviteUser" in found.hint


def test_there_are_as_many_actions_as_may_be():
    more = "".join(f"a, more:a{n}, {n + 1_000} more, *, More | And more. | owner-only\n" for n in range(MOST_ACTIONS))
    assert [code for code, *_ in found_in(SEED + more, Level.ERROR)] == ["too-many-actions"]


def test_rules_about_an_action_that_left_are_errors_each_at_its_line():
    text = without("invoice:pay")
    lines = text.split("\n")
    found = found_in(text, Level.ERROR)
    assert [code for code, *_ in found] == ["action"] * 2
    assert all("invoice:pay" in lines[line - 1] for _, line, *_ in found)


def test_a_built_in_role_without_rules_is_a_warning():
    assert found_in(SEED.replace("role:administrator", "role:manager"), Level.WARNING) == [("empty-role", 1, 1, 1)]


def test_a_seed_that_no_caller_could_mend_is_a_warning():
    text = "\n".join(line for line in SEED.split("\n") if ", system" not in line)
    text += "g, service:billing, role:decision_caller, system\n"
    text += "p, role:decision_caller, system, SeedService/PlanSeed, allow\n"
    mending = "p, role:{}, system, SeedService/ApplySeed, {}\n"
    where = text.count("\n")

    def warned(added: str) -> list[tuple[str, int]]:
        return [(each.code, each.line) for each in lint(text + added).findings]

    assert warned("") == [("no-mender", where)]
    assert warned(mending.format("decision_caller", "allow")) == []
    assert warned(mending.format("decision_caller", "deny")) == [("no-mender", where)]
    assert warned(mending.format("ops", "allow")) == [("no-mender", where), ("unheld-role", where + 1)]
    held = mending.format("ops", "allow") + "g, role:admins, role:ops, system\ng, service:ops, role:admins, system\n"
    assert warned(held) == []


def test_only_a_seed_for_invited_users_needs_what_they_may_hold():
    alone = "".join(f"{', '.join((row.ptype, *row.values))}\n" for row in ACTION_ROWS) + "p, role:owner, *, *, allow\n"
    found = {each.code: each.text for each in lint(alone).findings}
    assert found.keys() == {"empty-role", "owner-alone", "no-mender"}
    assert all(action in found[Code.OWNER_ALONE] for action in ("claim:view", "user:list"))
    assert "user:invite" not in found[Code.OWNER_ALONE]


def test_an_owner_who_may_nothing_is_refused():
    found = found_in(f"{SEED}p, role:owner, *, *, deny\n", Level.ERROR)
    assert {code for code, *_ in found} == {"owner-denied", "contradiction"}
    assert {line for _, line, *_ in found} == {SEED.count("\n") + 1}


def test_what_is_missed_may_stand_in_a_line_that_cannot_be_read():
    text = SEED.replace("p, role:owner, *, *, allow", "p, role:owner, *, *, alow")
    assert [each.code for each in lint(text).findings] == ["effect"]


def test_a_name_like_a_built_in_one_is_told_whatever_else_cannot_be_read():
    text = f"{SEED}p, role:data_enty, *, claim:view, allow\n"
    for broken in ("", "p, role:owner, *, claim:view, alow\n"):
        assert [code for code, *_ in found_in(text + broken, Level.WARNING)] == ["similar-role"]


def test_an_unknown_method_is_an_error_only_for_those_who_know_the_contract():
    text = f"{SEED}p, role:decision_caller, system, FutureService/Get, allow\n"
    assert lint(text).findings == ()
    assert [each.code for each in lint(text, methods=contract_methods()).findings] == ["method"]
    assert "DecisionService/Check" in contract_methods()


def test_a_circle_through_a_chain_longer_than_the_stack_is_found():
    links = [f"g, role:r{n}, role:r{n + 1}, system\n" for n in range(4_000)]
    text = SEED + "".join(links) + "g, role:r4000, role:r0, system\n"
    assert [code for code, *_ in found_in(text, Level.ERROR)].count("role-cycle") == 1


# Any text at all.

WORDS = ["p", "g", "P", ",", ", ", "\n", "\r\n", "#", "*", "allow", "deny", "system", "role:", "role:owner", "role:a"]
WORDS += [
    "service:x",
    "user:u",
    "physician:d",
    "\t",
    '"',
    ";",
    "\0",
    "\ufeff",
    "\udcff",
    "\u2028",
    "ｐ",
    "DecisionService/Check",
]
WORDS += list(Action)
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=200) | st.lists(
    st.sampled_from(WORDS), max_size=60
).map("".join)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The shipped seed after a few cuts, insertions and moves."""
    text = SEED
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        put = draw(st.just("") | st.sampled_from(WORDS) | st.text(max_size=8) | st.just(text[start:end] * 2))
        text = text[:start] + put + text[end:]
    return text


@settings(max_examples=300, deadline=None)
@given(anything | mutated(), st.none() | st.just(contract_methods()))
@example("", None)
@example("\ud800", None)
@example("p,,,,", None)
@example("g,role:a,role:a,system", None)
@example("a, \u200bx:y, 1 x, *, X | X\np, role:a, *, q:r, allow", None)
def test_any_text_is_judged_and_taken_only_without_errors(text, methods):
    hold_promises(text, methods)


@pytest.mark.parametrize(
    "line",
    [
        "p, role:x{n}, *, claim:vie{n}, allow",
        "g, role:x{n}, role:y{n}, system",
        "g, service:x, role:y{n}, system",
        "g, role:r{n}, role:r{back}, system",
        "g, role:x{n}, role:hub, system\ng, role:hub, role:y{n}, system",
        "p, role:x{n}, system, A/B, allow\ng, role:a, role:x{n}, system",
        "p, role:a, system, {word}, allow\ng, role:a, role:x{n}, system",
        "{word}",
        "p, {word}, {word}, {word}, {word}",
        "g, role:r{n}, role:r{next}, system\ng, service:s{n}, role:r0, system",
        "g, role:r0, role:q{n}, system\np, role:q{n}, system, DecisionService/Check, allow\ng, service:s{n}, role:r0, system",
        "p, role:known{n}, system, DecisionService/Check, allow\ng, service:s{n}, role:knownx{n}, system",
    ],
)
def test_no_text_takes_long(line):
    """The lint runs for whoever may call LintSeed. Measured: at most 2.5 s of CPU."""
    chance = random.Random(1)
    made = (
        line.format(n=n, next=n + 1, back=n // 2, word="".join(chance.choices(string.ascii_letters + ":*/_", k=40)))
        for n in range(MOST_LINES - 100)
    )
    made = chain(["p, role:r0, system, SeedService/LintSeed, allow"], made)
    text = "\n".join("\n".join(made).split("\n")[: MOST_LINES - 100])[: 1 << 20]
    begun = time.thread_time()
    lint(text, methods=contract_methods())
    assert time.thread_time() - begun < 8
