"""The files that one process writes decisions to: the open one, the full ones, those made ahead, and the room in them.

Never more than they may be, and whose lines wait in which is known. All of it
is called with the recorder's lock held.
"""

from collections import deque
from itertools import count
from pathlib import Path
from typing import Final

from policy_service.decision_log.lines import Shipment
from policy_service.decision_log.spool import HEADER, SEGMENT_BYTES, Segment

_SPARE: Final = 2
"""Files that are made ahead and kept: with a full disk, the log goes on in these."""
_ROOM: Final = SEGMENT_BYTES - HEADER


class Files:
    """Where the next line goes, and what waits for the database."""

    def __init__(self, folder: Path, replica: str, *, most_bytes: int) -> None:
        """Files of ``replica`` lie in ``folder`` and take at most ``most_bytes`` in all; none is made yet."""
        self._folder = folder
        self._replica = replica
        self._most = max(_SPARE, most_bytes // SEGMENT_BYTES)
        self._numbers = count(1)
        self._full: deque[Segment] = deque()
        self._spare: list[Segment] = []
        # Whose bytes wait in which file.
        self._held_in: dict[Segment, dict[str, int]] = {}
        self._disk_is_full = False
        self.open: Segment | None = None
        """The file that lines go to."""
        self.end = SEGMENT_BYTES
        """Where the next goes."""
        self.held: dict[str, int] = {}
        """Whose bytes wait in it."""
        self.unused = 0
        """Bytes in files that are not begun, be they made or not."""
        self.room = 0
        """Bytes in all."""
        self._measure()

    @property
    def free(self) -> int:
        """Bytes that can still be written to."""
        return self.unused + SEGMENT_BYTES - self.end

    def make_ahead(self) -> None:
        """Make the first files. Raises OSError."""
        for _ in range(_SPARE):
            self._spare.append(self._new())
        self._measure()

    def fits(self, size: int) -> bool:
        """Is there a file, or can there be one, for so many bytes?"""
        return self.end + size <= SEGMENT_BYTES or self._may_turn()

    def turn(self) -> bool:
        """Begin a new file, if there is room for one."""
        if not self._spare and self._may_turn():
            self._make_spare()
        if not self._spare:
            return False
        if self.open is not None:
            self._full.append(self.open)
        self.open = self._spare.pop()
        self.open.begin(next(self._numbers))
        self.held = self._held_in[self.open] = {}
        self.end = HEADER
        # At once, so that a full disk is known of while there is room that can be shared out.
        if not self._disk_is_full and len(self._spare) < _SPARE and self._has_place():
            self._make_spare()
        self._measure()
        return True

    def look_for_room(self) -> None:
        """Make a file ahead, if there is none: so a full disk is known of in time, and also that it is so no more."""
        if (self._disk_is_full or not self._spare) and self._has_place():
            self._make_spare()

    def waiting(self) -> list[Segment]:
        """The files that may have lines for the database, oldest first; the last may still be written to."""
        return [*self._full, *([self.open] if self.open else [])]

    def spare(self) -> list[Segment]:
        """The files that have none."""
        return self._spare

    def held_in(self, segment: Segment) -> dict[str, int]:
        """Whose bytes wait in a file."""
        return dict(self._held_in[segment])

    def shipped(self, segment: Segment, shipment: Shipment) -> None:
        """The database has it. A full file that it has whole makes room."""
        segment.shipped(len(shipment.lines))
        held = self._held_in[segment]
        for caller, size in shipment.held.items():
            held[caller] -= size
            if not held[caller]:
                del held[caller]
        # One that was written to, and became full, while its lines were on their way has more to bring.
        if segment is not self.open and not segment.size:
            self._full.remove(segment)
            del self._held_in[segment]
            if len(self._spare) < _SPARE:
                self._spare.append(segment)
            else:
                segment.remove()
            self._measure()

    def _measure(self) -> None:
        """Note how much room there is, when there are more or fewer files, or the disk turns out to be full or not."""
        used = len(self._full) + bool(self.open)
        most = used + len(self._spare) if self._disk_is_full else self._most
        self.unused, self.room = (most - used) * _ROOM, most * _ROOM

    def _may_turn(self) -> bool:
        return bool(self._spare) or (self._has_place() and not self._disk_is_full)

    def _has_place(self) -> bool:
        """May there be one more file?"""
        return len(self._full) + bool(self.open) + len(self._spare) < self._most

    def _make_spare(self) -> None:
        try:
            self._spare.append(self._new())
        except OSError:
            self._disk_is_full = True
        else:
            self._disk_is_full = False
        self._measure()

    def _new(self) -> Segment:
        return Segment(self._folder / f"{self._replica}-{next(self._numbers):08}.lines", new=True)
