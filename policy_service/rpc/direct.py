"""Methods of the management plane called in this process: for whoever holds the database, with no service running.

What they answer are the contract's messages, as a client reads them. What is
refused is refused with the same errors as on the wire, except what concerns
the rights of a caller: there is none.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

from policy_service.chain import Verifier
from policy_service.pb import audit_pb2, callers_pb2, seeds_pb2
from policy_service.rpc.bounds import reader
from policy_service.rpc.callers import CallersService
from policy_service.rpc.seeds import SeedService, encode_plan
from policy_service.rpc.verify_log import LogWalk
from policy_service.seed import Plan
from policy_service.store import Store

_CALLER: Final = "local"
_CALLERS: Final = callers_pb2.DESCRIPTOR.services_by_name["CallersService"]

Moved = Callable[[int, int], None]
"""Told how much is done, and of how much."""


async def plan_seed(service: SeedService, moved: Moved, **fields: Any) -> list[seeds_pb2.PlanSeedResponse]:
    """SeedService.PlanSeed, from the request's fields to the parts of the plan."""
    found = []
    async for part in service.plan_seed(seeds_pb2.PlanSeedRequest(**fields), _CALLER):
        if part.HasField("progress"):
            moved(part.progress.done, part.progress.total)
        else:
            found.append(part)
    return found


async def apply_seed(service: SeedService, **fields: Any) -> int:
    """SeedService.ApplySeed, from the request's fields to the revision."""
    return (await service.apply_seed(seeds_pb2.ApplySeedRequest(**fields), _CALLER)).revision


async def change_callers(service: CallersService, request: Any) -> Any:
    """A method of CallersService, by its request, whoever's class that is of; the response."""
    descriptor = request.DESCRIPTOR
    (method,) = (method for method in _CALLERS.methods if method.input_type.full_name == descriptor.full_name)
    # Within the bounds of the wire, as nobody else looks.
    asked = reader(method.input_type)(request.SerializeToString())
    return await getattr(service, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())(asked, _CALLER)


def plan_part(made: Plan, named: int | None) -> seeds_pb2.PlanSeedResponse:
    """A plan that was made without a store, as the one part of PlanSeed's answer."""
    return seeds_pb2.PlanSeedResponse(plan=encode_plan(made, named))


async def verify_log(store: Store, verifier: Verifier | None, against: Sequence[str], moved: Moved) -> Any:
    """AuditService.VerifyLog, from checkpoints to the verdict."""
    async with aclosing(LogWalk(store, verifier).verify(audit_pb2.VerifyLogRequest(against=against))) as parts:
        async for part in parts:
            if part.HasField("verdict"):
                return part.verdict
            moved(part.progress.done, part.progress.total)
    raise AssertionError("a walk's last part is the verdict")
