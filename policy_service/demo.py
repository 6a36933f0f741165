"""Loads demo accounts into a store that has no physicians yet."""

from collections.abc import Sequence

from policy_service.members import refuse_long_chains
from policy_service.store import Store, Written
from policy_service.vocabulary import OWNER, Physician, Row, User, name_in, subject_of_role


async def load(store: Store, rows: Sequence[Row]) -> Written:
    """Register the file's physicians with all their grants and roles, in one change.

    Does nothing where any physician is registered, so that data is kept.
    """
    owners = [row for row in rows if row.ptype == "g" and row.values[1] == subject_of_role(OWNER)]
    async with store.transaction(caller="local", actor="demo", reason="demo accounts", patient=True) as transaction:
        if not await transaction.has_physicians():
            for domain in {row.domain for row in rows}:
                refuse_long_chains(Physician(name_in(domain)), [row for row in rows if row.domain == domain])
            for row in rows:
                if row.values[0].startswith("user:"):
                    await transaction.add_user(User(name_in(row.values[0])))
            for row in owners:
                user, _, domain = row.values
                name = name_in(domain)
                await transaction.add_physician(Physician(name), User(name_in(user)), _title(name))
            await transaction.change("demo.load", None, begun=rows)
    return transaction.written


def _title(physician: str) -> str:
    """``dr-osei`` → ``Dr. Osei``."""
    return " ".join(f"{word.capitalize()}." if word == "dr" else word.capitalize() for word in physician.split("-"))
