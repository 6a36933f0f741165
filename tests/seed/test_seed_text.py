"""A policy is written back as the file that people keep: what stays the same stays as it is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.policy_text import BrokenPolicy, read_rows
from policy_service.seed import rewritten
from policy_service.vocabulary import Row
from tests.support.actions import Action
from tests.support.seeds import SEED

ROWS = read_rows(SEED, "seed")
_new = st.builds(
    lambda role, action, effect: Row(ptype="p", values=(f"role:{role}", "*", action, effect)),
    st.sampled_from(["financial_viewer", "administrator", "newcomer", "another"]),
    st.sampled_from([*map(str, Action), "*"]),
    st.sampled_from(["allow", "deny"]),
)
_grants = st.builds(
    lambda service, role: Row(ptype="g", values=(f"service:{service}", f"role:{role}", "system")),
    st.sampled_from(["ops", "billing", "new"]),
    st.sampled_from(["ops_caller", "auditor_caller"]),
)
_lines = st.one_of(
    st.sampled_from(["", "  ", "# one", "#two", " # three", "\t"]),
    st.sampled_from(ROWS).map(lambda row: ", ".join((row.ptype, *row.values))),
    st.sampled_from(ROWS).map(lambda row: ",".join((row.ptype, *row.values)) + "  "),
)


def without(*rows: str) -> set[Row]:
    gone = set(read_rows("\n".join(rows), "gone"))
    assert gone <= set(ROWS)
    return set(ROWS) - gone


def is_row(line: str) -> bool:
    return bool(read_rows(line, "line"))


def is_part(some: list[str], of: list[str]) -> bool:
    """Are these lines among the others, in their order?"""
    rest = iter(of)
    return all(line in rest for line in some)


def holds(text: str, wanted: set[Row]) -> None:
    """What must hold of any text and any rows."""
    written = rewritten(text, wanted)
    found = read_rows(written, "written")
    assert set(found) == wanted
    assert len(found) == len(wanted)
    old, new = text.split("\n"), written.split("\n")
    stayed = [line for line in old if is_row(line) and set(read_rows(line, "line")) <= wanted]
    added = [line for line in new if is_row(line) and not set(read_rows(line, "line")) <= set(read_rows(text, "text"))]
    kept_rows = [line for line in new if is_row(line) and line not in added]
    assert kept_rows == stayed
    # Nothing is made up but the new rows, and what was there is in its order.
    assert is_part([line for line in new if line not in added and line], old)
    assert rewritten(written, wanted) == written
    assert written == "" or written.endswith("\n")


def test_the_shipped_seed_comes_back_byte_for_byte():
    assert rewritten(SEED, ROWS) == SEED
    assert rewritten(SEED, reversed(ROWS)) == SEED


@given(st.sets(st.sampled_from(ROWS)), st.sets(st.one_of(_new, _grants), max_size=12))
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_for_is_what_is_written(some, more):
    holds(SEED, some | more)


@given(st.lists(_lines, max_size=14, unique_by=str.strip), st.booleans(), st.sets(st.one_of(_new, st.sampled_from(ROWS)), max_size=8))  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_it_holds_of_any_text(lines, ended, wanted):
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    try:
        read_rows(text, "text")
    except BrokenPolicy:
        with pytest.raises(BrokenPolicy):
            rewritten(text, wanted)
        return
    holds(text, wanted)


def test_comments_go_with_the_last_row_under_them_and_not_before():
    generate = "p, role:financial_viewer, *, report:generate, allow"
    details = "p, role:financial_viewer, *, report:patient_details, allow"
    view = "p, role:financial_viewer, *, claim:view, allow"
    remark = "an\n# action of its own, so that a custom role can give reports without it.\n"
    heading = '# financial_viewer: "View claims'
    one_less = rewritten(SEED, without(view))
    assert one_less == SEED.replace(f"{view}\n", "")
    both_gone = rewritten(SEED, without(view, generate))
    assert heading not in both_gone
    assert remark in both_gone
    pay, see = (f"p, role:financial_viewer, *, invoice:{what}, allow" for what in ("pay", "view"))
    assert remark in rewritten(SEED, without(details))
    assert remark not in rewritten(SEED, without(details, pay, see))


def test_a_new_row_stands_behind_its_role_and_a_new_role_at_the_end():
    deny = Row(ptype="p", values=("role:data_entry", "*", "invoice:view", "deny"))
    last = "p, role:data_entry, *, claim:delete, allow\n"
    assert rewritten(SEED, {*ROWS, deny}) == SEED.replace(last, f"{last}p, role:data_entry, *, invoice:view, deny\n")
    new = Row(ptype="p", values=("role:newcomer", "*", "invoice:view", "allow"))
    assert rewritten(SEED, {*ROWS, new}) == f"{SEED}p, role:newcomer, *, invoice:view, allow\n"
    # Of another domain: not behind the role's rows of every account.
    right = Row(ptype="p", values=("role:auditor_caller", "system", "SeedService/LintSeed", "allow"))
    verify = "p, role:auditor_caller, system, AuditService/VerifyLog, allow\n"
    assert rewritten(SEED, {*ROWS, right}) == SEED.replace(
        verify, f"{verify}p, role:auditor_caller, system, SeedService/LintSeed, allow\n"
    )


def test_nothing_that_was_there_may_stay():
    new = Row(ptype="p", values=("role:newcomer", "*", "invoice:view", "allow"))
    line = "p, role:newcomer, *, invoice:view, allow\n"
    assert rewritten("p, role:owner, *, *, allow\n", {new}) == line
    assert rewritten("", {new}) == line
    assert rewritten("", ()) == ""
    assert rewritten("# why\np, role:owner, *, *, allow\n", ()) == ""
    assert rewritten("# a file\n\n# why\np, role:owner, *, *, allow\n", {new}) == f"# a file\n\n{line}"


def test_lines_keep_their_own_ends_and_spaces():
    text = "p,role:owner ,*,*,allow\r\n"
    assert rewritten(text, read_rows(text, "text")) == text


def test_a_text_that_cannot_be_read_is_refused_with_the_line_at_fault():
    with pytest.raises(BrokenPolicy) as refused:
        rewritten("# fine\np, role:owner, *, *, allow\nP, x\n", ROWS)
    assert [fault.line for fault in refused.value.faults] == [3]
    with pytest.raises(BrokenPolicy) as refused:
        rewritten("p, role:owner, *, *, allow\np, role:owner, *, *, allow\n", ROWS)
    assert [fault.line for fault in refused.value.faults] == [2]
