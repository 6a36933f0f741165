"""Which accounts a request is about, for callers that are named for some: enumerated from the contract.

A method whose request says so in no way that is known here is about all of them,
and no limited caller calls it: a new method cannot be forgotten. Where only the
handler can tell, as for the link of an invitation, it asks ``Reaches``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, ServiceDescriptor

from policy_service.decide import Reach
from policy_service.replicate import Replica
from policy_service.rpc.errors import CallerNotAllowed, CallerNotAllowedThere
from policy_service.vocabulary import Physician

Beyond = Callable[[Any, Reach], str | None]
"""The first field of a request that names an account beyond a caller's reach, if any does."""

HANDLED: Final = frozenset({
    "DecisionService/ListPhysicians",
    "ManageUsersService/AcceptInvitation",
    "ManageUsersService/CompleteSetup",
    "ManageUsersService/DeclineInvitation",
    "ManageUsersService/LookUpInvitation",
})  # fmt: skip
"""Methods whose handlers find the account, and refuse or leave out what is beyond."""
_OF_NOBODY: Final = "DecisionService/ListActions"
"""Without a user and a physician it tells what actions there are."""


def limits_of(services: Iterable[ServiceDescriptor]) -> dict[str, Beyond]:
    """Every method that can be limited to named accounts, with what tells whether a request is beyond them."""
    found = {f"{service.name}/{method.name}": method.input_type for service in services for method in service.methods}
    limits = {method: _limit_of(method, takes) for method, takes in found.items()}
    return {method: limit for method, limit in limits.items() if limit is not None}


def _limit_of(method: str, takes: Descriptor) -> Beyond | None:
    if method in HANDLED:
        return lambda _request, _reach: None
    if method == _OF_NOBODY:
        return lambda request, reach: _one(request, reach) if request.user or request.physician else None
    if "physician" in takes.fields_by_name:
        return _one
    if "check" in takes.fields_by_name:
        return lambda request, reach: None if reach.covers(request.check.physician) else "check.physician"
    if "checks" in takes.fields_by_name:
        return _first
    return None


def _one(request: Any, reach: Reach) -> str | None:
    # Left empty it would mean every account, and the empty name is nobody's.
    return None if reach.covers(request.physician) else "physician"


def _first(request: Any, reach: Reach) -> str | None:
    places = (place for place, check in enumerate(request.checks) if not reach.covers(check.physician))
    place = next(places, None)
    return None if place is None else f"checks[{place}].physician"


class Reaches:
    """For the handlers that find the account themselves."""

    def __init__(self, replica: Replica) -> None:
        """As the replica knows the callers' rights."""
        self._replica = replica

    def of(self, caller: str, method: str) -> Reach:
        """Where a caller may call. Raises CallerNotAllowed if that is nowhere by now, and what ``Replica.at`` does."""
        reach = self._replica.at().callers.reach(caller, method)
        if reach is None:
            raise CallerNotAllowed(caller=caller, method=method)
        return reach

    def refuse_beyond(self, caller: str, method: str, physician: Physician, field: str) -> None:
        """Raise CallerNotAllowedThere for an account that was found by a field and is not the caller's."""
        if not self.of(caller, method).covers(physician):
            raise CallerNotAllowedThere(caller=caller, method=method, field=field)


def refuse_beyond(limits: Mapping[str, Beyond], caller: str, method: str, request: Any, reach: Reach) -> None:
    """Raise CallerNotAllowedThere for a request about an account that is beyond a caller's reach."""
    if (field := limits[method](request, reach)) is not None:
        raise CallerNotAllowedThere(caller=caller, method=method, field=field)
