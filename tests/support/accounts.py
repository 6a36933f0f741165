"""Accounts of a service and who may act on them, by its use cases."""

import asyncio
import contextlib
from datetime import datetime

from policy_service.app import App
from policy_service.members import manage_users
from policy_service.replicate.errors import RevisionNotReached
from policy_service.vocabulary import Physician, Role, User
from tests.support.patience import patiently


async def register(app: App, physician: str, owner: str) -> int:
    """Open an account; the revision."""
    written = await manage_users.register_physician(
        app.store, Physician(physician), User(owner), "", caller="test", actor=User(owner)
    )
    return written.revision


async def reached(app: App, revision: int) -> None:
    """Wait until the service answers at a revision."""
    async with patiently():
        while app.replica.snapshot.revision < revision:
            with contextlib.suppress(RevisionNotReached):
                await asyncio.to_thread(app.replica.at, revision)


async def grant(app: App, physician: str, user: str, role: str, now: datetime | None = None) -> int:
    """Give a role; the revision."""
    written = await manage_users.grant(
        app.store, Physician(physician), User(user), Role(role), caller="test", actor="test", now=now
    )
    return written.revision


async def revoke(app: App, physician: str, user: str, role: str) -> int:
    """Take a role; the revision."""
    written = await manage_users.revoke(
        app.store, Physician(physician), User(user), Role(role), caller="test", actor="test"
    )
    return written.revision
