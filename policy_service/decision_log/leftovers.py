"""What processes that were killed left in a folder of recorded decisions, for the next one to bring in."""

from pathlib import Path

import structlog

from policy_service.decision_log.losses import STATE_BYTES, Losses
from policy_service.decision_log.spool import HEADER, LOST, ORDER, SEGMENT_BYTES, SEQUENCE, Mapped, Segment

log = structlog.get_logger(__name__)


class Left:
    """What a process that was killed left behind."""

    def __init__(self, state: Mapped) -> None:
        """``state`` is locked. Raises OSError, and leaves nothing open then."""
        self._state = state
        self.replica = state.path.stem
        self.sequence = int(state.numbers[SEQUENCE])
        self.lost = int(state.numbers[LOST])
        self.losses = Losses(state) if len(state.numbers) > HEADER // 8 else None
        self.segments: list[Segment] = []
        try:
            self._open_segments()
        except OSError:
            self.close()
            raise

    def _open_segments(self) -> None:
        state = self._state
        for path in sorted(state.path.parent.glob(f"{self.replica}-*.lines")):
            if path.stat().st_size == SEGMENT_BYTES:
                self.segments.append(Segment(path, new=False))
            else:
                # Killed while it was being made: it never had a line.
                path.unlink()
        # Files are used again: their names say when they were made, not when their lines were written.
        self.segments.sort(key=lambda segment: (segment.numbers[ORDER], segment.path))

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
    """What processes that no longer run left in a folder; another process cannot take it meanwhile.

    What cannot be opened is told in the service's own log, and left where it is.
    """
    found = []
    for path in sorted(folder.glob("*.state")):
        try:
            if (left := _take(path)) is not None:
                found.append(left)
        except FileNotFoundError:
            # Its process ended well just now, or another process brought it in.
            continue
        except OSError as fault:
            log.error("decisions of a process that was killed cannot be read", file=str(path), cause=fault.strerror)  # noqa: TRY400 - no trace is needed.
    return found


def _take(path: Path) -> Left | None:
    size = path.stat().st_size
    # An earlier release noted how many were lost, and not whose.
    if size not in (HEADER, STATE_BYTES):
        return None
    state = Mapped(path, size, new=False, numbers=size)
    if state.is_ours and state.lock():
        return Left(state)
    state.close()
    return None
