"""The files that recorded decisions wait in: mapped into memory, so that they outlive the process that writes them."""

import fcntl
import mmap
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

SEGMENT_BYTES: Final = 4 << 20
"""Size of a file of lines; larger than the longest batch."""
HEADER: Final = 64
# Places of numbers in the header: of a file of lines …
END, SHIPPED = 1, 2
# … and of a process's state.
SEQUENCE, LOST = 1, 2
# As COPY takes them: a backslash only where another follows.
_TEXT: Final = r"\t(?:[ -\[\]-~]|\\\\)*"
_NUMBER: Final = r"\t\d{1,18}"
_TIME: Final = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00)"
_LINE: Final = re.compile(
    rf"{_TIME}(?:{_TEXT}){{2}}{_NUMBER}(?:{_TEXT}){{6}}\t[tf](?:{_TEXT}){{2}}{_NUMBER}\n".encode()
)
_MAGIC: Final = 0x31474F4C44504F  # "OPDLOG1", little-endian.


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
        self.numbers = memoryview(self.bytes)[:HEADER].cast("Q")
        if new:
            self.numbers[0] = _MAGIC

    @property
    def is_ours(self) -> bool:
        """Was it made by this release's kind of log?"""
        return self.numbers[0] == _MAGIC

    def lock(self) -> bool:
        """Keep other processes from taking the file; False where one has it, or has just deleted it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return os.fstat(self._file).st_nlink > 0

    def sync(self) -> None:
        """To the disk itself: what was answered then survives the machine too."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Let go of the file, and of its lock."""
        self.numbers.release()
        self.bytes.close()
        os.close(self._file)

    def remove(self) -> None:
        """Delete the file, and let go of it: in this order, so that nobody takes it for left behind."""
        self.path.unlink(missing_ok=True)
        self.close()


class Segment(Mapped):
    """A file of lines: where they end, and up to where the database has them."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """As ``Mapped``."""
        super().__init__(path, SEGMENT_BYTES, new=new)
        if new:
            # In this order: killed between the two, it has no lines.
            self.numbers[SHIPPED] = self.numbers[END] = HEADER

    @property
    def size(self) -> int:
        """Bytes of lines that the database does not have yet."""
        return int(self.numbers[END] - self.numbers[SHIPPED])

    def waiting(self) -> bytes:
        """Lines that the database does not have yet."""
        return self.bytes[self.numbers[SHIPPED] : self.numbers[END]]

    def shipped(self, size: int) -> None:
        """The database has so many more bytes of them."""
        self.numbers[SHIPPED] += size


def sorted_out(found: bytes) -> tuple[bytes, bytes]:
    """What are lines, and what is not: a machine that lost power can leave holes."""
    lines, broken = list[bytes](), list[bytes]()
    for line in found.splitlines(keepends=True):
        (lines if _is_line(line) else broken).append(line)
    return b"".join(lines), b"".join(broken)


def _is_line(found: bytes) -> bool:
    if (line := _LINE.fullmatch(found)) is None:
        return False
    try:
        datetime.fromisoformat(line[1].decode())
    except ValueError:
        return False
    return True


class Left:
    """What a process that was killed left behind."""

    def __init__(self, state: Mapped) -> None:
        """``state`` is locked. Raises OSError, and leaves nothing open then."""
        self._state = state
        self.replica = state.path.stem
        self.sequence = int(state.numbers[SEQUENCE])
        self.lost = int(state.numbers[LOST])
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
    if path.stat().st_size != HEADER:
        return None
    state = Mapped(path, HEADER, new=False)
    if state.is_ours and state.lock():
        return Left(state)
    state.close()
    return None
