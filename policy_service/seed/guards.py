"""What refuses a change of the seed, unless it is meant.

Too much removed, a role emptied, callers locked out, callers allowed more.

And what refuses it always: a new role that has the name of some account's own,
an action that goes and that some account's own rules name,
and callers' rights in a plan of a caller that has no right to change those.
"""

import asyncio
from collections.abc import Iterable, Iterator, Set
from typing import Final

from policy_service.decide import Callers, Model, Snapshot
from policy_service.errors import PolicyError
from policy_service.seed.errors import (
    ActionInUse,
    CallersLockedOut,
    EmptiedRole,
    MassRemoval,
    MayNotChangeCallers,
    RoleNameTaken,
    WidenedCallers,
)
from policy_service.vocabulary import (
    ANY,
    SYSTEM_DOMAIN,
    Action,
    Effect,
    Row,
    in_named,
    is_in_named,
    is_naming,
    method_in,
    name_in,
    subject_of_role,
)

_APPLY: Final = "SeedService/ApplySeed"
_CHANGE_CALLERS: Final = "SeedService/ChangeCallers"
_LATER_METHOD: Final = "?"
"""Outside the grammar of methods, so nobody's: whoever may call it may call whatever a later release brings."""
_MOST_NAMED: Final = 10
_ACCOUNTS: Final = 1_000
"""Accounts between two breaths of a look at nothing but their roles' names."""


def guards_of(
    model: Model,
    held: Set[Row],
    wanted: Set[Row],
    *,
    most_removed: float,
    methods: frozenset[str],
    own: Set[Row] = frozenset(),
) -> Iterator[PolicyError]:
    """What the rows themselves give cause for, whatever the accounts are.

    ``most_removed`` is the share of rows that may go; ``methods`` are the contract's, ``own`` the rights of single
    callers, which no seed changes.
    """
    removed = len(held - wanted)
    if removed > most_removed * len(held):
        yield MassRemoval(removed=removed, rows=len(held), most=f"{most_removed:.0%}")
    # In each domain by itself: what a role allows in accounts is not replaced by a right of a caller's.
    had, has = (
        {row.values[:2] for row in rows if row.ptype == "p" and row.values[3] == Effect.ALLOW}
        for rows in (held, wanted)
    )
    if emptied := sorted({role for role, _ in had - has}):
        yield EmptiedRole(roles=tuple(name_in(role) for role in emptied))
    # With them: what a seed no longer denies, a caller may by its own right.
    yield from _locked_out(model, held | own, wanted | own, methods)
    yield from widened(model, held | own, wanted | own, methods)


def is_allowed(guard: PolicyError, *, mass_removal: bool, emptied_role: bool, widened_callers: bool) -> bool:
    """May this be, where the one or the other is meant?"""
    if isinstance(guard, MassRemoval):
        return mass_removal
    if isinstance(guard, WidenedCallers):
        return widened_callers
    return isinstance(guard, EmptiedRole | CallersLockedOut) and emptied_role


def not_for(caller: str, snapshot: Snapshot, wanted: Set[Row]) -> list[MayNotChangeCallers]:
    """Does a plan change callers' rights, all of which stand in domain system, without its caller having that right?"""
    if _of_callers(snapshot.basis.rows) == _of_callers(wanted) or snapshot.callers.may(caller, _CHANGE_CALLERS):
        return []
    return [MayNotChangeCallers(caller=caller, right=_CHANGE_CALLERS)]


def widened(model: Model, held: Iterable[Row], wanted: Iterable[Row], methods: frozenset[str]) -> list[WidenedCallers]:
    """Casbin's word on what any calling service may after and might not before, however its rows are written."""
    before, after = _of_callers(held), _of_callers(wanted)
    if before == after:
        return []
    had, has = Callers(model, before), Callers(model, after)
    told = {row.values[2] for row in before | after if row.ptype == "p" and row.values[2] != ANY}
    asked = sorted(methods | {in_named(method) for method in methods} | told | {_LATER_METHOD})
    gained = [
        (caller, right)
        for caller in sorted(_callers(after))
        # Who has the same rules by the same roles has the same rights.
        if had.rules_of(caller) != has.rules_of(caller)
        for right in asked
        if _gains(had, has, caller, right, methods)
    ]
    # Who gains a method everywhere is not told besides that it gains it in some accounts.
    wider = {(caller, in_named(right)) for caller, right in gained}
    gained = [pair for pair in gained if pair not in wider]
    words = tuple(
        f"{caller} {'every method, later ones too' if right == _LATER_METHOD else right}"
        for caller, right in gained[:_MOST_NAMED]
    )
    return [WidenedCallers(gained=words, count=len(gained))] if gained else []


def _gains(had: Callers, has: Callers, caller: str, right: str, methods: frozenset[str]) -> bool:
    """Has a caller a right, and had neither it nor one that is more?"""
    if not has.asked(caller, right) or had.asked(caller, right):
        return False
    if is_in_named(right):
        return not had.asked(caller, method_in(right))
    if is_naming(right):
        # An account is named for the methods that are limited now, and were not everywhere before.
        return any(has.asked(caller, in_named(method)) and not had.asked(caller, method) for method in methods)
    return True


async def names_taken(snapshot: Snapshot, new: Set[str]) -> list[PolicyError]:
    """Is any of these roles, new in all accounts, one that an account has defined for itself?"""
    found = set[str]()
    for number, name in enumerate(snapshot.physicians() if new else ()):
        account = snapshot.account(name)
        assert account is not None  # noqa: S101 - a snapshot never changes.
        found |= new & {subject_of_role(role) for role in account.custom_roles()}
        if number % _ACCOUNTS == 0:
            await asyncio.sleep(0)
    return [RoleNameTaken(roles=tuple(sorted(map(name_in, found))))] if found else []


async def actions_used(snapshot: Snapshot, gone: Set[Action]) -> list[PolicyError]:
    """Is any of these actions, which there would be no longer, one that an account's own rules name?"""
    used: list[tuple[str, str]] = []
    for number, name in enumerate(snapshot.physicians() if gone else ()):
        account = snapshot.account(name)
        assert account is not None  # noqa: S101 - a snapshot never changes.
        used += [(action, f"{name}/{subject}") for subject, action, _ in account.rules if action in gone]
        if number % _ACCOUNTS == 0:
            await asyncio.sleep(0)
    return [action_in_use(used)] if used else []


def action_in_use(used: Iterable[tuple[str, str]]) -> ActionInUse:
    """The refusal that names each action, and the first of those in whose rules it stands."""
    pairs = sorted(set(used))
    return ActionInUse(
        actions=tuple(dict.fromkeys(action for action, _ in pairs)),
        used_by=tuple(dict.fromkeys(user for _, user in pairs)),
    )


def _locked_out(model: Model, held: Set[Row], wanted: Set[Row], methods: frozenset[str]) -> Iterator[PolicyError]:
    """Casbin's word on what calling services may before and after; one whose grants are all removed is meant to go."""
    before, after = _of_callers(held), _of_callers(wanted)
    if before == after:
        return
    had, has = Callers(model, before), Callers(model, after)
    callers = [_callers(rows) for rows in (before, after)]

    def may_nothing(known: Callers, caller: str) -> bool:
        return not any(known.may(caller, method) for method in methods)

    left = tuple(
        name for name in sorted(callers[0] & callers[1]) if may_nothing(has, name) and not may_nothing(had, name)
    )
    could, can = (
        sum(known.may(name, _APPLY) for name in names) for known, names in zip((had, has), callers, strict=True)
    )
    if left or (could and not can):
        yield CallersLockedOut(callers=left, appliers=can)


def _of_callers(rows: Iterable[Row]) -> frozenset[Row]:
    return frozenset(row for row in rows if row.domain == SYSTEM_DOMAIN)


def _callers(rows: Iterable[Row]) -> set[str]:
    return {name_in(row.values[0]) for row in rows if row.values[0].startswith("service:")}
