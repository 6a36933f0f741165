"""Made-up physicians, the same on every run: 10 users each, every tenth with 20 rules of its own.

No user works for two physicians: the hardest case for memory, as no name is shared.
"""

import random
from collections.abc import Iterator
from typing import Final

import asyncpg

from policy_service.pb import decision_pb2 as pb
from policy_service.policy_text import read_seed
from policy_service.seed import install
from policy_service.settings import policies_dir
from policy_service.store import connect_store, migrate
from policy_service.vocabulary import Row
from tests.conftest import SHIPPED_MODEL
from tests.support.actions import OWNER_ONLY, Action

USERS: Final = 10
BATCH: Final = 1_000

_BUILT_IN: Final = ("owner", *["data_entry"] * 4, *["financial_viewer"] * 3, *["administrator"] * 2)
_CUSTOM: Final = ("owner", *["data_entry"] * 2, *["front-desk"] * 3, *["bookkeeper"] * 3, "outside-auditor")
_GRANTABLE: Final = [action for action in Action if action not in OWNER_ONLY]
_RULES: Final = (
    *[("front-desk", action, "allow") for action in _GRANTABLE[:8]],
    *[("bookkeeper", action, "allow") for action in _GRANTABLE[2:]],
    *[("outside-auditor", action, "allow") for action in _GRANTABLE[4:7]],
    *[("outside-auditor", action, "deny") for action in _GRANTABLE[6:8]],
)
assert len(_RULES) == 20


def physician(number: int) -> str:
    """The name of an account."""
    return f"dr-{number:06}"


def user(number: int, place: int) -> str:
    """The name of one of its users; place 0 is the owner."""
    return f"user-{number:06}-{place}"


def rows(number: int) -> Iterator[Row]:
    """The rows of an account."""
    domain = f"physician:{physician(number)}"
    custom = number % 10 == 0
    for place, role in enumerate(_CUSTOM if custom else _BUILT_IN):
        yield Row(ptype="g", values=(f"user:{user(number, place)}", f"role:{role}", domain))
    if custom:
        for role, action, effect in _RULES:
            yield Row(ptype="p", values=(f"role:{role}", domain, action, effect))


def rows_in(physicians: int) -> int:
    """How many rows so many accounts have."""
    return physicians * USERS + len(range(0, physicians, 10)) * len(_RULES)


def question(number: int, place: int, action: str) -> pb.CheckRequest:
    """A question about one of an account's own users."""
    return pb.CheckRequest(user=user(number, place), physician=physician(number), action=action)


def questions(physicians: int, count: int) -> list[pb.CheckRequest]:
    """Questions spread evenly: every physician equally often (but for a rest), then any user, any action."""
    chance = random.Random(physicians)
    numbers = [at % physicians for at in range(count)]
    chance.shuffle(numbers)
    return [question(number, chance.randrange(USERS), chance.choice(list(Action))) for number in numbers]


def batches(asked: list[pb.CheckRequest]) -> list[bytes]:
    """The same as encoded batches."""
    return [
        pb.BatchCheckRequest(checks=asked[at : at + BATCH]).SerializeToString() for at in range(0, len(asked), BATCH)
    ]


async def fill(dsn: str, physicians: int) -> None:
    """Migrate an empty database, install the seed, and copy the accounts' rows in with the next change.

    The tables that the decision plane never reads (physicians, users) stay as they are.
    """
    await migrate(dsn)
    async with connect_store(dsn) as store:
        await install.install_first(store, read_seed(policies_dir() / "seed.csv"), SHIPPED_MODEL)
        async with store.transaction(caller="bench", actor="bench") as transaction:
            await transaction.change("bench.fill", None, detail={"physicians": physicians})
            at = transaction.revision
    records = (
        (row.ptype, *row.values, *[""] * (4 - len(row.values)), "api", at)
        for number in range(physicians)
        for row in rows(number)
    )
    columns = ("ptype", "v0", "v1", "v2", "v3", "origin", "from_revision")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.copy_records_to_table("rules", records=records, columns=columns)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
