"""Where the timeline's marks stand: one for each day and kind of change, or for some days in a long period."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from policy_service.cli.kinds import ACCESS, INVITATIONS, POLICY, ROLES
from policy_service.cli.report_changes import ToldChange

WIDTH: Final = 1000
_LEFT, _RIGHT, _TOP, _LANE = 120, 960, 8, 34
_MOST_STEPS: Final = 92
"""The days of a quarter: marks of two days in a row still stand apart."""
_TICKS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Changes of one kind on a day."""

    x: float
    y: float
    radius: float
    count: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything to draw; ``words`` tell the same without a picture."""

    height: int
    left: int
    right: int
    step_days: int
    lanes: tuple[tuple[str, float], ...]
    ticks: tuple[tuple[float, str], ...]
    dots: tuple[Dot, ...]
    words: str


def timeline_of(changes: Sequence[ToldChange], begin: datetime | None, end: datetime) -> Timeline | None:
    """The timeline of a period; None where nothing changed. Without ``begin`` it begins with the first change."""
    if not changes:
        return None
    days = [change.at.astimezone(UTC).date() for change in changes]
    first = min([*days, begin.astimezone(UTC).date()] if begin else days)
    last = max([*days, end.astimezone(UTC).date()])
    step = -(-((last - first).days + 1) // _MOST_STEPS)
    steps = (last - first).days // step

    def x(number: int) -> float:
        return round(_LEFT + 20 + (_RIGHT - _LEFT - 20) * (number / steps if steps else 0.5), 1)

    present = {change.lane for change in changes}
    lanes = {
        lane: _TOP + _LANE * (row + 0.5)
        for row, lane in enumerate(lane for lane in (ACCESS, INVITATIONS, ROLES, POLICY) if lane in present)
    }
    counts = Counter((change.lane, (day - first).days // step) for change, day in zip(changes, days, strict=True))
    found = sorted(counts.items(), key=lambda item: (lanes[item[0][0]], item[0][1]))
    dots = tuple(
        Dot(
            x=x(number),
            y=lanes[lane],
            radius=5.0 if count == 1 else min(7 + count / 2, 13),
            count=count,
            words=f"{lane}: {count} on {_days(first, number, step)}",
        )
        for (lane, number), count in found
    )
    every = max(1, -(-steps // _TICKS))
    return Timeline(
        height=round(_TOP + _LANE * len(lanes) + 30),
        left=_LEFT,
        right=_RIGHT,
        step_days=step,
        lanes=tuple(lanes.items()),
        ticks=tuple((x(number), str(first + timedelta(number * step))) for number in range(0, steps + 1, every)),
        dots=dots,
        words="; ".join(dot.words for dot in dots),
    )


def _days(first: date, number: int, step: int) -> str:
    begin = first + timedelta(number * step)
    return str(begin) if step == 1 else f"{begin} to {begin + timedelta(step - 1)}"
