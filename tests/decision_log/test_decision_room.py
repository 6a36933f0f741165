"""Room to record decisions: each caller's share is its own; without room nothing is answered, or it is counted whose."""

import resource
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from policy_service.decision_log import SEGMENT_BYTES, DecisionLog, NoRoom
from policy_service.decision_log.errors import DecisionLogBehind, DecisionLogIsFull
from policy_service.decision_log.leftovers import left_behind
from policy_service.decision_log.losses import STATE_BYTES
from policy_service.errors import Kind
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import DecisionLogMode, Outcome, Reason

OUTCOME = Outcome(allowed=True, reason=Reason.GRANTED)
ASKED = pb.CheckRequest(
    user="mia", physician="dr-osei", action="claim:view", resource="r" * 200, correlation_id="c" * 100
)
BATCH = 1_000


def opened(folder: Path, *, segments: int = 4, most_waiting: int = 0) -> DecisionLog:
    return DecisionLog(
        folder, "abc", mode=DecisionLogMode.ALL, most_bytes=segments * SEGMENT_BYTES, most_waiting=most_waiting
    )


def batch(log: DecisionLog, caller: str, **more: bool) -> list[str]:
    return log.record_all(caller, [ASKED] * BATCH, ["web"] * BATCH, [OUTCOME] * BATCH, 7, **more)


def flood(log: DecisionLog, caller: str) -> int:
    """Until there is no room for more; how many were recorded."""
    recorded = 0
    while True:
        try:
            recorded += len(batch(log, caller))
        except NoRoom:
            return recorded


def ship(log: DecisionLog) -> Counter[str]:
    """As the database does: everything that waits; how many of whom."""
    found: Counter[str] = Counter()
    for segment in log.waiting():
        shipment = log.shipment(segment)
        found.update(line.split(b"\t")[2].decode() for line in shipment.lines.splitlines())
        log.shipped(segment, shipment)
    return found


@pytest.mark.parametrize("flooders", [1, 6])
def test_whoever_floods_the_log_leaves_room_for_everybody_else(tmp_path, flooders):
    log = opened(tmp_path)
    recorded = {f"flooder-{number}": 0 for number in range(flooders)}
    for caller in recorded:
        recorded[caller] = flood(log, caller)
    # Again and again, and in whatever order: their share is used up.
    for caller in recorded:
        recorded[caller] += flood(log, caller)
    for _ in range(500):
        log.record("good", ASKED, "web", OUTCOME, 7)
    assert (log.lost, log.sequence) == (0, sum(recorded.values()) + 500)
    assert ship(log) == Counter({**recorded, "good": 500})
    # What was taken away makes room again, also for those who flooded.
    assert flood(log, "flooder-0") > 0
    assert len(list(tmp_path.glob("*.lines"))) <= 4


def test_a_share_is_used_well_where_nobody_else_asks(tmp_path):
    log = opened(tmp_path)
    flood(log, "only")
    assert sum(segment.size for segment in log.waiting()) > 0.5 * 4 * SEGMENT_BYTES


def test_who_has_no_room_is_told_whose_fault_it_is(tmp_path):
    log = opened(tmp_path)
    flood(log, "flooder")
    with pytest.raises(NoRoom) as behind:
        batch(log, "flooder")
    assert isinstance(behind.value.refusal, DecisionLogBehind)
    assert behind.value.refusal.kind is Kind.EXHAUSTED
    assert not log.is_full
    # The database is away: it is no fault of the caller's, and others may have room elsewhere.
    log.say_shipping(False)
    with pytest.raises(NoRoom) as full:
        batch(log, "flooder")
    assert isinstance(full.value.refusal, DecisionLogIsFull)
    assert full.value.refusal.kind is Kind.UNAVAILABLE
    assert log.is_full
    log.say_shipping(True)
    ship(log)
    assert not log.is_full


def test_what_was_refused_leaves_no_gap_and_no_trace(tmp_path):
    log = opened(tmp_path, segments=2)
    recorded = flood(log, "flooder")
    for _ in range(10):
        with pytest.raises(NoRoom):
            batch(log, "flooder")
    assert (log.sequence, log.lost) == (recorded, 0)
    assert ship(log)["flooder"] == recorded
    assert log.record("flooder", ASKED, "web", OUTCOME, 7) == f"abc-{recorded + 1}"


def test_a_flooder_waits_and_goes_on_when_there_is_room(tmp_path):
    log = opened(tmp_path, segments=2, most_waiting=8)
    flood(log, "flooder")
    waited = threading.Event()
    went_on = []

    def ask() -> None:
        while True:
            try:
                went_on.extend(batch(log, "flooder"))
            except NoRoom as room:
                room.until += 60
                waited.set()
                assert log.wait(room)
            else:
                return

    thread = threading.Thread(target=ask)
    thread.start()
    assert waited.wait(30)
    while not log.is_wanted and thread.is_alive():
        pass
    # Nobody else waits for it.
    log.record("good", ASKED, "web", OUTCOME, 7)
    ship(log)
    thread.join(30)
    assert len(went_on) == BATCH
    assert not log.is_wanted


def test_no_caller_keeps_more_than_a_part_of_the_threads_waiting(tmp_path):
    log = opened(tmp_path, segments=2, most_waiting=8)
    flood(log, "flooder")
    answers: list[bool] = []

    def wait(caller: str) -> bool:
        room = NoRoom(caller, 3 * SEGMENT_BYTES, is_full=False)
        room.until += 60
        return log.wait(room)

    threads = [threading.Thread(target=lambda: answers.append(wait("flooder"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while log._shares._waiting["flooder"] < 2:
        pass
    # The third is told at once; another caller may still wait, up to all that may.
    assert not wait("flooder")
    more = [threading.Thread(target=lambda n=n: answers.append(wait(f"other-{n}"))) for n in range(6)]
    for thread in more:
        thread.start()
    while log._shares._waiting.total() < 8:
        pass
    assert not wait("yet another")
    assert not answers
    with log._lock:
        log._files._most = 100
        log._files._measure()
        log._shares._freed.notify_all()
    for thread in (*threads, *more):
        thread.join(30)
    assert answers == [True] * 8


def test_where_it_is_set_so_losses_are_counted_by_whom_and_when(tmp_path):
    log = opened(tmp_path, segments=2)
    recorded = flood(log, "flooder")
    batch(log, "flooder", or_lose=True)
    batch(log, "another", or_lose=True)
    flood(log, "another")
    for _ in range(3):
        batch(log, "another", or_lose=True)
    losses, sequence, lost = log.untold_losses()
    assert log.is_full
    assert {loss.caller: loss.lost for loss in losses}["flooder"] == BATCH
    assert lost == log.lost == sum(loss.lost for loss in losses)
    assert all(loss.first_at <= loss.last_at for loss in losses)
    # As many as were answered: recorded or lost, and never both.
    shipped = ship(log)
    assert shipped["flooder"] == recorded
    assert sequence == shipped.total() + lost
    log.told_losses(losses)
    assert log.untold_losses()[0] == []
    # The next time begins where this one was told.
    flood(log, "flooder")
    batch(log, "flooder", or_lose=True)
    (again,) = log.untold_losses()[0]
    (before,) = (loss for loss in losses if loss.caller == "flooder")
    assert (again.lost, again.so_far) == (BATCH, 2 * BATCH)
    assert again.first_at >= before.last_at


def test_losses_outlive_the_process(tmp_path):
    log = opened(tmp_path, segments=2)
    flood(log, "flooder")
    batch(log, "flooder", or_lose=True)
    (loss,), _, _ = log.untold_losses()
    log.close(whole=False)
    (left,) = left_behind(tmp_path)
    assert left.losses.untold() == [loss]
    assert left.lost == BATCH
    left.close()


def test_more_callers_than_there_are_places_share_the_last(tmp_path):
    log = opened(tmp_path, segments=2)
    flood(log, "flooder")
    with log._lock:
        for number in range(300):
            log._losses.count(f"caller-{number}", 1, 10**18)
    losses = {loss.caller: loss.lost for loss in log.untold_losses()[0]}
    assert sum(losses.values()) == 300
    assert losses[""] == 300 - (len(losses) - 1)
    assert (tmp_path / "abc.state").stat().st_size == STATE_BYTES


FULL_DISK = """
import resource, sys
from pathlib import Path
from policy_service.decision_log.recorder import DecisionLog
from policy_service.decision_log.room import NoRoom
from policy_service.decision_log.spool import SEGMENT_BYTES
from tests.decision_log import test_decision_room as t
log = t.opened(Path(sys.argv[1]), segments=64)
# From here on no file can be made: posix_fallocate is refused by the system, as on a full disk.
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT_BYTES - 1, hard))
made = 0
for _ in range(3):
    made += t.flood(log, "flooder")
    # Also here everybody else has a share.
    for _ in range(300):
        log.record("good", t.ASKED, "web", t.OUTCOME, 7)
    made += 300
    log.look_for_room()
    # The files there are go on being used.
    assert len(list(Path(sys.argv[1]).glob("*.lines"))) <= 3, list(Path(sys.argv[1]).glob("*.lines"))
    t.ship(log)
assert (log.sequence, log.lost) == (made, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.look_for_room()
small = made / 3
assert t.flood(log, "flooder") > 5 * small
print("good")
"""


def test_on_a_full_disk_the_files_there_are_go_on_being_used_and_all_is_recorded(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert (done.stdout, done.returncode) == ("good\n", 0), done.stderr
