"""The decision log's near end: every decision into a file on this machine, before it is answered.

A decision is a line copied into a mapped file: no system call, and what was
answered survives the process's death. ``decision_shipping`` takes the lines to
the database. Room is bounded: without any left, decisions are counted as lost
and leave a gap in the sequence; an answer never waits for the log. Never
awaits, never reads the database.
"""

import fcntl
import mmap
import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from policy_service import metrics
from policy_service.errors import StartError
from policy_service.vocabulary import DecisionLogMode, Outcome

SEGMENT_BYTES: Final = 4 << 20
"""Size of a file of lines; larger than the longest batch."""
_HEADER: Final = 64
_END, _SHIPPED = 1, 2
_SEQUENCE, _LOST = 1, 2
_LINE: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00(?:\t[ -~]*){13}\n")
_MAGIC: Final = 0x31474F4C44504F  # "OPDLOG1", little-endian.


class Asked(Protocol):
    """The fields of a question as they came, read and found good."""

    user: str
    physician: str
    action: str
    resource: str
    correlation_id: str


class Mapped:
    """A file mapped into memory, with a header of eight-byte numbers that are written at once or not at all."""

    def __init__(self, path: Path, size: int, *, new: bool) -> None:
        """Make or open the file. Raises OSError, also where the disk has no room for it."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
        try:
            if new:
                # All of it now: writing to a mapped file on a full disk would end the process.
                os.posix_fallocate(self._file, 0, size)
            self.bytes = mmap.mmap(self._file, size)
        except BaseException:
            os.close(self._file)
            if new:
                path.unlink()
            raise
        self.numbers = memoryview(self.bytes)[:_HEADER].cast("Q")
        if new:
            self.numbers[0] = _MAGIC

    @property
    def is_ours(self) -> bool:
        """Was it made by this release's kind of log?"""
        return self.numbers[0] == _MAGIC

    def lock(self) -> bool:
        """Keep other processes from taking the file; False where one has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sync(self) -> None:
        """To the disk itself: what was answered then survives the machine too."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Let go of the file, and of its lock."""
        self.numbers.release()
        self.bytes.close()
        os.close(self._file)

    def remove(self) -> None:
        """Close, and delete the file."""
        self.close()
        self.path.unlink()


class Segment(Mapped):
    """A file of lines: where they end, and up to where the database has them."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """As ``Mapped``."""
        super().__init__(path, SEGMENT_BYTES, new=new)
        if new:
            # In this order: killed between the two, it has no lines.
            self.numbers[_SHIPPED] = self.numbers[_END] = _HEADER

    @property
    def size(self) -> int:
        """Bytes of lines that the database does not have yet."""
        return int(self.numbers[_END] - self.numbers[_SHIPPED])

    def waiting(self) -> bytes:
        """Lines that the database does not have yet."""
        return self.bytes[self.numbers[_SHIPPED] : self.numbers[_END]]

    def shipped(self, size: int) -> None:
        """The database has so many more bytes of them."""
        self.numbers[_SHIPPED] += size


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
        self._second, self._second_text = 0, ""
        self._segment_numbers = count(1)
        self._full: deque[Segment] = deque()
        self._open: Segment | None = None
        self._end = SEGMENT_BYTES
        self._sequence = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._state = Mapped(folder / f"{replica}.new", _HEADER, new=True)
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
        return int(self._state.numbers[_LOST])

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
        tails = {id(outcome): _tail(outcome, revision) for outcome in outcomes}
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
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
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
            state[_LOST] += decisions
            metrics.decisions_lost.inc(decisions)
        else:
            segment.bytes[self._end : end] = lines
            segment.numbers[_END] = self._end = end
        state[_SEQUENCE] = self._sequence

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
        self._end = _HEADER

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


def sorted_out(found: bytes) -> tuple[bytes, bytes]:
    """What are lines, and what is not: a machine that lost power can leave holes."""
    lines, broken = list[bytes](), list[bytes]()
    for line in found.splitlines(keepends=True):
        (lines if _LINE.fullmatch(line) else broken).append(line)
    return b"".join(lines), b"".join(broken)


class Left:
    """What a process that was killed left behind."""

    def __init__(self, state: Mapped) -> None:
        """``state`` is locked."""
        self._state = state
        self.replica = state.path.stem
        self.sequence = int(state.numbers[_SEQUENCE])
        self.lost = int(state.numbers[_LOST])
        self.segments = []
        for path in sorted(state.path.parent.glob(f"{self.replica}-*.lines")):
            if path.stat().st_size == SEGMENT_BYTES:
                self.segments.append(Segment(path, new=False))
            else:
                # Killed while it was being made: it never had a line.
                path.unlink()

    def put_aside(self, lines: bytes) -> Path:
        """Keep what are no lines, out of the way of those that are; where."""
        path = self._state.path.with_suffix(".broken")
        with path.open("ab") as file:
            file.write(lines)
        return path

    def close(self) -> None:
        """Leave it to the next process."""
        for mapped in (*self.segments, self._state):
            mapped.close()

    def remove(self) -> None:
        """Delete it: the database has everything."""
        for mapped in (*self.segments, self._state):
            mapped.remove()


def left_behind(folder: Path) -> list[Left]:
    """What processes that no longer run left in a folder; another process cannot take it meanwhile."""
    found = []
    for path in sorted(folder.glob("*.state")):
        if path.stat().st_size != _HEADER:
            continue
        state = Mapped(path, _HEADER, new=False)
        if state.is_ours and state.lock():
            found.append(Left(state))
        else:
            state.close()
    return found
