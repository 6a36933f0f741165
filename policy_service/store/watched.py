"""What goes on with the database: what a call spends there, and how the pool stands. Never with values."""

from contextvars import ContextVar
from typing import Any

import asyncpg

from policy_service import tracing


class Spent:
    """Statements of one call, and how many seconds they took."""

    __slots__ = ("seconds", "statements")

    def __init__(self) -> None:
        """Nothing yet."""
        self.statements, self.seconds = 0, 0.0


_spent = ContextVar[Spent | None]("spent", default=None)


def counting() -> Spent:
    """What the calling task, and what it starts, spends from now on."""
    spent = Spent()
    _spent.set(spent)
    return spent


def pool_states(pool: asyncpg.Pool) -> dict[str, int]:
    """The pool's connections, by what they do; how many there may be, and how many tasks wait for one."""
    size, idle = pool.get_size(), pool.get_idle_size()
    # The pool itself does not tell; tests/store/test_pool_states.py knows if a release keeps it elsewhere.
    waiting = len(pool._queue._getters)  # noqa: SLF001
    return {"busy": size - idle, "idle": idle, "most": pool.get_max_size(), "waiting": waiting}


async def watched(connection: Any) -> None:
    """Have a new connection tell of its statements; the pool calls it for each."""
    connection.add_query_logger(_tell)


def _tell(done: Any) -> None:
    # The driver calls it in the context of the statement.
    if (spent := _spent.get()) is not None:
        spent.statements += 1
        spent.seconds += done.elapsed
    tracing.statement(done.query, done.elapsed, done.exception)
