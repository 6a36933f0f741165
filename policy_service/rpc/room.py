"""Room for calls: how many may be in hand, all together and of one caller.

A call that was opened and says nothing keeps its place only while nobody else
needs it, and never for longer than the room's patience. When a place is needed
the longest silent call is ended; if all were opened this moment, one of the
connection that has most of them, so that a flood costs the flooder. What comes
beyond the bounds is refused at once: nothing waits here.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from policy_service.rpc.errors import CallNotSent, TooManyCalls

Key = TypeVar("Key")

_LAST_PATIENCE_SECONDS: Final = 0.25
"""For how long a call may say nothing once the room closes."""
_SOON_SECONDS: Final = 0.25
"""For so long a call's message is on its way."""


class Place:
    """One call's place in a room, for the length of a ``with`` block."""

    __slots__ = ("end", "lasting", "origin", "room", "since")

    def __init__(self, room: "Room", origin: tuple[str, str], end: Callable[[], Any], since: float) -> None:
        """Use ``Room.enter``."""
        self.room, self.origin, self.end, self.since = room, origin, end, since
        self.lasting = False

    def heard(self) -> None:
        """The call said all that it has to say: it is not ended any more."""
        self.room.keep(self)

    def spoke(self, *, lasting: bool = False) -> None:
        """The call said something and may say more; one that is ``lasting`` is no longer ended for its silence."""
        self.lasting = lasting
        self.room.renew(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.room.leave(self)


class Room:
    """Counts places. Can be used by several threads."""

    def __init__(
        self,
        name: str,
        *,
        most: int,
        most_of_one: int,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        full: type[TooManyCalls] = TooManyCalls,
    ) -> None:
        """``name`` is what fills it, in the plural; ``most_of_one`` holds for each caller; ``full`` is refusing."""
        self.name, self._most, self._most_of_one, self._patience = name, most, min(most, most_of_one), patience
        self._clock, self._full = clock, full
        self._lock = threading.Lock()
        self._taken = 0
        self._held = Counter[str]()
        # In the order of their last words.
        self._silent = OrderedDict[Place, None]()
        # How many of them each caller's connection has.
        self._silent_of = Counter[tuple[str, str]]()

    def enter(self, caller: str, connection: str, end: Callable[[], Any]) -> Place:
        """A place for one call; ``end`` ends it while it is silent. Raises TooManyCalls."""
        now, ended = self._clock(), None
        with self._lock:
            if (own := self._held[caller]) >= self._most_of_one or self._taken >= self._most:
                one = own >= self._most_of_one < self._most
                ended = self._dispensable(caller if one else None, connection, now)
                if ended is None:
                    raise self._full(
                        limit=f"{self.name} of one caller" if one else self.name,
                        most=self._most_of_one if one else self._most,
                    )
                self._forget(ended)
            self._taken += 1
            self._held[caller] = own + 1
            place = Place(self, (caller, connection), end, now)
            self._silent[place] = None
            self._silent_of[place.origin] += 1
        if ended is not None:
            ended.end()
        return place

    def keep(self, place: Place) -> None:
        """See Place.heard."""
        with self._lock:
            self._forget(place)

    def renew(self, place: Place) -> None:
        """See Place.spoke."""
        with self._lock:
            # What was ended meanwhile stays so.
            if place in self._silent:
                place.since = self._clock()
                self._silent.move_to_end(place)

    def leave(self, place: Place) -> None:
        """Give a place back."""
        caller = place.origin[0]
        with self._lock:
            self._forget(place)
            self._taken -= 1
            _take_one(self._held, caller)

    def end_overdue(self) -> None:
        """End what has been silent for longer than the room's patience."""
        self._end_silent(self._clock() - self._patience)

    def close(self) -> None:
        """End what has said nothing yet, or no more, for the service stops.

        A call that has just come, or is on its way into the room, is given a moment: its message may be with it.
        """
        self._patience = min(self._patience, _LAST_PATIENCE_SECONDS)
        self.end_overdue()

    def not_sent(self) -> CallNotSent:
        """What a call is told that was ended."""
        return CallNotSent(limit=self.name, seconds=self._patience)

    def _end_silent(self, before: float) -> None:
        with self._lock:
            ended = [place for place in self._silent if place.since <= before and not place.lasting]
            for place in ended:
                self._forget(place)
        for place in ended:
            place.end()

    def _forget(self, place: Place) -> None:
        if place in self._silent:
            del self._silent[place]
            _take_one(self._silent_of, place.origin)

    def _dispensable(self, caller: str | None, connection: str, now: float) -> Place | None:
        """The silent call to end for one from this connection: of this caller if one is given."""
        for place in self._silent:
            if place.since > now - _SOON_SECONDS:
                break
            if caller is None or place.origin[0] == caller:
                return place
        own = max((count for (_, at), count in self._silent_of.items() if at == connection), default=0)
        most, greediest = max(
            ((count, origin) for origin, count in self._silent_of.items() if caller is None or origin[0] == caller),
            default=(0, None),
        )
        if most <= own + 1:
            return None
        return next(place for place in self._silent if place.origin == greediest)


def _take_one(counted: Counter[Key], key: Key) -> None:
    """Keys of nobody are not kept."""
    if counted[key] == 1:
        del counted[key]
    else:
        counted[key] -= 1
