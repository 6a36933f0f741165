"""Policy files are read whole, or refused whole with every line."""

import casbin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_service.policy_text import BrokenPolicy, read_file, read_rows, read_seed
from policy_service.settings import policies_dir

SEED = (policies_dir() / "seed.csv").read_text()


def test_the_shipped_files_are_sound():
    assert len(read_seed(policies_dir() / "seed.csv")) > 20
    assert len(read_file(policies_dir() / "demo.csv")) > 10


@pytest.mark.parametrize(
    "line",
    [
        "P, role:data_entry, *, claim:view, allow",
        "p, role:data_entry, *, claim:view",
        "p, role:data_entry, *, claim:view, allow, more",
        "p, role:data_entry, *, claim:sumbit, allow",
        "p, role:data_entry, *, claim:view, alow",
        "p, role:data_entry, *, claim:view, Allow",
        'p, "role:data_entry", *, claim:view, allow',
        "p, role:data_entry*, *, claim:view, allow",
        "p, role:data_entry, 1001*, claim:view, allow",
        "p, role:data_entry, *, claim:*, allow",
        "p; role:data_entry; *; claim:view; allow",
        "g, user:ann, role:owner, *",
        "g, user:ann, role:owner",
        "p, , *, claim:view, allow",
        "p, role:x, *, claim:view, allow # why",
        "p, role:ｘ, *, claim:view, allow",
        "\ufeffp, role:x, *, claim:view, allow",
        "p, role:x\u2028, *, claim:view, allow",
        "p, role:x, *, claim:view, allow\x00",
        "rule",
        ",,,,",
        "p, role:data_entry, *, claim:view, allow",  # stands in the file already
        "g, user:ann, role:data_entry, physician:dr-osei",  # a physician's row
        "p, role:desk, physician:dr-osei, claim:view, allow",
    ],
)
def test_one_broken_line_refuses_the_seed_and_is_named(tmp_path, line):
    path = tmp_path / "seed.csv"
    path.write_text(f"{SEED}\n{line}\n")
    with pytest.raises(BrokenPolicy) as refused:
        read_seed(path)
    assert [fault.line for fault in refused.value.faults] == [SEED.count("\n") + 2]
    assert str(refused.value).startswith(f"{path}:{SEED.count(chr(10)) + 2}: ")


def test_every_broken_line_is_named_at_once():
    with pytest.raises(BrokenPolicy) as refused:
        read_rows("x\np, role:a, *, claim:view, allow\ny\n\nz", "f")
    assert [fault.line for fault in refused.value.faults] == [1, 3, 5]


@pytest.mark.parametrize("text", ["", "# nothing\n", SEED.replace("role:owner", "role:boss")])
def test_a_seed_without_the_owners_rule_is_refused(tmp_path, text):
    path = tmp_path / "seed.csv"
    path.write_text(text)
    with pytest.raises(BrokenPolicy, match="owner's rule"):
        read_seed(path)


def test_a_seed_may_give_up_another_built_in_role(tmp_path):
    """Applying it has a guard of its own; ``seed lint`` warns."""
    path = tmp_path / "seed.csv"
    path.write_text(SEED.replace("role:administrator", "role:manager"))
    assert not [row for row in read_seed(path) if row.values[0] == "role:administrator"]


def test_a_seed_whose_owner_lost_rights_is_refused(tmp_path):
    path = tmp_path / "seed.csv"
    path.write_text(SEED.replace("p, role:owner, *, *, allow", "p, role:owner, *, claim:view, allow"))
    with pytest.raises(BrokenPolicy, match="owner's rule"):
        read_seed(path)


def test_a_seed_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "seed.csv"
    path.write_bytes(b"\xff\xfe\x00p")
    with pytest.raises(BrokenPolicy, match="cannot be read"):
        read_seed(path)


@given(st.text(alphabet=st.sampled_from('pg, roleuser:*#\n\r"[]a:claim:viewallow\u2028\x0b'), max_size=80))
def test_any_text_is_read_or_refused_by_line(text):
    try:
        rows = read_rows(text, "f")
    except BrokenPolicy as refused:
        assert all(1 <= fault.line <= text.count("\n") + 1 for fault in refused.faults)
    else:
        assert len(rows) <= text.count("\n") + 1


def test_the_plain_library_drops_a_row_of_the_wrong_case_without_a_word(tmp_path):
    """Why the file is read by our own stricter reader."""
    path = tmp_path / "policy.csv"
    path.write_text("p, role:a, *, claim:view, allow\nP, role:a, *, claim:save, allow\n")
    enforcer = casbin.Enforcer(str(policies_dir() / "model.conf"), str(path))
    assert enforcer.get_policy() == [["role:a", "*", "claim:view", "allow"]]
