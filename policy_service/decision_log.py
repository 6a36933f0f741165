"""The decision log's near end: every decision into a file on this machine, before it is answered.

A decision is a line copied into a mapped file: no system call, and what was
answered survives the process's death. ``decision_shipping`` takes the lines to
the database. Room is bounded: without any left, decisions are counted as lost
and leave a gap in the sequence; an answer never waits for the log. Never
awaits, never reads the database.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.spool import END, HEADER, LOST, SEGMENT_BYTES, SEQUENCE, Mapped, Segment
from policy_service.vocabulary import DecisionLogMode, Outcome


class Asked(Protocol):
    """The fields of a question as they came, read and found good."""

    user: str
    physician: str
    action: str
    resource: str
    correlation_id: str


class DecisionLog:
    """This process's decisions. Any thread may record."""

    def __init__(self, folder: Path, replica: str, *, mode: DecisionLogMode, most_bytes: int) -> None:
        """Files lie in ``folder`` and take at most ``most_bytes`` in all. Raises StartError."""
        self.replica = replica
        self.mode = mode
        self._folder = folder
        self._most_segments = max(2, most_bytes // SEGMENT_BYTES)
        self._lock = threading.Lock()
        self._unrecorded = count(1)
        self._now, self._second, self._second_text = 0, 0, ""
        self._segment_numbers = count(1)
        self._full: deque[Segment] = deque()
        self._open: Segment | None = None
        self._end = SEGMENT_BYTES
        self._sequence = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._state = Mapped(folder / f"{replica}.new", HEADER, new=True)
            # Locked before it can be found: whoever finds it unlocked takes it for left behind.
            self._state.lock()
            self._state.path = self._state.path.rename(folder / f"{replica}.state")
        except OSError as fault:
            raise StartError(f"The decision log cannot be kept in {folder}: {fault.strerror}") from fault

    @property
    def sequence(self) -> int:
        """The last sequence given out."""
        return self._sequence

    @property
    def lost(self) -> int:
        """Decisions that were answered and not recorded, for want of room."""
        return int(self._state.numbers[LOST])

    def record(self, caller: str, asked: Asked, channel: str, outcome: Outcome, revision: int) -> str:
        """Write a decision down; its id."""
        if self.mode is DecisionLogMode.OFF or (self.mode is DecisionLogMode.DENIALS and outcome.allowed):
            return f"{self.replica}-u{next(self._unrecorded)}"
        tail = _tail(outcome, revision)
        with self._lock:
            sequence = self._sequence + 1
            self._write(_line(self._head(caller), sequence, asked, channel, tail).encode(), 1)
        return f"{self.replica}-{sequence}"

    def record_all(
        self, caller: str, asked: Sequence[Asked], channels: Iterable[str], outcomes: Sequence[Outcome], revision: int
    ) -> list[str]:
        """Write a batch down; the ids, in order."""
        if self.mode is DecisionLogMode.OFF:
            return [f"{self.replica}-u{next(self._unrecorded)}" for _ in outcomes]
        ids, lines = [], []
        # A batch has few different outcomes, each one object.
        different = {id(outcome): outcome for outcome in outcomes}
        tails = {key: _tail(outcome, revision) for key, outcome in different.items()}
        with self._lock:
            head, sequence = self._head(caller), self._sequence
            for check, channel, outcome in zip(asked, channels, outcomes, strict=True):
                if self.mode is DecisionLogMode.DENIALS and outcome.allowed:
                    ids.append(f"{self.replica}-u{next(self._unrecorded)}")
                    continue
                sequence += 1
                ids.append(f"{self.replica}-{sequence}")
                lines.append(_line(head, sequence, check, channel, tails[id(outcome)]))
            if lines:
                self._write("".join(lines).encode(), len(lines))
        return ids

    def _head(self, caller: str) -> str:
        """What the lines of one moment and caller have in common, around their sequence."""
        # Times go up with sequences even if the clock steps back: a day that is dropped is a beginning then, no middle.
        self._now = max(self._now, time.time_ns())
        second, nanoseconds = divmod(self._now, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{nanoseconds // 1_000:06}+00\t{self.replica}\t{caller}\t"

    def _write(self, lines: bytes, decisions: int) -> None:
        """Copy lines behind the others, then say so: a line that is half there was never answered."""
        end = self._end + len(lines)
        if end > SEGMENT_BYTES:
            self._turn()
            end = self._end + len(lines)
        segment = self._open
        self._sequence += decisions
        state = self._state.numbers
        if segment is None:
            state[LOST] += decisions
            metrics.decisions_lost.inc(decisions)
        else:
            segment.bytes[self._end : end] = lines
            segment.numbers[END] = self._end = end
        state[SEQUENCE] = self._sequence

    def _turn(self) -> None:
        """Begin a new file, if there is room for one."""
        if self._open is not None:
            self._full.append(self._open)
            self._open = None
            self._end = SEGMENT_BYTES
        if len(self._full) >= self._most_segments:
            return
        path = self._folder / f"{self.replica}-{next(self._segment_numbers):08}.lines"
        try:
            self._open = Segment(path, new=True)
        except OSError:
            return
        self._end = HEADER

    def waiting(self) -> list[Segment]:
        """The files that may have lines for the database, oldest first; the last may still be written to."""
        with self._lock:
            return [*self._full, *([self._open] if self._open else [])]

    def forget(self, segment: Segment) -> None:
        """A full file that the database has whole is no longer needed.

        One that was written to, and became full, while its lines were on their way has more to bring.
        """
        with self._lock:
            if segment is not self._open and not segment.size:
                self._full.remove(segment)
                segment.remove()

    def sync(self) -> None:
        """To the disk itself."""
        for segment in self.waiting():
            segment.sync()

    def close(self, *, whole: bool) -> None:
        """Let go of the files; ``whole`` if the database has everything, so that they can be deleted."""
        for mapped in (*self.waiting(), self._state):
            if whole:
                mapped.remove()
            else:
                mapped.close()


def _tail(outcome: Outcome, revision: int) -> str:
    return f"{'t' if outcome.allowed else 'f'}\t{outcome.reason}\t{outcome.role or ''}\t{revision}\n"


def _line(head: str, sequence: int, asked: Asked, channel: str, tail: str) -> str:
    """A line of COPY's text format. Every field is printable ASCII; only two may have a backslash."""
    resource, correlation = asked.resource, asked.correlation_id
    if "\\" in resource or "\\" in correlation:
        resource, correlation = resource.replace("\\", "\\\\"), correlation.replace("\\", "\\\\")
    return (
        f"{head}{sequence}\t{asked.user}\t{asked.physician}\t{asked.action}\t{channel}\t"
        f"{resource}\t{correlation}\t{tail}"
    )
