"""Auditors' questions for tests: whole lists page by page, and decisions put into the log by hand."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from policy_service.pb import audit_pb2 as pb
from tests.support.rpc import Wire

LISTS = {
    "ListChanges": (pb.ListChangesRequest, "changes"),
    "ListDecisions": (pb.ListDecisionsRequest, "decisions"),
    "ReviewAccess": (pb.ReviewAccessRequest, "access"),
    "DiffAccess": (pb.DiffAccessRequest, "differences"),
}


async def ask(wire: Wire, method: str, **fields: Any) -> Any:
    """One call."""
    return await wire(method, LISTS[method][0](**fields))


async def pages(wire: Wire, method: str, size: int, **fields: Any) -> list[Any]:
    """Every page of a list."""
    found, token = [], ""
    while not found or token:
        found.append(await ask(wire, method, page_size=size, page_token=token, **fields))
        token = found[-1].next_page_token
    return found


async def every(wire: Wire, method: str, size: int = 0, **fields: Any) -> list[Any]:
    """Every item of a list."""
    return [item for page in await pages(wire, method, size, **fields) for item in getattr(page, LISTS[method][1])]


@dataclass
class Line:
    """A line of the decision log, in the table's order of columns."""

    at: datetime
    replica: str
    sequence: int
    caller: str = "billing"
    username: str = "mia"
    physician: str = "dr-a"
    action: str = "claim:view"
    channel: str = "web"
    resource: str = ""
    correlation_id: str = ""
    allowed: bool = True
    reason: str = "granted"
    role: str = "data_entry"
    revision: int = 2


async def record(dsn: str, lines: Iterable[Line]) -> None:
    """Put decisions into the log."""
    connection = await asyncpg.connect(dsn)
    rows = [astuple(line) for line in lines]
    for day in sorted({row[0].date() for row in rows}):
        await connection.execute("SELECT decisions_make_day($1)", date(day.year, day.month, day.day))
    await connection.copy_records_to_table("decisions", records=rows, columns=list(Line.__dataclass_fields__))
    await connection.close()
