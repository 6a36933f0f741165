"""A file is held in one look: half of them have at most 150 lines, and none more than 300."""

from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parents[2] / "policy_service"
MEDIAN, MOST = 150, 300
LONGER: set[str] = set()
"""Those that may be, each of which is one table. None is kept here in vain."""


def lengths() -> dict[str, int]:
    """Lines of each file that people write."""
    return {
        name: len(path.read_text().splitlines())
        for path in FOLDER.rglob("*.py")
        if not (name := path.relative_to(FOLDER).as_posix()).startswith("pb/")
    }


def test_half_of_the_files_are_short():
    found = lengths()
    assert len(found) > 100
    assert median(found.values()) <= MEDIAN


def test_no_file_is_long_but_those_that_say_why():
    assert {name for name, lines in lengths().items() if lines > MOST} == LONGER
