"""When two names are one to the eye. New names may not be taken beside one that they could be mistaken for.

Names are plain ASCII by their grammar, so case and a few letters and digits
are all that can deceive: ``BEN`` and ``ben``; ``Ian`` and ``lan``; ``dr-o1``
and ``dr-0l``; ``verna`` and ``vema``. Two letters that only resemble each
other in a hurry (i and l in lower case, v and w) are left apart, as Neil and
Nell are two people. The name is kept and shown as it was given. Names that
were taken before this rule stay and work; ``audit collisions`` lists them.
"""

from collections.abc import Iterable
from typing import Final

_LOOKS: Final = str.maketrans("I10", "llo")


def folded(name: str) -> str:
    """The name without its case, as the database's index on it says: lower(name)."""
    return name.lower()


def look(name: str) -> str:
    """What the name looks like, as the index says: lower(replace(translate(name, 'I10', 'llo'), 'rn', 'm'))."""
    return name.translate(_LOOKS).replace("rn", "m").lower()


def alike(one: str, other: str) -> bool:
    """Could one name be taken for the other, or is it the same?"""
    return folded(one) == folded(other) or look(one) == look(other)


def collisions(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names that could be taken for each other, each group and the groups in byte order."""
    groups: dict[str, set[str]] = {}
    for name in names:
        for key in (f"case:{folded(name)}", f"look:{look(name)}"):
            groups.setdefault(key, set()).add(name)
    return sorted({tuple(sorted(group)) for group in groups.values() if len(group) > 1})
