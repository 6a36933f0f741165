"""What docs/architecture.md says, made from the code: the rooms and who imports whom, and what a call passes through.

A journey is recorded by Python's own profiler while a real client calls a
real service: every function of ours that the call executes, in order, on
whichever thread; a function that is passed again is not named again.
"""

import sys
import threading
from ast import get_docstring, parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
HOUSE = "policy_service"
FOLDER = ROOT / HOUSE
# What is started, and what was generated, is no room to work in.
_NO_ROOM = ("__main__",)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The rooms, what each does, and which others it imports."""

    words: dict[str, str]
    imports: dict[str, frozenset[str]]

    def arrows(self) -> list[tuple[str, str]]:
        """The imports that do not follow from others: all are these, and what they lead to."""
        return sorted(
            (room, other)
            for room, others in self.imports.items()
            for other in others
            if not any(other in self._reached(between) for between in others - {other})
        )

    def _reached(self, room: str) -> frozenset[str]:
        near = self.imports[room]
        return near.union(*(self._reached(other) for other in near))

    def from_the_top(self) -> list[str]:
        """Each room before those that it imports."""
        depth = {room: 1 + len(self._reached(room)) for room in self.imports}
        return sorted(self.imports, key=lambda room: (-depth[room], room))


def house() -> House:
    """As the code is now, function-level imports too."""
    graph = grimp.build_graph(HOUSE, cache_dir=None)
    rooms = sorted(name.rpartition(".")[2] for name in graph.find_children(HOUSE))
    rooms = [room for room in rooms if room not in _NO_ROOM]
    imports = {room: set[str]() for room in rooms}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            room, other = _room(module), _room(imported)
            if room in imports and other in imports and room != other:
                imports[room].add(other)
    return House(
        words={room: _words(room) for room in rooms},
        imports={room: frozenset(others) for room, others in imports.items()},
    )


def _room(module: str) -> str:
    return ([*module.split("."), ""])[1]


def _words(room: str) -> str:
    """The first paragraph of a room's docstring."""
    spec = find_spec(f"{HOUSE}.{room}")
    assert spec is not None
    assert spec.origin is not None
    found = get_docstring(parse(Path(spec.origin).read_text())) or ""
    return " ".join(found.split("\n\n")[0].split()).replace("``", "`")


def drawn(found: House) -> str:
    """The picture, for GitHub to draw and for people to read as it stands."""
    lines = [f"    {room} --> {other}" for room, other in found.arrows()]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def listed(found: House) -> str:
    """The rooms from the top down, with what each does and all that it imports."""
    lines = [
        f"| `{room}` | {found.words[room]} | {' '.join(sorted(found.imports[room])) or '–'} |"
        for room in found.from_the_top()
    ]
    return "\n".join(["| room | what it does | imports |", "|---|---|---|", *lines])


@dataclass(frozen=True, slots=True)
class Step:
    """A function that was passed, and whether its room was entered by it."""

    room: str
    name: str
    enters: bool


@dataclass(slots=True)
class Journey:
    """What one call passed through, from the function ``begins`` on, to its ``method`` and what that calls."""

    begins: str
    method: str
    steps: list[Step] = field(default_factory=list)
    _names: set[tuple[str, str]] = field(default_factory=set)

    @property
    def rooms(self) -> list[str]:
        """In the order in which each was entered first."""
        return list(dict.fromkeys(step.room for step in self.steps))

    def told(self) -> str:
        """As a list: its own method, and the functions by which one room is entered from another.

        What reads and makes words is called from everywhere: it would be every other line.
        """
        return _lines(
            step
            for step in self.steps
            if step.room != "vocabulary" and (step.enters or step.name.endswith(f".{self.method}"))
        )

    def told_whole(self) -> str:
        """As a list of every function."""
        return _lines(self.steps)


def _lines(steps: Iterable[Step]) -> str:
    """One for each time that another room is in."""
    lines = list[tuple[str, list[str]]]()
    for step in steps:
        if not lines or lines[-1][0] != step.room:
            lines.append((step.room, []))
        lines[-1][1].append(f"`{step.name}`")
    return "\n".join(f"{place}. **{room}** {' · '.join(names)}" for place, (room, names) in enumerate(lines, 1))


_journey: ContextVar[Journey | None] = ContextVar("journey", default=None)
_wanted: list[Journey] = []


@contextmanager
def recorded(begins: str, method: str) -> Iterator[Journey]:
    """Record the first call that enters the function ``begins``; see ``watched``."""
    found = Journey(begins, method)
    _wanted.append(found)
    try:
        yield found
    finally:
        _wanted.clear()


@contextmanager
def watched() -> Iterator[None]:
    """Have this thread, and every one begun inside, record what ``recorded`` asks for."""
    before = sys.getprofile(), threading.getprofile()
    sys.setprofile(_see)
    threading.setprofile(_see)
    try:
        yield
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])


def _see(frame: FrameType, event: str, _: object) -> None:
    if event != "call" or not _wanted or (room := _room_of(frame)) is None:
        return
    code, wanted = frame.f_code, _wanted[0]
    name = f"{frame.f_globals['__name__'].rpartition('.')[2]}.{code.co_qualname.replace('.<locals>', '')}"
    if name == wanted.begins and not wanted.steps:
        # The call's tasks and threads take this on, and nobody else's.
        _journey.set(wanted)
    if _journey.get() is not wanted or (room, name) in wanted._names or code.co_name.startswith("<"):
        return
    wanted._names.add((room, name))
    wanted.steps.append(Step(room, name, enters=_called_from(frame) != room))


def _called_from(frame: FrameType) -> str | None:
    """The room of the nearest function of ours that called."""
    caller = frame.f_back
    while caller is not None:
        if (room := _room_of(caller)) is not None:
            return room
        caller = caller.f_back
    return None


def _room_of(frame: FrameType) -> str | None:
    # Templates are code that is made of files of ours, and none of ours.
    file = frame.f_code.co_filename
    if not (file.startswith(str(FOLDER)) and file.endswith(".py")):
        return None
    room = _room(frame.f_globals.get("__name__", ""))
    return None if room == "pb" else room


def parts(text: str) -> dict[str, str]:
    """What stands in a page between ``<!-- made: NAME -->`` and ``<!-- end -->``."""
    found = {}
    for part in text.split("<!-- made: ")[1:]:
        name, _, rest = part.partition(" -->\n")
        found[name] = rest.partition("<!-- end -->")[0].strip("\n")
    return found


def rewritten(text: str, made: dict[str, str]) -> str:
    """The page with these parts."""
    for name, old in parts(text).items():
        if name in made:
            head = f"<!-- made: {name} -->\n"
            text = text.replace(f"{head}{old}\n<!-- end -->", f"{head}{made[name]}\n<!-- end -->")
    return text
