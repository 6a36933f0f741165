"""What the guards of a seed refuse, and the flag that says it is meant all the same."""

from typing import Annotated

import typer

MassRemoval = Annotated[
    bool, typer.Option("--allow-mass-removal", help="Remove a larger share than POLICY_SEED_MOST_REMOVED.")
]
EmptiedRole = Annotated[
    bool, typer.Option("--allow-emptied-role", help="Take away all that a role allows, or that a service may call.")
]
WidenedCallers = Annotated[
    bool, typer.Option("--allow-widened-callers", help="Let calling services call what they may not call now.")
]


_FLAGS = {
    "MASS_REMOVAL": "allow_mass_removal",
    "EMPTIED_ROLE": "allow_emptied_role",
    "CALLERS_LOCKED_OUT": "allow_emptied_role",
    "WIDENED_CALLERS": "allow_widened_callers",
}


def is_allowed(words: str, allowed: dict[str, bool]) -> bool:
    """Was what a guard says allowed by its flag?"""
    flag = _FLAGS.get(_reason_in(words))
    return flag is not None and allowed[flag]


def hint(words: str) -> str:
    """How to allow it, for the end of a sentence."""
    flag = _FLAGS.get(_reason_in(words))
    # ROLE_NAME_TAKEN and MAY_NOT_CHANGE_CALLERS have none, nor has what a newer service says.
    return f"; if that is meant: --{flag.replace('_', '-')}" if flag else ""


def _reason_in(words: str) -> str:
    return words.partition(":")[0]
