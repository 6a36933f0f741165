"""Names every right that a caller can be given: each method of the contract, and what no method stands for."""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Final

from policy_service import pb

_MORE: Final = frozenset({"SeedService/ChangeCallers"})
"""Applying a seed that changes what calling services may do: a right of its own, and no method."""


@cache
def contract_methods() -> frozenset[str]:
    """Each ``Service/Method`` that ``proto/policy/v1`` defines, and the rights beside them."""
    files = [
        import_module(module.name).DESCRIPTOR
        for module in pkgutil.iter_modules(pb.__path__, f"{pb.__name__}.")
        if module.name.endswith("_pb2")
    ]
    return _MORE | frozenset(
        f"{service.name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    )
