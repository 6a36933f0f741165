"""Decisions in the order of their arrival, for whoever exports them: from a place on, and where to go on later.

The place is kept only when what stands before it was written: after a fault
some decisions come twice, and none is missed.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from policy_client import Arrivals, LoggedDecision

from policy_service.cli.output import err, read_text, written

_PAGE: Final = 1_000
_PAUSE_SECONDS: Final = 1.0

Ask = Callable[[str, int], Iterable[Arrivals]]
"""The pages behind a cursor, of so many decisions."""


class Reading:
    """What is read on from a place, page by page."""

    def __init__(self, ask: Ask, *, after: str, kept_in: Path | None, limit: int | None, follow: bool) -> None:
        """From ``after``, or the place kept in a file; to the end there is now, or for ever with ``follow``."""
        self._ask = ask
        self._kept_in = kept_in
        self._left = limit
        self._follow = follow
        self.cursor = after
        if kept_in is not None and kept_in.exists():
            if after:
                raise ValueError(f"--after or --cursor-file: {kept_in} holds a place already")
            self.cursor = read_text(kept_in).strip()

    def decisions(self) -> Iterator[LoggedDecision]:
        """The decisions. The next is asked for when what was had is written."""
        while self._left is None or self._left > 0:
            page = next(iter(self._ask(self.cursor, min(_PAGE, self._left or _PAGE))))
            yield from page.decisions
            sys.stdout.flush()
            self._keep(page.cursor)
            if self._left is not None:
                self._left -= len(page.decisions)
            if page.more:
                continue
            if not self._follow:
                return
            time.sleep(_PAUSE_SECONDS)

    def _keep(self, cursor: str) -> None:
        if self._kept_in is not None and cursor != self.cursor:
            with written(self._kept_in) as file:
                file.write(f"{cursor}\n")
        self.cursor = cursor

    def say_where(self) -> None:
        """Tell a person how to go on, where no file keeps the place."""
        if self._kept_in is None:
            err.print(f"[dim]go on with[/dim] --after {self.cursor}")
