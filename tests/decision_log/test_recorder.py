"""The near end of the decision log: on disk before it is answered, bounded, and honest about what it lost."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from policy_service.decision_log import DecisionLog, spool
from policy_service.decision_log.leftovers import left_behind
from policy_service.errors import StartError
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import DecisionLogMode, Outcome, Reason, Role

ALLOWED = Outcome(allowed=True, reason=Reason.GRANTED, role=Role("data_entry"))
DENIED = Outcome(allowed=False, reason=Reason.NOT_A_MEMBER)
ASKED = pb.CheckRequest(
    user="mia", physician="dr-osei", action="claim:submit", resource="claim\\9\\t", correlation_id="r-1"
)


def opened(folder: Path, replica: str = "abc", mode: DecisionLogMode = DecisionLogMode.ALL, most: int = 1 << 30):
    return DecisionLog(folder, replica, mode=mode, most_bytes=most)


def lines(log: DecisionLog) -> list[list[str]]:
    text = b"".join(segment.waiting() for segment in log.waiting()).decode()
    return [line.split("\t") for line in text.split("\n")[:-1]]


def record(log: DecisionLog, outcome: Outcome = ALLOWED) -> str:
    return log.record("billing", ASKED, "web", outcome, 7)


def test_a_decision_is_a_line_before_it_has_an_id(tmp_path):
    log = opened(tmp_path)
    assert record(log) == "abc-1"
    (line,) = lines(log)
    assert line[1:] == [
        "abc", "billing", "1", "mia", "dr-osei", "claim:submit", "web", r"claim\\9\\t", "r-1", "t", "granted",
        "data_entry", "7",
    ]  # fmt: skip


def test_a_batch_is_as_many_lines_in_order(tmp_path):
    log = opened(tmp_path)
    record(log)
    ids = log.record_all("billing", [ASKED] * 3, ["web"] * 3, [ALLOWED, DENIED, ALLOWED], 7)
    assert ids == ["abc-2", "abc-3", "abc-4"]
    assert [(line[3], line[10]) for line in lines(log)] == [("1", "t"), ("2", "t"), ("3", "f"), ("4", "t")]


def test_denials_alone_have_no_gaps_either(tmp_path):
    log = opened(tmp_path, mode=DecisionLogMode.DENIALS)
    assert [record(log), record(log, DENIED), record(log)] == ["abc-u1", "abc-1", "abc-u2"]
    assert log.record_all("b", [ASKED] * 3, ["web"] * 3, [DENIED, ALLOWED, DENIED], 7) == ["abc-2", "abc-u3", "abc-3"]
    assert [line[3] for line in lines(log)] == ["1", "2", "3"]


def test_off_records_nothing(tmp_path):
    log = opened(tmp_path, mode=DecisionLogMode.OFF)
    assert record(log, DENIED) == "abc-u1"
    assert log.record_all("b", [ASKED], ["web"], [DENIED], 7) == ["abc-u2"]
    assert log.waiting() == []


def test_threads_share_one_sequence_without_gaps(tmp_path):
    log = opened(tmp_path)
    threads = [threading.Thread(target=lambda: [record(log) for _ in range(5_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int(line[3]) for line in lines(log)] == list(range(1, 40_001))
    assert len(log.waiting()) > 1


def test_a_folder_that_cannot_be_is_an_error_of_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="decision log cannot be kept"):
        opened(tmp_path / "file" / "log")


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from policy_service.decision_log.recorder import DecisionLog
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import DecisionLogMode, Outcome, Reason
log = DecisionLog(Path(sys.argv[1]), "dead", mode=DecisionLogMode.ALL, most_bytes=1 << 30)
asked, outcome = pb.CheckRequest(user="u", physician="p", action="a:b"), Outcome(allowed=True, reason=Reason.GRANTED)
def work():
    while True:
        # What is written here was answered.
        os.write(1, (log.record("c", asked, "web", outcome, 1) + "\\n").encode())
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
sys.stdin.read()
"""


def test_what_was_answered_survives_kill_minus_nine(tmp_path):
    for attempt in range(8):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        answered = {process.stdout.readline().strip() for _ in range(500 * attempt + 1)}
        process.kill()
        answered |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
        process.stdin.close()
        process.stdout.close()
        (left,) = left_behind(folder)
        kept = b"".join(segment.waiting() for segment in left.segments).decode().split("\n")
        assert kept.pop() == ""
        sequences = [int(line.split("\t")[3]) for line in kept]
        assert sequences == list(range(1, len(sequences) + 1))
        assert {f"dead-{sequence}" for sequence in sequences} >= answered
        # At most what the four threads had in hand.
        assert len(sequences) - len(answered) <= 4
        assert left.sequence in (len(sequences), len(sequences) - 1)
        left.remove()
        assert list(folder.iterdir()) == []


def test_a_living_processs_files_are_left_alone(tmp_path):
    log = opened(tmp_path)
    record(log)
    assert left_behind(tmp_path) == []
    log.close(whole=False)
    (left,) = left_behind(tmp_path)
    # The files made ahead are there too, without lines.
    assert (left.replica, left.sequence, [segment.size > 0 for segment in left.segments].count(True)) == ("abc", 1, 1)
    # And nobody takes it a second time.
    assert left_behind(tmp_path) == []


def test_a_file_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "x.state").write_bytes(b"short")
    (tmp_path / "y.state").write_bytes(bytes(64))
    assert left_behind(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.state", "y.state"]


def test_a_log_that_the_database_has_whole_leaves_nothing(tmp_path):
    log = opened(tmp_path / "log")
    record(log)
    log.close(whole=True)
    assert list((tmp_path / "log").iterdir()) == []


def test_what_cannot_be_read_keeps_nobody_from_the_others(tmp_path):
    for replica in ("aaa", "ccc"):
        log = opened(tmp_path, replica)
        record(log)
        log.close(whole=False)
    (tmp_path / "bbb.state").symlink_to("bbb.state")
    found = left_behind(tmp_path)
    assert [left.replica for left in found] == ["aaa", "ccc"]
    # One whose file of lines cannot be read is let go of, and found again when it can.
    for left in found:
        left.close()
    (tmp_path / "aaa-00000009.lines").symlink_to("aaa-00000009.lines")
    (ccc,) = left_behind(tmp_path)
    ccc.close()
    (tmp_path / "aaa-00000009.lines").unlink()
    assert [left.replica for left in left_behind(tmp_path)] == ["aaa", "ccc"]


def test_a_state_that_was_just_deleted_is_not_taken(tmp_path):
    log = opened(tmp_path)
    found = spool.Mapped(tmp_path / "abc.state", spool.HEADER, new=False)
    log.close(whole=True)
    assert not found.lock()
    found.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"2026-11-24", b"2026-99-99"),
        (b"12:00:00", b"25:00:00"),
        (b"\t1\t", b"\t1e3\t"),
        (b"\t1\t", b"\t" + b"9" * 19 + b"\t"),
        (b"\tt\t", b"\tx\t"),
        (b"claim\\\\9", b"claim\\9"),
        (b"\t7\n", b"\t\n"),
    ],
)
def test_a_line_is_what_the_database_takes(old, new):
    line = b"2026-11-24 12:00:00.000001+00\tabc\tc\t1\tmia\tdr-a\tclaim:view\tweb\tclaim\\\\9\tr\tt\tgranted\t\t7\n"
    assert spool.sorted_out(line) == (line, b"")
    broken = line.replace(old, new)
    assert broken != line
    assert spool.sorted_out(line + broken + line) == (line + line, broken)


def test_times_go_up_with_sequences_even_if_the_clock_goes_back(tmp_path, monkeypatch):
    """Else retention, which drops days, would take a part out of the middle: it would look like a loss."""
    log = opened(tmp_path)
    clock = iter([86_400 * 20_000 + 5, 86_400 * 20_000 - 5, 86_400 * 20_000 + 6])
    monkeypatch.setattr("time.time_ns", lambda: next(clock) * 1_000_000_000)
    for _ in range(3):
        record(log)
    assert [line[0][11:19] for line in lines(log)] == ["00:00:05", "00:00:05", "00:00:06"]


def test_a_file_that_became_full_while_its_lines_were_on_their_way_is_kept_until_it_has_none(tmp_path):
    log = opened(tmp_path)
    record(log)
    (segment,) = log.waiting()
    sent = log.shipment(segment)
    # Meanwhile: more lines into this file, until the next one has to begin.
    made = 1
    while len(log.waiting()) == 1:
        log.record_all("billing", [ASKED] * 1_000, ["web"] * 1_000, [ALLOWED] * 1_000, 7)
        made += 1_000
    log.shipped(segment, sent)
    assert [int(line[3]) for line in lines(log)] == list(range(2, made + 1))
    log.shipped(segment, log.shipment(segment))
    assert segment not in log.waiting()
    assert [int(line[3]) for line in lines(log)][-1] == made
