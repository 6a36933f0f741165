"""The files that recorded decisions wait in: mapped into memory, so that they outlive the process that writes them."""

import fcntl
import mmap
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Final

SEGMENT_BYTES: Final = 4 << 20
"""Size of a file of lines; larger than the longest batch."""
HEADER: Final = 64
# Places of numbers in the header: of a file of lines …
END, SHIPPED, ORDER = 1, 2, 3
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

    def __init__(self, path: Path, size: int, *, new: bool, numbers: int = HEADER) -> None:
        """Make or open the file, of which so many bytes are numbers.

        Raises OSError, also where the disk has no room for it.
        """
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
        self.numbers = memoryview(self.bytes)[:numbers].cast("Q")
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

    def begin(self, order: int) -> None:
        """Use the file, which may have been used before, for the lines that come next."""
        # In this order: killed between, it has no lines.
        self.numbers[END] = HEADER
        self.numbers[SHIPPED] = HEADER
        self.numbers[ORDER] = order

    def waiting(self, size: int | None = None) -> bytes:
        """Lines that the database does not have yet, or so many bytes of them."""
        begin = self.numbers[SHIPPED]
        return self.bytes[begin : self.numbers[END] if size is None else begin + size]

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
