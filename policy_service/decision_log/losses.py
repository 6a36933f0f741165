"""Whose answers were not recorded, and when: counted in a file that outlives the process.

The file was made when the process started, so a full disk does not stop the
counting. A caller has a place of its own in it; callers beyond the places
share the last one, without a name. Never awaits, never reads the database.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from policy_service.decision_log.spool import HEADER, Mapped
from policy_service.vocabulary import Loss

_PLACES: Final = 128
_PLACE_BYTES: Final = 128
_NAME_BYTES: Final = 64
# Numbers in a place, behind the name.
_COUNT, _NOTED, _FIRST, _LAST = range(_NAME_BYTES // 8, _NAME_BYTES // 8 + 4)
STATE_BYTES: Final = HEADER + _PLACES * _PLACE_BYTES
"""Size of the file: a process's state, and behind it the losses."""


class Losses:
    """The places of a process's state file. Whoever calls holds the lock of the file's writer."""

    def __init__(self, state: Mapped) -> None:
        """``state`` has ``STATE_BYTES``; what was counted in it before goes on."""
        self._bytes = state.bytes
        self._numbers = state.numbers
        self._places = {caller: place for place, caller in enumerate(self._callers())}

    def count(self, caller: str, decisions: int, nanoseconds: int) -> None:
        """Add to a caller's losses, at a time in nanoseconds since 1970."""
        if (place := self._places.get(caller)) is None:
            place = self._new_place(caller)
        at = self._at(place)
        # A time without room begins where everything before is in the database.
        if self._numbers[at + _COUNT] == self._numbers[at + _NOTED]:
            self._numbers[at + _FIRST] = nanoseconds
        self._numbers[at + _LAST] = nanoseconds
        self._numbers[at + _COUNT] += decisions

    def untold(self) -> list[Loss]:
        """What the database does not know yet."""
        found = []
        for caller, place in self._places.items():
            at = self._at(place)
            count, noted, first, last = self._numbers[at + _COUNT : at + _LAST + 1]
            if count > noted:
                found.append(
                    Loss(caller=caller, so_far=count, lost=count - noted, first_at=_time(first), last_at=_time(last))
                )
        return found

    def told(self, loss: Loss) -> None:
        """The database knows this much."""
        at = self._at(self._places[loss.caller])
        self._numbers[at + _FIRST] = self._numbers[at + _LAST]
        self._numbers[at + _NOTED] = loss.so_far

    def _new_place(self, caller: str) -> int:
        if len(self._places) >= _PLACES - 1:
            caller = ""
        name = caller.encode()[:_NAME_BYTES]
        place = self._places.setdefault(caller, len(self._places))
        start = HEADER + place * _PLACE_BYTES
        self._bytes[start : start + len(name)] = name
        return place

    def _callers(self) -> Iterator[str]:
        for place in range(_PLACES):
            start = HEADER + place * _PLACE_BYTES
            if not self._numbers[self._at(place) + _COUNT]:
                return
            yield self._bytes[start : start + _NAME_BYTES].rstrip(b"\0").decode(errors="replace")

    @staticmethod
    def _at(place: int) -> int:
        return (HEADER + place * _PLACE_BYTES) // 8


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000 / 1_000_000, UTC)
