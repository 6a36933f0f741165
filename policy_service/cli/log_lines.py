"""Writes the service's own log: a line that its place has no room for is lost and counted, and nothing fails for it.

Whatever logs does so beside its work, which a full disk or a reader that went away must not end.
"""

import os
from typing import Final

from policy_service import metrics

STANDARD_ERROR: Final = 2
"""Its number, which stays what it is: a number that was another file's may be a connection's by now."""

_END: Final = b"\n"


class LogLines:
    """A file that takes whole lines, unbuffered."""

    def __init__(self, file: int) -> None:
        """``file`` is a descriptor that is open for writing."""
        self._file = file
        self._is_cut = False

    def write(self, text: str) -> int:
        """Write it, or count that it was lost."""
        content = (_END if self._is_cut else b"") + text.encode(errors="backslashreplace")
        try:
            written = os.write(self._file, content)
        except OSError:
            metrics.log_lines_lost.inc()
        else:
            # What comes next begins a line of its own.
            self._is_cut = written < len(content)
            if self._is_cut:
                metrics.log_lines_lost.inc()
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""
