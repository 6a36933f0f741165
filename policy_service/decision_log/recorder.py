"""The decision log's near end: every decision into a file on this machine, before it is answered.

A decision is a line copied into a mapped file: no system call, and what was
answered survives the process's death. ``shipping`` takes the lines to the
database. Room is bounded by ``files``, and shared out by ``room``. Where there
is none it is refused, or, where the service is set to answer all the same,
counted: whose, when, and as a gap in the sequence. Never awaits, never reads
the database.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from policy_service import metrics
from policy_service.decision_log.files import Files
from policy_service.decision_log.lines import Asked, Shipment, line_of, tail_of
from policy_service.decision_log.losses import STATE_BYTES, Losses
from policy_service.decision_log.room import NoRoom, Shares
from policy_service.decision_log.spool import END, LOST, SEGMENT_BYTES, SEQUENCE, Mapped, Segment
from policy_service.errors import StartError
from policy_service.vocabulary import DecisionLogMode, Loss, Outcome

_ENOUGH: Final = SEGMENT_BYTES // 2
"""Bytes that must be free for a log that was full to be so no more."""


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
        self._files = Files(folder, replica, most_bytes=most_bytes)
        self._lock = threading.Lock()
        self._shares = Shares(self._lock, most_waiting=most_waiting)
        self._unrecorded = count(1)
        self._now, self._second, self._second_text = 0, 0, ""
        self._sequence = 0
        self._is_shipping = True
        self._is_full = False
        self.left_bytes = 0
        """Bytes that killed processes recorded and the database does not have yet, as far as they were found."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._state = Mapped(folder / f"{replica}.new", STATE_BYTES, new=True, numbers=STATE_BYTES)
            # Locked before it can be found: whoever finds it unlocked takes it for left behind.
            self._state.lock()
            self._state.path = self._state.path.rename(folder / f"{replica}.state")
            self._losses = Losses(self._state)
            if mode is not DecisionLogMode.OFF:
                self._files.make_ahead()
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
    def waiting_bytes(self) -> int:
        """Recorded on this machine, and not in the database yet."""
        return sum(segment.size for segment in self.waiting()) + self.left_bytes

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
        tail = tail_of(outcome, revision)
        with self._lock:
            sequence = self._sequence + 1
            line = line_of(self._head(caller), sequence, asked, channel, tail).encode()
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
        tails = {key: tail_of(outcome, revision) for key, outcome in different.items()}
        with self._lock:
            head, sequence = self._head(caller), self._sequence
            for check, channel, outcome in zip(asked, channels, outcomes, strict=True):
                if self.mode is DecisionLogMode.DENIALS and outcome.allowed:
                    ids.append(f"{self.replica}-u{next(self._unrecorded)}")
                    continue
                sequence += 1
                ids.append(f"{self.replica}-{sequence}")
                lines.append(line_of(head, sequence, check, channel, tails[id(outcome)]))
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
        size, files = len(lines), self._files
        free = files.unused + SEGMENT_BYTES - files.end
        if not self._shares.may_take(caller, size, free=free, room=files.room) or (
            files.end + size > SEGMENT_BYTES and not files.turn()
        ):
            self._is_full |= or_lose or not self._is_shipping
            if not or_lose:
                raise NoRoom(caller, size, is_full=not self._is_shipping)
            self._lose(caller, decisions)
            return
        segment = files.open
        assert segment is not None  # noqa: S101 - with none open, there is no room in it.
        end = files.end + size
        segment.bytes[files.end : end] = lines
        segment.numbers[END] = files.end = end
        files.held[caller] = files.held.get(caller, 0) + size
        self._shares.take(caller, size)
        self._sequence += decisions
        self._state.numbers[SEQUENCE] = self._sequence

    def _lose(self, caller: str, decisions: int) -> None:
        # Whose before how many, as the process may be killed between: none is ever a gap that nobody counted.
        self._losses.count(caller, decisions, self._now)
        self._state.numbers[LOST] += decisions
        self._sequence += decisions
        self._state.numbers[SEQUENCE] = self._sequence
        metrics.decisions_lost.labels(metrics.caller_label(caller)).inc(decisions)

    def _has_room(self, caller: str, size: int) -> bool:
        files = self._files
        return self._shares.may_take(caller, size, free=files.free, room=files.room) and files.fits(size)

    def look_for_room(self) -> None:
        """Make a file ahead, if there is none: so a full disk is known of in time, and also that it is so no more."""
        with self._lock:
            if self.mode is not DecisionLogMode.OFF:
                self._files.look_for_room()

    def say_shipping(self, yes: bool) -> None:  # noqa: FBT001 - the word says it.
        """Are lines being taken to the database?"""
        with self._lock:
            self._is_shipping = yes
            self._look_whether_full()

    def _look_whether_full(self) -> None:
        if self._is_full and self._is_shipping and self._files.free >= _ENOUGH:
            self._is_full = False

    def waiting(self) -> list[Segment]:
        """The files that may have lines for the database, oldest first; the last may still be written to."""
        with self._lock:
            return self._files.waiting()

    def shipment(self, segment: Segment) -> Shipment:
        """What of a file the database does not have yet."""
        with self._lock:
            size, held = segment.size, self._files.held_in(segment)
        return Shipment(lines=segment.waiting(size), held=held)

    def shipped(self, segment: Segment, shipment: Shipment) -> None:
        """The database has it. A full file that it has whole makes room."""
        with self._lock:
            self._files.shipped(segment, shipment)
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
        for mapped in (*self.waiting(), *self._files.spare(), self._state):
            if whole:
                mapped.remove()
            else:
                mapped.close()
