"""Names every right that a caller can be given: each method of the contract, and what no method stands for."""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from policy_service import pb

_MORE: Final = frozenset({"SeedService/ChangeCallers"})
"""Applying a seed that changes what calling services may do: a right of its own, and no method."""
_CHECKS: Final = frozenset({"DecisionService/Check", "DecisionService/BatchCheck"})
_SERVICES: Final = {
    "explain": "DecisionService",
    "manage": "ManageUsersService",
    "seed": "SeedService",
    "audit": "AuditService",
    "callers": "CallersService",
}
KEPT_GROUPS: Final = frozenset({"replicate"})
"""Words for methods to come: whoever is given one today would get what nobody has thought of yet."""


@cache
def contract_services() -> tuple[ServiceDescriptor, ...]:
    """Each service that ``proto/policy/v1`` defines."""
    files = [
        import_module(module.name).DESCRIPTOR
        for module in pkgutil.iter_modules(pb.__path__, f"{pb.__name__}.")
        if module.name.endswith("_pb2")
    ]
    return tuple(service for file in files for service in file.services_by_name.values())


@cache
def contract_methods() -> frozenset[str]:
    """Each ``Service/Method`` of them, and the rights beside them."""
    return _MORE | frozenset(
        f"{service.name}/{method.name}" for service in contract_services() for method in service.methods
    )


@cache
def method_groups() -> dict[str, frozenset[str]]:
    """The rights by the word for many of them: each in one group."""
    groups = {
        word: frozenset(method for method in contract_methods() - _MORE - _CHECKS if method.startswith(f"{service}/"))
        for word, service in _SERVICES.items()
    }
    return {"check": _CHECKS, **groups, "callers": groups["callers"] | _MORE}
