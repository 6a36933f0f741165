"""The decision log's near end: every decision into a file on this machine, before it is answered.

A decision is a line copied into a mapped file: no system call, and what was
answered survives the process's death. ``decision_shipping`` takes the lines to
the database. Room is bounded, and shared out by ``decision_room``. Where there
is none it is refused, or, where the service is set to answer all the same,
counted: whose, when, and as a gap in the sequence. Never awaits, never reads
the database.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from policy_service import metrics
from policy_service.decision_log.losses import STATE_BYTES, Losses
from policy_service.decision_log.room import NoRoom, Shares
from policy_service.decision_log.spool import END, HEADER, LOST, SEGMENT_BYTES, SEQUENCE, Mapped, Segment
from policy_service.errors import StartError
from policy_service.vocabulary import DecisionLogMode, Loss, Outcome

_SPARE: Final = 2
"""Files that are made ahead and kept: with a full disk, the log goes on in these."""
_ROOM: Final = SEGMENT_BYTES - HEADER
_ENOUGH: Final = SEGMENT_BYTES // 2
"""Bytes that must be free for a log that was full to be so no more."""


class Asked(Protocol):
    """The fields of a question as they came, read and found good."""

    user: str
    physician: str
    action: str
    resource: str
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Lines on their way to the database, and how many bytes of them are whose."""

    lines: bytes
    held: dict[str, int]


class DecisionLog:
    """This process's decisions. Any thread may record."""

    def __init__(
        self, folder: Path, replica: str, *, mode: DecisionLogMode, most_bytes: int, most_waiting: int = 0
    ) -> None:
        """Files lie in ``folder`` and take at most ``most_bytes`` in all; so many calls wait for room at once.

        Raises StartError.
        """
        self.replica = replica
        self.mode = mode
        self._folder = folder
        self._most_segments = max(_SPARE, most_bytes // SEGMENT_BYTES)
        self._lock = threading.Lock()
        self._shares = Shares(self._lock, most_waiting=most_waiting)
        self._unrecorded = count(1)
        self._now, self._second, self._second_text = 0, 0, ""
        self._segment_numbers = count(1)
        self._full: deque[Segment] = deque()
        self._spare: list[Segment] = []
        self._open: Segment | None = None
        self._end = SEGMENT_BYTES
        # Whose bytes wait in which file.
        self._held_in: dict[Segment, dict[str, int]] = {}
        self._held_here: dict[str, int] = {}
        self._sequence = 0
        self._disk_is_full = False
        self._is_shipping = True
        self._is_full = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._state = Mapped(folder / f"{replica}.new", STATE_BYTES, new=True, numbers=STATE_BYTES)
            # Locked before it can be found: whoever finds it unlocked takes it for left behind.
            self._state.lock()
            self._state.path = self._state.path.rename(folder / f"{replica}.state")
            self._losses = Losses(self._state)
            if mode is not DecisionLogMode.OFF:
                for _ in range(_SPARE):
                    self._spare.append(self._new_segment())
            self._measure()
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

    @property
    def is_full(self) -> bool:
        """Were decisions refused or lost since there was room for everybody?"""
        return self._is_full

    @property
    def is_wanted(self) -> bool:
        """Does anybody wait for room?"""
        return self._shares.is_wanted

    def record(
        self, caller: str, asked: Asked, channel: str, outcome: Outcome, revision: int, *, or_lose: bool = False
    ) -> str:
        """Write a decision down; its id. Raises NoRoom, unless the decision may be lost then."""
        if self.mode is DecisionLogMode.OFF or (self.mode is DecisionLogMode.DENIALS and outcome.allowed):
            return f"{self.replica}-u{next(self._unrecorded)}"
        tail = _tail(outcome, revision)
        with self._lock:
            sequence = self._sequence + 1
            line = _line(self._head(caller), sequence, asked, channel, tail).encode()
            self._write(caller, line, 1, or_lose=or_lose)
        return f"{self.replica}-{sequence}"

    def record_all(
        self,
        caller: str,
        asked: Sequence[Asked],
        channels: Iterable[str],
        outcomes: Sequence[Outcome],
        revision: int,
        *,
        or_lose: bool = False,
    ) -> list[str]:
        """Write a batch down, all or none of it; the ids, in order. Raises NoRoom, unless it may be lost then."""
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
                self._write(caller, "".join(lines).encode(), len(lines), or_lose=or_lose)
        return ids

    def wait(self, room: NoRoom) -> bool:
        """Wait until there is room; False where it is time to say no."""
        return self._shares.wait(room, lambda: self._has_room(room.caller, room.size))

    def _head(self, caller: str) -> str:
        """What the lines of one moment and caller have in common, around their sequence."""
        # Times go up with sequences even if the clock steps back: a day that is dropped is a beginning then, no middle.
        self._now = max(self._now, time.time_ns())
        second, nanoseconds = divmod(self._now, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{nanoseconds // 1_000:06}+00\t{self.replica}\t{caller}\t"

    def _write(self, caller: str, lines: bytes, decisions: int, *, or_lose: bool) -> None:
        """Copy lines behind the others, then say so: a line that is half there was never answered."""
        size = len(lines)
        free = self._unused + SEGMENT_BYTES - self._end
        if not self._shares.may_take(caller, size, free=free, room=self._room) or (
            self._end + size > SEGMENT_BYTES and not self._turn()
        ):
            self._is_full |= or_lose or not self._is_shipping
            if not or_lose:
                raise NoRoom(caller, size, is_full=not self._is_shipping)
            self._lose(caller, decisions)
            return
        segment = self._open
        assert segment is not None  # noqa: S101 - with none open, there is no room in it.
        end = self._end + size
        segment.bytes[self._end : end] = lines
        segment.numbers[END] = self._end = end
        self._held_here[caller] = self._held_here.get(caller, 0) + size
        self._shares.take(caller, size)
        self._sequence += decisions
        self._state.numbers[SEQUENCE] = self._sequence

    def _lose(self, caller: str, decisions: int) -> None:
        # Whose before how many, as the process may be killed between: none is ever a gap that nobody counted.
        self._losses.count(caller, decisions, self._now)
        self._state.numbers[LOST] += decisions
        self._sequence += decisions
        self._state.numbers[SEQUENCE] = self._sequence
        metrics.decisions_lost.inc(decisions)

    def _has_room(self, caller: str, size: int) -> bool:
        return self._shares.may_take(caller, size, free=self._free(), room=self._room) and (
            self._end + size <= SEGMENT_BYTES or self._may_turn()
        )

    def _free(self) -> int:
        """Bytes that can still be written to."""
        return self._unused + SEGMENT_BYTES - self._end

    def _measure(self) -> None:
        """Note how much room there is, when there are more or fewer files, or the disk turns out to be full or not."""
        used = len(self._full) + bool(self._open)
        most = used + len(self._spare) if self._disk_is_full else self._most_segments
        self._unused, self._room = (most - used) * _ROOM, most * _ROOM

    def _may_turn(self) -> bool:
        return bool(self._spare) or (self._has_place() and not self._disk_is_full)

    def _turn(self) -> bool:
        """Begin a new file, if there is room for one."""
        if not self._spare and self._may_turn():
            self._make_spare()
        if not self._spare:
            return False
        if self._open is not None:
            self._full.append(self._open)
        self._open = self._spare.pop()
        self._open.begin(next(self._segment_numbers))
        self._held_here = self._held_in[self._open] = {}
        self._end = HEADER
        # At once, so that a full disk is known of while there is room that can be shared out.
        if not self._disk_is_full and len(self._spare) < _SPARE and self._has_place():
            self._make_spare()
        self._measure()
        return True

    def _has_place(self) -> bool:
        """May there be one more file?"""
        return len(self._full) + bool(self._open) + len(self._spare) < self._most_segments

    def _make_spare(self) -> None:
        try:
            self._spare.append(self._new_segment())
        except OSError:
            self._disk_is_full = True
        else:
            self._disk_is_full = False
        self._measure()

    def _new_segment(self) -> Segment:
        return Segment(self._folder / f"{self.replica}-{next(self._segment_numbers):08}.lines", new=True)

    def look_for_room(self) -> None:
        """Make a file ahead, if there is none: so a full disk is known of in time, and also that it is so no more."""
        with self._lock:
            if self.mode is not DecisionLogMode.OFF and (self._disk_is_full or not self._spare) and self._has_place():
                self._make_spare()

    def say_shipping(self, yes: bool) -> None:  # noqa: FBT001 - the word says it.
        """Are lines being taken to the database?"""
        with self._lock:
            self._is_shipping = yes
            self._look_whether_full()

    def _look_whether_full(self) -> None:
        if self._is_full and self._is_shipping and self._free() >= _ENOUGH:
            self._is_full = False

    def waiting(self) -> list[Segment]:
        """The files that may have lines for the database, oldest first; the last may still be written to."""
        with self._lock:
            return [*self._full, *([self._open] if self._open else [])]

    def shipment(self, segment: Segment) -> Shipment:
        """What of a file the database does not have yet."""
        with self._lock:
            size, held = segment.size, dict(self._held_in[segment])
        return Shipment(lines=segment.waiting(size), held=held)

    def shipped(self, segment: Segment, shipment: Shipment) -> None:
        """The database has it. A full file that it has whole makes room."""
        with self._lock:
            segment.shipped(len(shipment.lines))
            held = self._held_in[segment]
            for caller, size in shipment.held.items():
                held[caller] -= size
                if not held[caller]:
                    del held[caller]
            # One that was written to, and became full, while its lines were on their way has more to bring.
            if segment is not self._open and not segment.size:
                self._full.remove(segment)
                del self._held_in[segment]
                if len(self._spare) < _SPARE:
                    self._spare.append(segment)
                else:
                    segment.remove()
                self._measure()
            self._shares.give_back(shipment.held)
            self._look_whether_full()

    def untold_losses(self) -> tuple[list[Loss], int, int]:
        """Losses that the database does not know yet, with the last sequence and all that were lost."""
        with self._lock:
            return self._losses.untold(), self._sequence, self.lost

    def told_losses(self, losses: Iterable[Loss]) -> None:
        """The database knows of them."""
        with self._lock:
            for loss in losses:
                self._losses.told(loss)

    def sync(self) -> None:
        """To the disk itself."""
        for segment in self.waiting():
            segment.sync()

    def close(self, *, whole: bool) -> None:
        """Let go of the files; ``whole`` if the database has everything, so that they can be deleted."""
        for mapped in (*self.waiting(), *self._spare, self._state):
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
