"""What a run of faults counted, as a table; and whether what must not be is not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one kind of fault."""

    name: str
    numbers: Mapping[str, float]
    answers: Mapping[str, int] = field(default_factory=dict)
    """Refusals by code and reason: what callers saw meanwhile."""
    faults: list[str] = field(default_factory=list)
    zero: tuple[str, ...] = ()
    """Numbers that must be 0."""

    def refuse(self) -> None:
        """Raise AssertionError if what must not be is."""
        broken = {name: self.numbers[name] for name in self.zero if self.numbers[name]}
        assert not broken, f"{self.name}: {broken} {self.faults[:5]}"


def table(found: Iterable[Figures]) -> str:
    """All of it, for people."""
    lines = []
    for figures in found:
        lines.append(f"\n{figures.name}")
        for name, number in figures.numbers.items():
            shown = f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"
            lines.append(f"  {name:<44} {'yes' if number is True else 'no' if number is False else shown:>10}")
        for answer, count in sorted(figures.answers.items(), key=lambda found: -found[1]):
            lines.append(f"  refused: {answer:<35} {count:>10,}")
    return "\n".join(lines)
