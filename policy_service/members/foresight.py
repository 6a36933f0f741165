"""Asks Casbin before the lock is taken what a change will ask under it, in a thread.

Everybody's writes wait for one lock. So a change that asks much reads its
account in a look, asks there, and finds the answers remembered when its turn
comes. Nothing rests on the look: the rows are read again under the lock, and
where they are others by then, the questions are asked again.
"""

import asyncio
from collections.abc import Callable

from policy_service.decide import Model, UnknownPhysician
from policy_service.members.authority import Standing, standing
from policy_service.store import Store
from policy_service.vocabulary import Action, Physician

Questions = Callable[[Standing], None]
"""Asks what a change will ask of an account, and refuses nothing: only under the lock is it known what holds."""


async def foresee(store: Store, model: Model, physician: Physician, ask: Questions) -> Standing | None:
    """The account that was asked about; None where there is none, of which the change will speak itself."""
    try:
        async with store.reading() as look:
            at = await standing(look, model, physician)
    except UnknownPhysician:
        return None
    await asyncio.to_thread(_ask, ask, at)
    return at


async def settle(at: Standing, foreseen: Standing | None, ask: Questions) -> None:
    """Under the lock: ask again, off the loop, unless the account is as it was foreseen."""
    if not at.is_as(foreseen):
        await asyncio.to_thread(_ask, ask, at)


def _ask(ask: Questions, at: Standing) -> frozenset[Action]:
    """What the change asks, and what every change asks: which actions are the owner's alone."""
    ask(at)
    return at.basis.owner_only
